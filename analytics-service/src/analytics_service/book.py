"""What the book says, asked over its internal HTTP: cash and positions on marks, the truth every total here ties to."""

import http.client
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import orjson

from saras_common.auth import InternalTokens, service
from saras_common.clock import Clock
from saras_common.errors import Unavailable
from saras_common.web import INTERNAL_TOKEN_HEADER

AUDIENCE = "portfolio-service"
PAGE = 500
TIMEOUT_S = 10.0
TOKEN_TTL_S = 60
_OK = 200

Ask = Callable[[str, Mapping[str, str]], tuple[int, bytes]]
"""GET a path of portfolio-service with these headers: status and body. `Unavailable` when it cannot be reached."""


class Shelf(NamedTuple):
    """A position as the book has it. Paise and units; ``last`` is ``None`` without a price."""

    portfolio_id: UUID
    instrument: str
    product: str
    quantity: int
    cost: int
    realised: int
    charges: int
    last: int | None

    @property
    def value(self) -> int | None:
        """At the last price; nothing held is worth nothing even without one."""
        if self.quantity == 0:
            return 0
        return None if self.last is None else self.quantity * self.last


@dataclass(frozen=True, slots=True)
class UserBook:
    """All of one user's book at one instant. Paise; deposits and withdrawals are totals since the beginning."""

    user_id: UUID
    default_portfolio_id: UUID
    cash: int
    deposited: int
    withdrawn: int
    shelves: tuple[Shelf, ...]

    @property
    def market_value(self) -> int | None:
        """Of everything held; ``None`` when a price is missing."""
        values = [shelf.value for shelf in self.shelves]
        return None if None in values else sum(value for value in values if value is not None)


class Book:
    """The book, as ``ask`` reaches it."""

    def __init__(self, ask: Ask, tokens: InternalTokens, clock: Clock) -> None:
        self._ask = ask
        self._tokens = tokens
        self._clock = clock

    def find(self, user_id: UUID) -> UserBook | None:
        """One user's book; ``None`` when the book has not heard of the user."""
        return next(iter(self._page(user_id=user_id, limit=1)[0]), None)

    def pages(self, size: int = PAGE) -> Iterator[list[UserBook]]:
        """Everybody's, by user id, some at a time."""
        after: str | None = None
        while True:
            page, after = self._page(limit=size, **({} if after is None else {"after": after}))
            if page:
                yield page
            if after is None:
                return

    def _page(self, **query: Any) -> tuple[list[UserBook], str | None]:
        expires_at = self._clock.now().timestamp() + TOKEN_TTL_S
        token = self._tokens.mint(service(float(int(expires_at))), AUDIENCE, ttl_s=TOKEN_TTL_S)
        status, body = self._ask(f"/internal/books?{urlencode(query)}", {INTERNAL_TOKEN_HEADER: token})
        if status != _OK:
            raise Unavailable("The book does not answer", retry_after_s=1)
        document = orjson.loads(body)
        return [_book(item) for item in document["items"]], document["next"]


def over_http(base_url: str) -> Ask:
    """`Ask` of a portfolio-service at ``base_url``."""
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or parts.hostname is None:
        raise ValueError("the book's address is given as http://host:port")
    connection = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    host, port = parts.hostname, parts.port

    def ask(path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        asking = connection(host, port, timeout=TIMEOUT_S)
        try:
            asking.request("GET", path, headers=dict(headers))
            answer = asking.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable("The book cannot be reached", retry_after_s=1) from error
        finally:
            asking.close()

    return ask


def nowhere(_path: str, _headers: Mapping[str, str]) -> tuple[int, bytes]:
    """`Ask` before anybody said where the book is."""
    raise Unavailable("The book's address is not set (PORTFOLIO_SERVICE_URL)")


def _book(item: Mapping[str, Any]) -> UserBook:
    shelves = tuple(Shelf(UUID(row[0]), *row[1:]) for row in item["positions"])
    return UserBook(
        UUID(item["user_id"]),
        UUID(item["default_portfolio_id"]),
        item["cash"],
        item["deposited"],
        item["withdrawn"],
        shelves,
    )
