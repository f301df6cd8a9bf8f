"""What leads where: the table of paths, who may use them, and the check of a path's spelling.

A path is judged as sent (``raw_path``), segment by segment, and refused when two readers could disagree about it:
empty or dot segments, encoded slashes, backslashes, control characters, text that is not UTF-8.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote_to_bytes

from api_gateway.errors import BadRequest
from saras_common.errors import NotFound

BASE_PATH = "/api/v1"
JWKS_PATH = "/.well-known/jwks.json"

_PLAIN_SEGMENT = r"[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*"
_PLAIN_PATH = re.compile(rf"(?:/{_PLAIN_SEGMENT})+".encode())
_ENCODED_PATH = re.compile(rb"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+")
_UNSAFE_TEXT = re.compile(r"[\x00-\x1f\x7f\\\ufffe\uffff]|%[0-9A-Fa-f]{2}")


SMALL_BYTES = 64 * 1024
"""What a body may have where it is about one thing: parsing more would keep others waiting."""
BATCH_BYTES = 512 * 1024
"""A thousand orders, written generously."""
FILE_BYTES = 2 * 1024 * 1024
"""Administrators' files of prices."""


class Access(StrEnum):
    """Who may use a route."""

    PUBLIC = "public"
    SIGNED_IN = "signed_in"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of the table: ``name`` is the path's fixed beginning and labels metrics, ``rate`` names its limit.

    ``exact``: nothing may follow the name. ``serves_pages``: an answer may be a page with scripts of ours.
    ``body_bytes``: at most in a body, or fewer where the settings say so.
    """

    name: str
    service: str
    access: Access = Access.SIGNED_IN
    rate: str = "user"
    exact: bool = False
    serves_pages: bool = False
    body_bytes: int = SMALL_BYTES


def _signed_in(service: str, *names: str) -> list[Route]:
    return [Route(name, service) for name in names]


def _admin(service: str, *names: str) -> list[Route]:
    return [Route(f"admin/{name}", service, Access.ADMIN) for name in names]


def _public(service: str, name: str, rate: str) -> Route:
    return Route(name, service, Access.PUBLIC, rate, exact=True)


TABLE: tuple[Route, ...] = (
    _public("user-service", "register", "register"),
    _public("user-service", "login", "login"),
    _public("user-service", "token/refresh", "refresh"),
    *_signed_in("user-service", "logout", "me"),
    *_admin("user-service", "users"),
    *_signed_in(
        "portfolio-service",
        *("funds", "portfolios", "portfolio", "buy", "sell", "orders", "transactions"),
        *("holdings", "positions", "pnl", "exposure", "trades"),
    ),
    Route("orders/batch", "portfolio-service", exact=True, body_bytes=BATCH_BYTES),
    *_admin("portfolio-service", "funds"),
    *_signed_in("trade-executor", "instruments", "quotes"),
    _public("trade-executor", "broker/postback", "postback"),
    *_admin("trade-executor", "execution", "batches", "reconciliation", "broker", "mark-price"),
    Route("events", "streams", exact=True),
    Route("ws", "streams", exact=True),
    *_signed_in("notification-service", "notifications", "webhooks", "alerts"),
    *_admin("notification-service", "notifications"),
    *_signed_in("smallcase-service", "smallcase", "smallcases", "sips", "investments"),
    *_signed_in("analytics-service", "analytics", "reports"),
    Route("analytics/charts", "analytics-service", serves_pages=True),
    _public("analytics-service", "analytics/plotly.min.js", "address"),
    _public("analytics-service", "analytics/draw.js", "address"),
    *_admin("analytics-service", "analytics", "trades"),
    Route("admin/history", "analytics-service", Access.ADMIN, body_bytes=FILE_BYTES),
)
"""Every route of the platform. What is not here does not exist outside: ``/internal`` can never be listed."""

JWKS = Route(".well-known/jwks.json", "user-service", Access.PUBLIC, "address", exact=True)


class RouteTable:
    """The routes whose service is there, found by the first segment or the first two."""

    def __init__(self, services: Collection[str], table: Collection[Route] = TABLE) -> None:
        self.routes = tuple(route for route in table if route.service in services)
        self._one: dict[str, Route] = {}
        self._two: dict[str, dict[str, Route]] = {}
        for route in self.routes:
            first, _, second = route.name.partition("/")
            if second:
                self._two.setdefault(first, {})[second] = route
            else:
                self._one[first] = route

    def find(self, path: str) -> Route | None:
        """The route of ``path`` (without the base path, beginning with a slash)."""
        parts = path.split("/", 3)
        first = parts[1]
        route, name_length = None, 3
        if len(parts) > 2:  # noqa: PLR2004 - '', first, second
            route = self._two.get(first, _NONE).get(parts[2])
        if route is None:
            route, name_length = self._one.get(first), 2
        if route is None or (route.exact and len(parts) != name_length):
            return None
        return route


_NONE: Mapping[str, Route] = {}


def decoded_path(raw_path: bytes) -> str:
    """The text of ``raw_path``; `NotFound` or `BadRequest` when it could be read in two ways."""
    if _PLAIN_PATH.fullmatch(raw_path):
        return raw_path.decode("ascii")
    if not _ENCODED_PATH.fullmatch(raw_path):
        raise NotFound
    try:
        segments = [unquote_to_bytes(part).decode("utf-8") for part in raw_path.split(b"/")[1:]]
    except UnicodeDecodeError as error:
        raise BadRequest("the path is not UTF-8") from error
    for segment in segments:
        if segment in {".", ".."} or "/" in segment or _UNSAFE_TEXT.search(segment):
            raise BadRequest("the path holds characters that are not allowed there")
    return "/" + "/".join(segments)


def check_query(query: bytes) -> None:
    """`BadRequest` unless ``query`` decodes to UTF-8 without NUL."""
    if b"%" in query or not query.isascii():
        decoded = unquote_to_bytes(query)
        try:
            decoded.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadRequest("the query is not UTF-8") from error
        if b"\x00" in decoded:
            raise BadRequest("the query holds characters that are not allowed there")
