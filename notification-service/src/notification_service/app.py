"""The only wiring of this service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from fastapi import FastAPI
from pydantic import SecretStr

from notification_service import consumer, tasks
from notification_service.api import routers
from notification_service.domain.channels import Channel
from notification_service.senders.gateways import Gateway
from notification_service.senders.hooks import Webhooks
from notification_service.senders.mail import FolderMail, SmtpMail
from notification_service.settings import Settings
from notification_service.usecases.context import Context, Rules
from notification_service.usecases.delivering import PostRoom, Send
from notification_service.usecases.feed import FeedReader
from saras_common.auth import InternalTokens
from saras_common.bus import connect_bus
from saras_common.clock import Clock, SystemClock
from saras_common.consumer import Consumer
from saras_common.db import Database
from saras_common.ids import NewId, new_id
from saras_common.metrics import Metrics
from saras_common.partitions import PartitionedConsumer
from saras_common.web import Loop, Worker, create_service_app, workers_of

NEWS_PATIENCE_S, FEED_PATIENCE_S = 15.0, 5.0
"""How far messages and streams may fall behind a burst of the book."""

NEWS_LINGER_S = 0.5
"""The parts of a message arrive within seconds and are folded once a delivery; prices tick several times a second."""


def wire(settings: Settings, *, clock: Clock, new_id: NewId = new_id) -> Context:
    """The tools every use case works with. Nothing connects yet."""
    return Context(
        database=Database(settings.database_url.get_secret_value(), schema=settings.schema_name),
        clock=clock,
        new_id=new_id,
        rules=Rules(
            offered=offered_channels(settings),
            settle=timedelta(seconds=settings.settle_s),
            attempts=settings.attempts,
            backoff_s=settings.backoff_s,
            lease=timedelta(seconds=settings.lease_s),
            webhook_give_up=timedelta(hours=settings.webhook_give_up_h),
            keep=timedelta(days=settings.keep_days),
            keep_feed=timedelta(days=settings.feed_keep_days),
            allow_loopback=settings.allow_loopback,
            webhook_key=settings.webhook_key.get_secret_value().encode(),
        ),
    )


def offered_channels(settings: Settings) -> frozenset[Channel]:
    """The channels this installation is set up for."""
    configured = {Channel.EMAIL: settings.smtp_host or settings.mail_folder, **_gateways(settings)}
    return frozenset({Channel.IN_APP, Channel.WEBHOOK, *(channel for channel, value in configured.items() if value)})


def post_room(settings: Settings, clock: Clock, metrics: Metrics) -> PostRoom:
    """The ways out of the house that this installation is set up for."""
    senders: dict[Channel, Send] = {
        Channel.WEBHOOK: Webhooks(
            settings.webhook_key.get_secret_value().encode(), settings.allow_loopback, settings.send_timeout_s, clock
        )
    }
    if settings.smtp_host is not None:
        password = None if settings.smtp_password is None else settings.smtp_password.get_secret_value()
        senders[Channel.EMAIL] = SmtpMail(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_security,
            settings.smtp_user,
            password,
            settings.mail_from,
            settings.send_timeout_s,
        )
    elif settings.mail_folder is not None:
        senders[Channel.EMAIL] = FolderMail(settings.mail_folder, settings.mail_from)
    for channel, template in _gateways(settings).items():
        if template is not None:
            senders[channel] = Gateway(channel, template.get_secret_value())
    tried = metrics.counter(
        "saras_notification_tries_total", "Tries of deliveries by channel and what became of them", ("channel", "state")
    )
    return PostRoom(senders, lambda channel, state: tried.labels(channel.value, state.value).inc())


def _gateways(settings: Settings) -> dict[Channel, SecretStr | None]:
    return {
        Channel.SMS: settings.sms_url,
        Channel.PUSH: settings.push_url,
        Channel.TELEGRAM: settings.telegram_url,
        Channel.WHATSAPP: settings.whatsapp_url,
        Channel.SLACK: settings.slack_url,
    }


def create_app(
    settings: Settings, *, clock: Clock | None = None, new_id: NewId = new_id, metrics: Metrics | None = None
) -> FastAPI:
    """The service's application. Time, ids and metrics can be given, for tests and for one shared process."""
    clock, metrics = clock or SystemClock(), metrics or Metrics()
    context = wire(settings, clock=clock, new_id=new_id)
    feed = FeedReader(context.database)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        feed.close()
        context.database.dispose()

    app = create_service_app(
        settings,
        title="notification-service",
        internal_tokens=InternalTokens(settings.internal_token_key.get_secret_value().encode(), clock),
        metrics=metrics,
        checks={"database": context.database.check},
        lifespan=lifespan,
    )
    app.state.context = context
    app.state.feed = feed
    for router in routers:
        app.include_router(router)
    return app


def workers(
    settings: Settings,
    *,
    clock: Clock | None = None,
    new_id: NewId = new_id,
    metrics: Metrics | None = None,
    publish: tasks.Publish | None = None,
) -> list[Worker]:
    """The loops beside the API: three consumers, the beat, the sending.

    With ``publish`` the beat hands what is due to a task queue, and the sending loop is not for you.
    """
    clock, metrics = clock or SystemClock(), metrics or Metrics()
    context = wire(settings, clock=clock, new_id=new_id)
    bus = connect_bus(settings.broker_url.get_secret_value())

    def consuming(queue: str, handle: consumer.Handler, patience_s: float, linger_s: float = 0.0) -> Consumer:
        return Consumer(bus, queue, context.database, handle, patience_s=patience_s, linger_s=linger_s, metrics=metrics)

    def telling(source: str, batch: int) -> Consumer:
        return Consumer(
            bus,
            settings.service,
            context.database,
            consumer.news_handler(context),
            source=source,
            batch=batch,
            patience_s=NEWS_PATIENCE_S,
            linger_s=NEWS_LINGER_S,
            metrics=metrics,
        )

    news = PartitionedConsumer(bus, settings.service, context.database, telling, count=settings.partitions)
    market = consuming("notification-service.market", consumer.market_handler(context), NEWS_PATIENCE_S, NEWS_LINGER_S)
    feed = consuming("notification-service.feed", consumer.feed_handler(), FEED_PATIENCE_S)
    inboxes = (news.inbox, market.inbox, feed.inbox)
    room = post_room(settings, clock, metrics)
    loops: dict[str, Loop] = {
        "consumer": news.run,
        "market": market.run,
        "feed": feed.run,
        "beat": partial(tasks.run_beat, context, new_id(), inboxes, publish, settings.poll_s),
    }
    if publish is None:
        loops["sending"] = partial(tasks.run_sending, context, room, settings.send_threads, settings.poll_s)
    return workers_of("notification-service", loops, (bus.close, context.database.dispose))
