"""The HTTP edge: parse, call one use case, answer."""

from fastapi import APIRouter

from notification_service.api import admin, alerts, feed, inbox, webhooks

routers: tuple[APIRouter, ...] = (inbox.router, webhooks.router, alerts.router, admin.router, feed.router)
"""What ``app`` includes."""
