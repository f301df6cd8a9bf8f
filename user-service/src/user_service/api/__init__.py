"""The HTTP edge: parse, call one use case, answer. Routes by who may call them."""

from fastapi import APIRouter

from user_service.api import admin, door, internal, me

routers: tuple[APIRouter, ...] = (door.router, me.router, admin.router, internal.router)
"""What ``app`` includes."""
