"""The HTTP edge: parse, call one use case, answer. Routes by who may call them."""

from fastapi import APIRouter

from trade_executor.api import admin, market, postback

routers: tuple[APIRouter, ...] = (admin.router, market.router, postback.router)
"""What ``app`` includes."""
