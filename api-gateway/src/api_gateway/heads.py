"""A request's headers: what the gateway reads from them, and the short list of those that may travel on.

The list is an allow-list, so identity cannot be smuggled under any spelling; what `Connection` names is dropped too,
before the gateway adds its own.
"""

import re
from collections.abc import Iterable

from api_gateway.errors import BadRequest, HeadersTooLarge, UnsupportedMediaType
from saras_common.errors import TooLarge

Headers = list[tuple[bytes, bytes]]

FORWARDED = frozenset(
    {
        b"accept",
        b"accept-language",
        b"content-type",
        b"idempotency-key",
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"last-event-id",
        b"range",
        b"traceparent",
        b"tracestate",
        b"user-agent",
    }
)
"""Client headers a service may see. Host, length, request id, address and identity are the gateway's own words."""

_ONCE = frozenset(
    {
        *(b"host", b"authorization", b"content-length", b"content-type", b"content-encoding", b"transfer-encoding"),
        *(b"idempotency-key", b"x-request-id", b"origin", b"last-event-id", b"expect"),
    }
)
_JSON = re.compile(rb"application/json(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_PLAIN_CONNECTION = frozenset({None, b"keep-alive", b"close", b"Keep-Alive", b"Close", b""})
_BODILESS_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Head:
    """The headers of one request, checked for contradictions. ``body_length`` is ``None`` for a chunked body."""

    __slots__ = ("_found", "_headers", "body_length")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._headers = headers if isinstance(headers, list) else list(headers)
        self._found = dict(self._headers)
        self.body_length: int | None = 0

    def check(self, max_count: int) -> None:
        """Refuse what two readers could understand differently, and too many headers."""
        if len(self._headers) > max_count:
            raise HeadersTooLarge
        if len(self._found) != len(self._headers):
            self._refuse_repeated()
        host = self._found.get(b"host")
        if host is None or not _HOST.fullmatch(host):
            raise BadRequest("exactly one Host header is needed")
        self.body_length = self._length()

    def find_request_id(self) -> bytes | None:
        """The caller's request id when it is a sane one."""
        value = self._found.get(b"x-request-id")
        return value if value is not None and _REQUEST_ID.fullmatch(value) else None

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a header that may stand more than once."""
        return [value for key, value in self._headers if key == name]

    def find(self, name: bytes) -> bytes | None:
        """The value of a header that may stand once; for others the last one."""
        return self._found.get(name)

    def bearer(self) -> str | None:
        """The access token, when there is one that looks like one."""
        value = self._found.get(b"authorization")
        if value is None or value[:7].lower() != b"bearer " or not value.isascii():
            return None
        token: str = value[7:].decode("ascii")
        return token

    def check_body(self, method: str, max_bytes: int) -> None:
        """`TooLarge`, or `UnsupportedMediaType` unless the body is absent or JSON."""
        length = self.body_length
        if length == 0 or method in _BODILESS_METHODS:
            return
        if length is not None and length > max_bytes:
            raise TooLarge
        kind = self._found.get(b"content-type", b"")
        if kind != b"application/json" and not _JSON.fullmatch(kind):
            raise UnsupportedMediaType
        if self._found.get(b"content-encoding", b"identity") != b"identity":
            raise UnsupportedMediaType("compressed bodies are not read")

    def forwarded(self) -> Headers:
        """The headers that may travel on; what ``Connection`` names does not."""
        connection = self._found.get(b"connection")
        if connection in _PLAIN_CONNECTION:
            return [pair for pair in self._headers if pair[0] in FORWARDED]
        named = {
            token.strip().lower()
            for name, value in self._headers
            if name == b"connection"
            for token in value.split(b",")
        } - {b"content-type"}  # what a body is stays with the body
        return [pair for pair in self._headers if pair[0] in FORWARDED and pair[0] not in named]

    def wants_websocket(self) -> bool:
        """Whether the client asks to speak WebSocket."""
        upgrade = self._found.get(b"upgrade")
        return upgrade is not None and upgrade.lower() == b"websocket"

    def _refuse_repeated(self) -> None:
        seen: set[bytes] = set()
        for name, _value in self._headers:
            if name in _ONCE and name in seen:
                raise BadRequest("a header that may stand once stands twice")
            seen.add(name)

    def _length(self) -> int | None:
        length = self._found.get(b"content-length")
        coding = self._found.get(b"transfer-encoding")
        if coding is not None:
            if length is not None or coding.lower() != b"chunked":
                raise BadRequest("the length of the body is not clear")
            return None
        if length is None:
            return 0
        if not _DIGITS.fullmatch(length):
            raise BadRequest("the length of the body is not clear")
        return int(length)
