"""The way to the book: a run's orders as one atomic batch for its user, their cancels, and what a user still holds.

Calls go to portfolio-service by `Transport`: over HTTP when services are spread out, straight into its application
when both live in one process. A call that may have arrived and was not answered is `Unavailable`; the same key is then
used again, so nothing is ever placed twice.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import aiohttp

from saras_common import jsonio
from saras_common.auth import Identity, InternalTokens, service
from saras_common.clock import Clock
from saras_common.errors import SarasError, Unavailable
from saras_common.money import rupees
from saras_common.web import INTERNAL_TOKEN_HEADER
from smallcase_service.domain.refusals import Refused

AUDIENCE = "portfolio-service"
AT_ONCE = 32
"""Calls on their way together; the book gives those a common commit."""
CALL_TIMEOUT_S = 20.0
_TOKEN_TTL_S = 60
_TRY_AGAIN = frozenset({"idempotency_in_progress", "too_many_requests"})

AsgiApp = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the book."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """Its answer."""

    status: int
    body: bytes


class Transport(Protocol):
    """Carries calls and waits for all their answers; an item is `Unavailable` when one may or may not have arrived."""

    def send(self, calls: Sequence[Call]) -> list[Reply | Unavailable]: ...

    async def start(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """One leg to place: at the market, or at once at ``limit_paise`` or better."""

    instrument: str
    side: str
    quantity: int
    limit_paise: int | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Orders of one user that are all taken or none; ``key`` makes a second try harmless."""

    user_id: UUID
    basket_id: UUID
    key: str
    orders: Sequence[Wanted]


Placed = list[dict[str, Any]]
"""The book's documents of the orders it took, in the order of the legs."""


class Book:
    """portfolio-service, as this service needs it."""

    def __init__(self, transport: Transport, tokens: InternalTokens, clock: Clock) -> None:
        self.transport = transport
        self._tokens = tokens
        self._clock = clock

    def place(self, placements: Sequence[Placement]) -> list[Placed | SarasError]:
        """Each placement's orders, or why there are none: a `Refused` is final, `Unavailable` is to be tried again."""
        token = self._tokens.mint(service(self._clock.now().timestamp() + _TOKEN_TTL_S), AUDIENCE)
        calls = [
            Call(
                "POST",
                "/internal/orders/batch",
                {
                    INTERNAL_TOKEN_HEADER: token,
                    "Idempotency-Key": placement.key,
                    "Content-Type": "application/json",
                },
                _batch(placement),
            )
            for placement in placements
        ]
        return [_outcome(reply) for reply in self.transport.send(calls)]

    def cancel(self, orders: Sequence[tuple[UUID, str]]) -> None:
        """Ask for the rest of (user, order) to be cancelled. What has ended stays; news of it all comes as events."""
        self.transport.send(
            [Call("DELETE", f"/orders/{order_id}", self._as_user(user_id)) for user_id, order_id in orders]
        )

    def free_shares(self, user_id: UUID) -> dict[str, int]:
        """Delivery shares ``user_id`` could sell now, by instrument, all portfolios together."""
        return {item["instrument"]: int(item["quantity"]) - int(item["reserved"]) for item in self._holdings(user_id)}

    def held_shares(self, user_id: UUID) -> dict[str, int]:
        """Delivery shares ``user_id`` has, those in open sell orders included."""
        return {item["instrument"]: int(item["quantity"]) for item in self._holdings(user_id)}

    def _holdings(self, user_id: UUID) -> list[dict[str, Any]]:
        (reply,) = self.transport.send([Call("GET", "/holdings", self._as_user(user_id))])
        if isinstance(reply, Unavailable):
            raise reply
        if reply.status != 200:  # noqa: PLR2004 - HTTP
            raise Unavailable("The book did not say what is held")
        items: list[dict[str, Any]] = jsonio.loads(reply.body)["items"]
        return items

    def _as_user(self, user_id: UUID) -> Mapping[str, str]:
        expires_at = self._clock.now().timestamp() + _TOKEN_TTL_S
        identity = Identity(user_id, user_id, frozenset({"user"}), 0, expires_at)
        return {INTERNAL_TOKEN_HEADER: self._tokens.mint(identity, AUDIENCE)}


def _batch(placement: Placement) -> bytes:
    return jsonio.dumps(
        {
            "user_id": str(placement.user_id),
            "basket_id": str(placement.basket_id),
            "atomic": True,
            "orders": [_terms(order) for order in placement.orders],
        }
    )


def _terms(order: Wanted) -> dict[str, Any]:
    terms: dict[str, Any] = {
        "instrument": order.instrument,
        "side": order.side,
        "quantity": order.quantity,
        "order_type": "MARKET",
        "product": "CNC",
    }
    if order.limit_paise is not None:
        terms |= {"order_type": "LIMIT", "price": rupees(order.limit_paise), "validity": "IOC"}
    return terms


def _outcome(reply: Reply | Unavailable) -> Placed | SarasError:
    if isinstance(reply, Unavailable):
        return reply
    try:
        document = jsonio.loads(reply.body)
    except jsonio.BadJson:
        return Unavailable("The book's answer cannot be read")
    if reply.status == 202:  # noqa: PLR2004 - HTTP
        items: Placed = document["items"]
        return items
    if reply.status >= 500 or document.get("code") in _TRY_AGAIN:  # noqa: PLR2004 - HTTP
        return Unavailable("The book cannot take orders now", retry_after_s=2)
    return Refused(document)


class HttpTransport:
    """The book behind a network, on an event loop of its own thread."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Nothing: the first call opens what is needed."""

    def send(self, calls: Sequence[Call]) -> list[Reply | Unavailable]:
        """See `Transport`."""
        return asyncio.run_coroutine_threadsafe(_all(self._one, calls), self._running()).result()

    def close(self) -> None:
        """Give every connection back."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._close(), loop).result()
            loop.call_soon_threadsafe(loop.stop)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run_loop, args=(self._loop,), name="book-calls", daemon=True).start()
            return self._loop

    async def _one(self, call: Call) -> Reply:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S))
        async with self._session.request(
            call.method, self._base_url + call.path, data=call.body or None, headers=call.headers, allow_redirects=False
        ) as answer:
            return Reply(answer.status, await answer.read())

    async def _close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class MountedTransport:
    """The book in this process: its application, called on the event loop that serves it."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Remember the loop, which is the book's too: it knows no other."""
        self._loop = asyncio.get_running_loop()

    def send(self, calls: Sequence[Call]) -> list[Reply | Unavailable]:
        """See `Transport`. Not to be called on the loop itself."""
        if self._loop is None or self._loop.is_closed():
            return [Unavailable("The book is not there yet", retry_after_s=1) for _ in calls]
        return asyncio.run_coroutine_threadsafe(_all(self._one, calls), self._loop).result()

    def close(self) -> None:
        """Forget the loop."""
        self._loop = None

    async def _one(self, call: Call) -> Reply:
        status, parts, asked = 0, list[bytes](), asyncio.Event()

        async def receive() -> dict[str, Any]:
            if asked.is_set():  # an application that asks twice waits for the end of the client
                await asyncio.Event().wait()
            asked.set()
            return {"type": "http.request", "body": call.body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))

        async with asyncio.timeout(CALL_TIMEOUT_S):
            await self._app(_scope(call), receive, send)
        return Reply(status, b"".join(parts))


def _scope(call: Call) -> dict[str, Any]:
    headers = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in call.headers.items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": call.method,
        "scheme": "http",
        "path": call.path,
        "raw_path": call.path.encode("ascii"),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"mounted"), (b"content-length", str(len(call.body)).encode()), *headers],
        "client": ("127.0.0.1", 0),
        "server": ("mounted", 80),
        "state": {},
    }


async def _all(one: Callable[[Call], Awaitable[Reply]], calls: Sequence[Call]) -> list[Reply | Unavailable]:
    room = asyncio.Semaphore(AT_ONCE)

    async def guarded(call: Call) -> Reply | Unavailable:
        async with room:
            try:
                return await one(call)
            except (aiohttp.ClientError, TimeoutError, OSError):
                return Unavailable("The book does not answer", retry_after_s=2)

    return await asyncio.gather(*(guarded(call) for call in calls))


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()
