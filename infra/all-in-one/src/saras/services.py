"""The one place that knows every service: its settings, its application under the gateway, its loops."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import ValidationError

import analytics_service.app
import notification_service.app
import portfolio_service.app
import smallcase_service.app
import trade_executor.app
import user_service.app
from analytics_service.settings import Settings as AnalyticsSettings
from api_gateway.app import create_app as create_gateway
from api_gateway.server import allow_many_sockets, uvicorn_config
from api_gateway.settings import GatewaySettings
from api_gateway.upstreams import MountedUpstream
from notification_service.settings import Settings as NotificationSettings
from portfolio_service.settings import Settings as PortfolioSettings
from saras.errors import CannotStart
from saras.fleet import PACKAGES
from saras.home import Credentials, Home
from saras.inner import asking
from saras.schemas import BUS
from saras.seeding import SeedingDoor
from saras.settings import PlatformSettings
from saras.threads import Threads
from saras.witnessing import witness
from saras_common.auth import InternalTokens
from saras_common.clock import SystemClock
from saras_common.metrics import Metrics
from smallcase_service.book import MountedTransport
from smallcase_service.settings import Settings as SmallcaseSettings
from trade_executor.settings import Settings as ExecutorSettings
from user_service.settings import Settings as UserSettings

ROLES = (*PACKAGES, BUS)
"""Database logins, one a service and one for the bus."""

GRACEFUL_S = 3
ACCESS_LOG_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Composed:
    """What serves and what runs beside it."""

    server_config: uvicorn.Config
    threads: Threads


def compose(
    settings: PlatformSettings, home: Home, urls: Mapping[str, str], admin: Credentials, broker: Mapping[str, Any]
) -> Composed:
    """Every service wired into one ASGI application, and their loops; nothing listens or runs yet.

    ``urls``: role → database URL. ``broker``: the executor's settings of its broker. `CannotStart` names what is wrong
    in a service's settings.
    """
    try:
        return _compose(settings, home, urls, admin, broker)
    except ValidationError as error:
        wrong = "; ".join(f"{item['loc']}: {item['msg']}" for item in error.errors(include_input=False))
        raise CannotStart(f"the settings of {error.title} are not right: {wrong}") from error


def _compose(
    settings: PlatformSettings, home: Home, urls: Mapping[str, str], admin: Credentials, broker: Mapping[str, Any]
) -> Composed:
    secrets = home.vault().get("internal_token_key", "webhook_key")
    broker_url = settings.broker_url.get_secret_value() if settings.broker_url else urls[BUS]
    common: dict[str, Any] = {
        "broker_url": broker_url,
        "redis_url": settings.redis_url,
        "internal_token_key": secrets["internal_token_key"],
        "mode": settings.mode,
        "host": settings.host,
        "port": settings.port,
        "log_level": settings.log_level,
    }
    users = UserSettings(
        **common,
        database_url=urls["user_service"],
        data_keys=home.vault().get_key("data_key"),
        admin_email=admin.email,
        admin_password=admin.password,
    )
    book = PortfolioSettings(**common, database_url=urls["portfolio_service"])
    executor = ExecutorSettings(
        **common,
        database_url=urls["trade_executor"],
        token_key=home.vault().get_key("executor_key"),
        **broker,
    )
    notifications = NotificationSettings(
        **{"mail_folder": home.path / "mail" if settings.mode == "sandbox" else None, **common},
        database_url=urls["notification_service"],
        webhook_key=secrets["webhook_key"],
    )
    baskets = SmallcaseSettings(**common, database_url=urls["smallcase_service"])
    analytics = AnalyticsSettings(**common, database_url=urls["analytics_service"])
    user_service.app.first_start(users)
    metrics = Metrics()
    user_app = user_service.app.create_app(users, metrics=metrics)
    book_app = portfolio_service.app.create_app(book, metrics=metrics)
    ask_book = asking(book_app)
    to_book = MountedTransport(book_app)
    gateway_settings = GatewaySettings(**common)
    gateway = create_gateway(
        gateway_settings,
        {
            "user-service": MountedUpstream(user_app),
            "portfolio-service": MountedUpstream(book_app),
            "trade-executor": MountedUpstream(trade_executor.app.create_app(executor, metrics=metrics)),
            "smallcase-service": MountedUpstream(
                smallcase_service.app.create_app(baskets, metrics=metrics, transport=to_book)
            ),
            "notification-service": MountedUpstream(
                notification_service.app.create_app(notifications, metrics=metrics)
            ),
            "analytics-service": MountedUpstream(
                analytics_service.app.create_app(analytics, metrics=metrics, ask_book=ask_book)
            ),
        },
        metrics=metrics,
        write_access_log=_access_log(home.logs / "access.log"),
    )
    allow_many_sockets(gateway_settings.max_connections)
    app: Any = gateway
    if settings.mode == "sandbox":
        tokens = InternalTokens(secrets["internal_token_key"].encode(), SystemClock())
        app = SeedingDoor(gateway, user_app, tokens, users.service)
    config = uvicorn_config(app, gateway_settings, metrics)
    config.timeout_graceful_shutdown = GRACEFUL_S
    workers = [
        *user_service.app.workers(users, metrics=metrics),
        *portfolio_service.app.workers(book, metrics=metrics),
        *trade_executor.app.workers(executor, metrics=metrics),
        *smallcase_service.app.workers(baskets, metrics=metrics, transport=to_book),
        *notification_service.app.workers(notifications, metrics=metrics),
        *analytics_service.app.workers(analytics, metrics=metrics, ask_book=ask_book),
        witness(home, urls),
    ]
    return Composed(config, Threads(workers))


def _access_log(path: Path) -> Callable[[bytes], object]:
    handler = RotatingFileHandler(path, maxBytes=ACCESS_LOG_BYTES, backupCount=1, encoding="utf-8")

    def write(lines: bytes) -> None:
        handler.emit(logging.makeLogRecord({"msg": lines.decode().rstrip("\n")}))

    return write
