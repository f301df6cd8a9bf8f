"""One request through the door, as a plain ASGI application.

The order of the checks is the order of their cost and of what they give away: spelling first, then who calls, then how
often, then what is sent; a path that does not exist says so only after its spelling was accepted.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from api_gateway.addresses import ClientAddresses, rate_key
from api_gateway.cors import METHODS, Cors
from api_gateway.deadlines import Deadlines
from api_gateway.errors import (
    BadRequest,
    InternalError,
    MethodNotAllowed,
    RequestTimeout,
    UpstreamBroken,
    UriTooLong,
    WebSocketUnavailable,
)
from api_gateway.exchange import Exchange, for_pages
from api_gateway.heads import Head, Headers
from api_gateway.rates import Limiter, Rate, retry_after_s
from api_gateway.routes import BASE_PATH, JWKS, JWKS_PATH, Access, Route, RouteTable, check_query, decoded_path
from api_gateway.sessions import Caller, Sessions
from api_gateway.telemetry import Telemetry
from api_gateway.upstreams import ClientGone, Receive, Scope, Send, Upstream, whole, whole_body
from saras_common.clock import Clock
from saras_common.errors import Forbidden, NotFound, SarasError, TooLarge, TooManyRequests, UpstreamTimeout

log = logging.getLogger(__name__)

OwnAnswer = Callable[[Exchange], Awaitable[None]]
"""Answers a GET of the gateway's own, such as health."""

_HEALTH = b"/health/"
_BASE = BASE_PATH.encode("ascii") + b"/"
_METHODS = frozenset(METHODS)
_READS = frozenset({"GET", "HEAD"})
_VERSIONS = frozenset({"1.0", "1.1"})
_LOGGED_PATH_CHARS = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    body_bytes: int
    header_count: int
    url_bytes: int
    body_timeout_s: float


class Gateway:
    """Serves HTTP requests; the application's lifespan and wiring are in ``app``."""

    def __init__(
        self,
        *,
        routes: RouteTable,
        upstreams: Mapping[str, Upstream],
        sessions: Sessions,
        limiter: Limiter,
        rates: Mapping[str, Rate],
        addresses: ClientAddresses,
        cors: Cors,
        policy: Headers,
        telemetry: Telemetry,
        limits: Limits,
        deadlines: Deadlines,
        clock: Clock,
        new_request_id: Callable[[], bytes],
    ) -> None:
        self._routes = routes
        self._upstreams = upstreams
        self._sessions = sessions
        self._limiter = limiter
        self._rates = rates
        self._addresses = addresses
        self._cors = cors
        self._policy = policy
        self._telemetry = telemetry
        self._limits = limits
        self._deadlines = deadlines
        self._clock = clock
        self._new_request_id = new_request_id
        self.own: dict[str, OwnAnswer] = {}

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request, from its head to the access log."""
        clock = self._clock
        started = clock.monotonic()
        head = Head(scope["headers"])
        request_id = head.find_request_id() or self._new_request_id()
        policy = self._policy if (cors := self._cors.headers(head)) == [] else self._policy + cors
        exchange = Exchange(send, request_id, policy, head_only=scope["method"] == "HEAD")
        visit = _Visit(scope, receive, head, exchange, clock.now().timestamp(), self._client(scope, head))
        try:
            await self._answer(visit)
        except SarasError as error:
            await self._refuse(exchange, error)
        except ClientGone:
            exchange.status = exchange.status or RequestTimeout.status
        except Exception:
            log.exception("a request failed", extra={"request": request_id.decode("ascii")})
            await self._refuse(exchange, InternalError())
        finally:
            self._telemetry.exchange(
                visit.route_name,
                (
                    visit.now,
                    request_id.decode("ascii"),
                    scope["method"],
                    scope["path"][:_LOGGED_PATH_CHARS],
                    exchange.status,
                    clock.monotonic() - started,
                    visit.client,
                    visit.user,
                ),
            )

    async def _answer(self, visit: "_Visit") -> None:
        scope, head = visit.scope, visit.head
        visit.exchange.close = True  # whoever writes such requests may be writing two in one
        self._check_form(scope, head)
        visit.exchange.close = False
        method: str = scope["method"]
        if method == "OPTIONS":
            await visit.exchange.no_content(self._cors.preflight(head))
            return
        raw_path: bytes = scope["raw_path"]
        own = self.own.get(raw_path.decode("latin-1"))
        if own is not None:
            visit.route_name = "own"
            if method not in _READS:
                raise MethodNotAllowed
            if not raw_path.startswith(_HEALTH):  # a probe must always get its answer
                self._check_rate(self._rates["address"], rate_key(visit.client), visit.now)
            await own(visit.exchange)
            return
        route, path, raw_path = self._find_route(raw_path)
        visit.route_name = route.name
        if route.serves_pages:
            visit.exchange.change_policy(for_pages)
        caller = await self._admit(visit, route)
        try:
            head.check_body(method, min(route.body_bytes, self._limits.body_bytes))
        except TooLarge:
            visit.exchange.close = True  # what is on its way is not worth reading
            raise
        await self._pass_on(visit, route, caller, path, raw_path)

    def _check_form(self, scope: Scope, head: Head) -> None:
        if scope["method"] not in _METHODS:
            raise MethodNotAllowed
        if scope["http_version"] not in _VERSIONS:
            raise BadRequest("HTTP/1.1 is spoken here")
        head.check(self._limits.header_count)
        query: bytes = scope["query_string"]
        if len(scope["raw_path"]) + len(query) > self._limits.url_bytes:
            raise UriTooLong
        if query:
            check_query(query)
        if head.wants_websocket():
            raise WebSocketUnavailable

    def _find_route(self, raw_path: bytes) -> tuple[Route, str, bytes]:
        """The route, and the path as its service knows it: decoded and raw."""
        if not raw_path.startswith(_BASE):
            if raw_path.decode("latin-1") != JWKS_PATH or JWKS.service not in self._upstreams:
                raise NotFound
            return JWKS, JWKS_PATH, raw_path
        raw_path = raw_path[len(_BASE) - 1 :]
        path = decoded_path(raw_path)
        route = self._routes.find(path)
        if route is None:
            raise NotFound
        return route, path, raw_path

    async def _admit(self, visit: "_Visit", route: Route) -> Caller:
        """Who calls, within the rates; an address's rate is asked before its token is worth a signature check."""
        now = visit.now
        address = rate_key(visit.client)
        self._check_rate(self._rates["address"], address, now)
        if route.access is Access.PUBLIC:
            rate = self._rates[route.rate]
            if rate.strict:
                _refuse_to_wait(await self._limiter.strict_hit(rate, address, now))
            elif rate.name != "address":
                self._check_rate(rate, address, now)
            return self._sessions.anonymous
        caller = await self._sessions.admit(visit.head.bearer())
        visit.user = user = caller.user
        self._check_rate(self._rates[route.rate], user, now)
        if route.access is Access.ADMIN and not caller.identity.is_admin:
            raise Forbidden
        return caller

    def _check_rate(self, rate: Rate, key: str, now: float) -> None:
        _refuse_to_wait(self._limiter.hit(rate, key, now))

    async def _pass_on(self, visit: "_Visit", route: Route, caller: Caller, path: str, raw_path: bytes) -> None:
        scope, exchange, receive = visit.scope, visit.exchange, visit.receive
        method: str = scope["method"]
        length = visit.head.body_length
        if method in _READS:
            method, length, receive = "GET", 0, whole(b"", receive)
        elif length is None:
            body = await self._collect(visit, min(route.body_bytes, self._limits.body_bytes))
            length, receive = len(body), whole(body, receive)
        headers = visit.head.forwarded()
        if length:
            headers.append((b"content-length", str(length).encode("ascii")))
        headers += (
            (b"host", route.service.encode("ascii")),
            (b"x-internal-token", caller.token_for(route.service, self._clock.monotonic())),
            (b"x-request-id", exchange.request_id),
            (b"x-client-address", visit.client.encode("ascii", "replace")),
        )
        inner: Scope = {
            "type": "http",
            "asgi": scope["asgi"],
            "http_version": "1.1",
            "method": method,
            "scheme": scope["scheme"],
            "server": scope["server"],
            "client": scope["client"],
            "root_path": "",
            "path": path,
            "raw_path": raw_path,
            "query_string": scope["query_string"],
            "headers": headers,
            "state": {"caller": caller},  # for what is served in this process by the gateway itself
        }
        self._deadlines.begin(exchange)
        try:
            await self._upstreams[route.service](inner, receive, exchange.send)
        except asyncio.CancelledError as error:
            if self._deadlines.cancelled(exchange):
                raise UpstreamTimeout from error
            raise
        finally:
            self._deadlines.end(exchange)
        if not exchange.done:
            raise UpstreamBroken

    async def _collect(self, visit: "_Visit", most_bytes: int) -> bytes:
        """A chunked body, whole: nothing is passed on before its size is known."""
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                return await whole_body(visit.receive, most_bytes)
        except TimeoutError as error:
            visit.exchange.close = True
            raise RequestTimeout from error
        except TooLarge:
            visit.exchange.close = True
            raise

    async def _refuse(self, exchange: Exchange, error: SarasError) -> None:
        """Answer ``error``; an answer that already began is left unfinished, so that the connection breaks."""
        self._telemetry.refused(error.code)
        if exchange.status == 0:
            await exchange.refuse(error)
        elif not exchange.done:
            log.warning("an answer broke off", extra={"reason": error.code})

    def _client(self, scope: Scope, head: Head) -> str:
        peer = scope["client"][0] if scope.get("client") else "unknown"
        if not self._addresses.any_trusted:
            return str(peer)
        return self._addresses.of(peer, head.all(b"x-forwarded-for"))


def _refuse_to_wait(wait_s: float) -> None:
    if wait_s:
        raise TooManyRequests(retry_after_s=retry_after_s(wait_s))


class _Visit:
    """What is known of a request on its way in."""

    __slots__ = ("client", "exchange", "head", "now", "receive", "route_name", "scope", "user")

    def __init__(self, scope: Scope, receive: Receive, head: Head, exchange: Exchange, now: float, client: str) -> None:
        self.scope = scope
        self.receive = receive
        self.head = head
        self.exchange = exchange
        self.now = now
        self.client = client
        self.route_name = "none"
        self.user = ""
