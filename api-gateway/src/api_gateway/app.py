"""The only wiring: settings and upstreams in, one ASGI application out."""

import asyncio
import itertools
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from api_gateway import event_schemas
from api_gateway.addresses import ClientAddresses
from api_gateway.cors import Cors
from api_gateway.deadlines import Deadlines
from api_gateway.docs import Docs
from api_gateway.exchange import API_POLICY, HSTS
from api_gateway.gateway import Gateway, Limits
from api_gateway.health import Health
from api_gateway.openapi import PlatformApi
from api_gateway.rates import Limiter, MemoryLimiter, Rate, RedisLimiter
from api_gateway.routes import BASE_PATH, RouteTable
from api_gateway.sessions import USER_SERVICE, Sessions
from api_gateway.settings import GatewaySettings
from api_gateway.streams import FEED_SERVICE, LEAVE, QUOTES_SERVICE, STREAMS, StreamLimits, Streams, WebSocketDoor
from api_gateway.telemetry import Telemetry
from api_gateway.upstreams import HttpUpstream, Receive, Scope, Send, Upstream
from saras_common.auth import InternalTokens
from saras_common.clock import Clock, SystemClock
from saras_common.ids import NewId, new_id
from saras_common.metrics import Metrics

log = logging.getLogger(__name__)

_FLUSH_S = 0.25
_SWEEP_S = 0.5


class GatewayApp:
    """The ASGI application. `running` is its lifespan, for whoever hosts it; uvicorn's own lifespan enters it too."""

    def __init__(
        self,
        gateway: Gateway,
        upstreams: Mapping[str, Upstream],
        streams: Streams | None,
        repeating: Mapping[str, tuple[float, Callable[[], Awaitable[None]]]],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._gateway = gateway
        self._upstreams = upstreams
        self._streams = streams
        self._repeating = repeating
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._gateway.serve(scope, receive, send)
        elif kind == "lifespan":
            await self._live(scope, receive, send)
        elif self._streams is not None:
            await self._streams.websocket(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1013, "reason": "WebSocket is not offered here"})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Upstreams started and the background work going, until the block is left."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            for upstream in self._upstreams.values():
                stack.push_async_callback(upstream.stop)
                await upstream.start()
            for name, (every_s, work) in self._repeating.items():
                task = asyncio.create_task(_repeat(name, every_s, work))
                stack.push_async_callback(_end, task)
            yield

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if self._streams is not None and "state" in scope:
            scope["state"][LEAVE] = self._streams.leave  # for the server, which waits for open streams before it ends
        phase = "startup"
        try:
            async with self.running():
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
        except Exception as error:
            log.exception("the gateway failed at its %s", phase)
            await send({"type": f"lifespan.{phase}.failed", "message": str(error)})
        else:
            await send({"type": "lifespan.shutdown.complete"})


def create_app(
    settings: GatewaySettings,
    upstreams: Mapping[str, Upstream] | None = None,
    *,
    internal_tokens: InternalTokens | None = None,
    metrics: Metrics | None = None,
    clock: Clock | None = None,
    new_id: NewId = new_id,
    write_access_log: Callable[[bytes], object] = sys.stderr.buffer.write,
) -> GatewayApp:
    """The gateway before ``upstreams`` (by service name), and over HTTP before those with an address in settings."""
    clock = clock or SystemClock()
    metrics = metrics or Metrics()
    services: dict[str, Upstream] = {name: HttpUpstream(url) for name, url in settings.service_urls().items()}
    services.update(upstreams or {})
    key = settings.internal_token_key.get_secret_value().encode()
    internal = internal_tokens or InternalTokens(key, clock)
    sessions = Sessions(services.get(USER_SERVICE), internal, clock, revocation_stale_s=settings.revocation_stale_s)
    telemetry = Telemetry(metrics, access_log_sample=settings.access_log_sample, write=write_access_log)
    limiter: Limiter = (
        MemoryLimiter() if settings.redis_url is None else RedisLimiter(settings.redis_url.get_secret_value())
    )
    rates, addresses = _rates(settings), ClientAddresses(settings.trusted_proxies)
    next_request_id = request_ids(new_id)
    streams: Streams | None = None
    if FEED_SERVICE in services:
        door = WebSocketDoor(
            sessions=sessions,
            limiter=limiter,
            rates=rates,
            addresses=addresses,
            clock=clock,
            header_count=settings.max_header_count,
        )
        streams = services[STREAMS] = Streams(
            limits=_stream_limits(settings),
            events=services[FEED_SERVICE],
            prices=services.get(QUOTES_SERVICE),
            sessions=sessions,
            internal_tokens=internal,
            door=door,
            telemetry=telemetry,
            metrics=metrics,
            clock=clock,
            new_request_id=next_request_id,
        )
    routes = RouteTable(services)
    deadlines = Deadlines(settings.answer_timeout_s, clock)
    gateway = Gateway(
        routes=routes,
        upstreams=services,
        sessions=sessions,
        limiter=limiter,
        rates=rates,
        addresses=addresses,
        cors=Cors(settings.cors_origins),
        policy=API_POLICY + (HSTS if settings.hsts else []),
        telemetry=telemetry,
        limits=Limits(
            settings.max_body_bytes,
            settings.max_header_count,
            settings.max_url_bytes,
            settings.body_timeout_s,
        ),
        deadlines=deadlines,
        clock=clock,
        new_request_id=next_request_id,
    )
    _add_own(gateway, services, routes, sessions, metrics, clock, settings)

    async def share() -> None:
        await limiter.share(clock.now().timestamp())

    async def stop() -> None:
        await telemetry.flush()
        await limiter.close()

    repeating = {
        "revocations": (settings.revocation_poll_s, sessions.poll),
        "rates": (settings.rate_share_interval_s, share),
        "deadlines": (min(_SWEEP_S, settings.answer_timeout_s / 4), deadlines.sweep),
        "access log": (_FLUSH_S, telemetry.flush),
    }
    if streams is not None:
        repeating["streams"] = (_FLUSH_S, streams.sweep)
    return GatewayApp(gateway, services, streams, repeating, stop)


def _stream_limits(settings: GatewaySettings) -> StreamLimits:
    return StreamLimits(
        streams=settings.stream_limit,
        per_user=settings.stream_user_limit,
        buffer_bytes=settings.stream_buffer_bytes,
        heartbeat_s=settings.stream_heartbeat_s,
        sign_in_s=settings.stream_sign_in_s,
        quotes_s=settings.stream_quotes_s,
    )


def _rates(settings: GatewaySettings) -> dict[str, Rate]:
    strict = {"login", "register", "refresh"}
    names = ("user", "address", "login", "register", "refresh", "postback")
    return {name: Rate.parse(name, settings.rate(name), strict=name in strict) for name in names}


def _add_own(
    gateway: Gateway,
    services: Mapping[str, Upstream],
    routes: RouteTable,
    sessions: Sessions,
    metrics: Metrics,
    clock: Clock,
    settings: GatewaySettings,
) -> None:
    health = Health(
        services,
        sessions.revocations,
        metrics,
        clock,
        required=settings.required_services,
        revocation_stale_s=settings.revocation_stale_s,
    )
    api = PlatformApi(services, routes, clock)
    gateway.own["/health/live"] = health.live
    gateway.own["/health/ready"] = health.ready
    gateway.own["/metrics"] = health.metrics
    gateway.own[f"{BASE_PATH}/openapi.json"] = api.answer
    gateway.own[f"{BASE_PATH}/event-schemas.json"] = event_schemas.answer
    gateway.own["/docs"] = Docs(api).answer


def request_ids(new_id: NewId) -> Callable[[], bytes]:
    """Request ids of one process: its own UUID and a count, unique at a tenth of a UUID's price."""
    prefix, numbers = new_id().hex.encode("ascii"), itertools.count(1)
    return lambda: b"%b-%x" % (prefix, next(numbers))


async def _repeat(name: str, every_s: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            log.exception("background work failed", extra={"work": name})
        await asyncio.sleep(every_s)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
