"""The platform's OpenAPI document without starting anything: for docs/openapi and its check."""

import base64
from typing import Any

import analytics_service.app
import analytics_service.settings
import notification_service.app
import notification_service.settings
import portfolio_service.app
import portfolio_service.settings
import smallcase_service.app
import smallcase_service.settings
import trade_executor.app
import trade_executor.settings
import user_service.app
import user_service.settings
from api_gateway.openapi import merged
from api_gateway.routes import RouteTable
from api_gateway.streams import STREAMS
from api_gateway.streams import openapi as streams

_KEY = base64.b64encode(bytes(32)).decode()
_NOWHERE: dict[str, Any] = {
    "database_url": "postgresql://nobody@127.0.0.1/nowhere",
    "broker_url": "postgresql://nobody@127.0.0.1/nowhere",
    "internal_token_key": _KEY,
}


def platform_openapi() -> dict[str, Any]:
    """Every public call, as the gateway serves it at /api/v1/openapi.json."""
    apps = {
        "user-service": user_service.app.create_app(user_service.settings.Settings(**_NOWHERE, data_keys=_KEY)),
        "portfolio-service": portfolio_service.app.create_app(portfolio_service.settings.Settings(**_NOWHERE)),
        "trade-executor": trade_executor.app.create_app(trade_executor.settings.Settings(**_NOWHERE, token_key=_KEY)),
        "smallcase-service": smallcase_service.app.create_app(smallcase_service.settings.Settings(**_NOWHERE)),
        "notification-service": notification_service.app.create_app(
            notification_service.settings.Settings(**_NOWHERE, webhook_key=_KEY)
        ),
        "analytics-service": analytics_service.app.create_app(analytics_service.settings.Settings(**_NOWHERE)),
    }
    documents = {name: app.openapi() for name, app in apps.items()} | {STREAMS: streams.document()}
    return merged(documents, RouteTable(frozenset(documents)))
