"""Which web pages of other origins may call, from settings; none by default."""

from collections.abc import Collection

from api_gateway.heads import Head, Headers

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")
ALLOW = ", ".join(METHODS).encode("ascii")

_EXPOSED = b"X-Request-ID, Retry-After, Idempotency-Replayed, Location"
_ASKABLE = b"Authorization, Content-Type, Idempotency-Key, X-Request-ID, Last-Event-ID"
_PREFLIGHT_AGE_S = b"600"


class Cors:
    """Answers for a closed set of origins, or any (``*``). Tokens travel in a header, so cookies are never allowed."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origin.rstrip("/").encode("ascii") for origin in origins)
        self._any = b"*" in self._origins

    def headers(self, head: Head) -> Headers:
        """What to add to the answer of ``head``'s request."""
        if not self._origins:
            return []
        origin = head.find(b"origin")
        if origin is None or not (self._any or origin in self._origins):
            return [(b"vary", b"Origin")]
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"Origin"),
        ]

    def preflight(self, head: Head) -> Headers:
        """What to add to the answer of an OPTIONS request."""
        allow = [(b"allow", ALLOW)]
        origin = head.find(b"origin")
        if origin is None or not (self._any or origin in self._origins):
            return allow
        return [
            *allow,
            (b"access-control-allow-methods", ALLOW),
            (b"access-control-allow-headers", _ASKABLE),
            (b"access-control-max-age", _PREFLIGHT_AGE_S),
        ]
