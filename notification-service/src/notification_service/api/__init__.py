"""The HTTP edge: parse, call one use case, answer."""

from fastapi import APIRouter

from notification_service.api import admin, alerts, inbox, webhooks

routers: tuple[APIRouter, ...] = (inbox.router, webhooks.router, alerts.router, admin.router)
"""What ``app`` includes."""
