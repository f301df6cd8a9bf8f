"""The HTTP edge: parse, call one use case, answer. Routes by what they are about."""

from fastapi import APIRouter

from analytics_service.api import admin, analytics, reports

routers: tuple[APIRouter, ...] = (analytics.router, reports.router, admin.router)
"""What ``app`` includes."""
