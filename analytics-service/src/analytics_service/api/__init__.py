"""The HTTP edge: parse, call one use case, answer. Routes by what they are about."""

from fastapi import APIRouter

from analytics_service.api import analytics

routers: tuple[APIRouter, ...] = (analytics.router,)
"""What ``app`` includes."""
