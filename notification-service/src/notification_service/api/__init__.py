"""The HTTP edge: parse, call one use case, answer."""

from fastapi import APIRouter

routers: tuple[APIRouter, ...] = ()
"""What ``app`` includes."""
