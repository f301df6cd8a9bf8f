"""One request and its answer: the answer's headers, problems, and what is known about it at the end."""

from collections.abc import Callable

from api_gateway.errors import MethodNotAllowed
from api_gateway.heads import Headers
from api_gateway.upstreams import Message, Send
from saras_common import jsonio
from saras_common.errors import SarasError, Unauthenticated, problem

PROBLEM = b"application/problem+json"
_ERROR = 400
_STREAM = b"text/event-stream"

DROPPED = frozenset(
    {
        *(b"connection", b"keep-alive", b"transfer-encoding", b"te", b"trailer", b"upgrade", b"proxy-authenticate"),
        *(b"server", b"date", b"x-request-id", b"x-internal-token", b"x-powered-by", b"set-cookie"),
        *(b"cache-control", b"x-content-type-options", b"x-frame-options", b"referrer-policy"),
        *(b"content-security-policy", b"strict-transport-security"),
    }
)
"""Headers of a service's answer that are the gateway's to say, or nobody's."""

API_POLICY: Headers = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
PAGE_CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data: blob:; frame-ancestors 'none'"
)
"""For a page of a service: our own scripts, which write styles and draw pictures."""
HSTS: Headers = [(b"strict-transport-security", b"max-age=31536000; includeSubDomains")]


def for_pages(policy: Headers) -> Headers:
    """``policy`` for a page with scripts of ours."""
    return [(name, PAGE_CSP if name == b"content-security-policy" else value) for name, value in policy]


class StatusOnly(SarasError):
    """Stands for a service's error answer that was not JSON: the status stays, the text does not."""

    code, status, title = "upstream_error", 500, "A service refused the request"

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status  # type: ignore[misc] # the service decided it


class Exchange:
    """Carries the answer out through ``send``; ``policy`` is added to every answer's headers."""

    __slots__ = (
        "_policy",
        "_replaced",
        "_send",
        "close",
        "done",
        "endless",
        "head_only",
        "late",
        "request_id",
        "status",
    )

    def __init__(self, send: Send, request_id: bytes, policy: Headers, *, head_only: bool) -> None:
        self._send = send
        self._policy = policy
        self._replaced = False
        self.request_id = request_id
        self.head_only = head_only
        self.status = 0
        self.done = False
        self.close = False
        self.endless = False
        self.late = False

    def change_policy(self, change: Callable[[Headers], Headers]) -> None:
        """Answer under another policy than an API call's."""
        self._policy = change(self._policy)

    async def send(self, message: Message) -> None:
        """ASGI ``send`` for a service's answer."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif not self._replaced:
            more = message.get("more_body", False)
            self.done = not more
            if self.head_only:
                message = {"type": "http.response.body", "body": b"", "more_body": more}
            await self._send(message)

    async def answer(self, status: int, content_type: bytes, body: bytes) -> None:
        """A whole answer of the gateway's own."""
        headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode("ascii"))]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def no_content(self, extra: Headers) -> None:
        """204, with headers alone."""
        await self.send({"type": "http.response.start", "status": 204, "headers": extra})
        await self.send({"type": "http.response.body", "body": b""})

    async def refuse(self, error: SarasError) -> None:
        """The problem document of ``error``."""
        body = jsonio.dumps(problem(error, self.request_id.decode("ascii")))
        extra: Headers = []
        if error.retry_after_s is not None:
            extra.append((b"retry-after", str(error.retry_after_s).encode("ascii")))
        if error.status == Unauthenticated.status:
            extra.append((b"www-authenticate", b"Bearer"))
        if self.close:
            extra.append((b"connection", b"close"))
        self.status = error.status
        headers = [(b"content-type", PROBLEM), (b"content-length", str(len(body)).encode("ascii"))]
        await self._send(self._head(error.status, headers, extra))
        self.done = True
        await self._send({"type": "http.response.body", "body": b"" if self.head_only else body})

    async def _start(self, message: Message) -> None:
        status = message["status"]
        headers = list(message.get("headers", ()))
        content_type = dict(headers).get(b"content-type", b"")
        is_stream = content_type.startswith(_STREAM)
        if is_stream and self.head_only:
            raise MethodNotAllowed  # there is no end to wait for
        self.status = status
        if status >= _ERROR and b"json" not in content_type:
            self._replaced = True
            await self.refuse(StatusOnly(status))
            return
        self.endless = is_stream  # until somebody leaves
        await self._send(self._head(status, headers))

    def _head(self, status: int, headers: Headers, extra: Headers | None = None) -> Message:
        kept = [pair for pair in headers if pair[0] not in DROPPED]
        if extra:
            kept += extra
        kept += self._policy
        kept.append((b"x-request-id", self.request_id))
        return {"type": "http.response.start", "status": status, "headers": kept}
