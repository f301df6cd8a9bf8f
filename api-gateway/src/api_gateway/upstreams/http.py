"""A service behind a network: aiohttp with kept-alive connections, answers streamed through.

Nothing is retried here. A request that may have been sent and got no answer is `UpstreamBroken`: the caller repeats it
with the same Idempotency-Key, we do not guess.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
from yarl import URL

from api_gateway.errors import UpstreamBroken
from api_gateway.upstreams.protocol import Answer, Receive, Scope, Send, whole_body
from saras_common.errors import Unavailable, UpstreamTimeout

RETRY_AFTER_S = 1
_CHUNK_BYTES = 64 * 1024


class HttpUpstream:
    """The service at ``base_url``.

    ``keepalive_s`` stays below the service's own keep-alive, so that a connection is not picked up as it is being
    closed. ``ask_timeout_s`` bounds the gateway's own questions; a client's request is bounded by the gateway.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connections: int = 256,
        connect_timeout_s: float = 2.0,
        keepalive_s: float = 3.0,
        ask_timeout_s: float = 5.0,
    ) -> None:
        self._base = URL(base_url.rstrip("/"))
        if self._base.scheme not in {"http", "https"} or not self._base.host:
            raise ValueError("an upstream is given as http://host:port")
        self._origin = str(self._base)
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_timeout_s, sock_connect=connect_timeout_s)
        self._ask_timeout = aiohttp.ClientTimeout(total=ask_timeout_s, sock_connect=connect_timeout_s)
        self._keepalive_s = keepalive_s
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        connector = aiohttp.TCPConnector(
            limit=self._connections, keepalive_timeout=self._keepalive_s, use_dns_cache=True
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            timeout=self._timeout,
        )

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole_body(receive) if _has_body(scope) else None
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in scope["headers"]
            if name not in {b"content-length", b"host"}
        ]
        try:
            answer = await self._open().request(
                scope["method"], self._url(scope), data=body, headers=headers, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _failure(error) from error
        async with answer:
            await _pass_through(answer, receive, send)

    async def ask(self, path: str, headers: Mapping[str, str]) -> Answer:
        try:
            url = URL(self._origin + path, encoded=True)
            async with self._open().get(
                url, headers=headers, timeout=self._ask_timeout, allow_redirects=False
            ) as answer:
                return Answer(answer.status, await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _failure(error) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise Unavailable("the gateway is not started", retry_after_s=RETRY_AFTER_S)
        return self._session

    def _url(self, scope: Scope) -> URL:
        target = self._origin + scope["raw_path"].decode("ascii")
        query: bytes = scope["query_string"]
        return URL(f"{target}?{query.decode('latin-1')}" if query else target, encoded=True)


def _has_body(scope: Scope) -> bool:
    return any(name == b"content-length" and value != b"0" for name, value in scope["headers"])


async def _pass_through(answer: aiohttp.ClientResponse, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": _lower(answer.raw_headers)})
    if answer.content.at_eof():
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    watch = None if answer.content_length is not None else asyncio.create_task(_cancel_when_gone(receive, answer))
    try:
        async for chunk in answer.content.iter_any():
            last = answer.content.at_eof()
            await send({"type": "http.response.body", "body": chunk, "more_body": not last})
            if last:
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _failure(error) from error
    finally:
        if watch is not None:
            watch.cancel()


async def _cancel_when_gone(receive: Receive, answer: aiohttp.ClientResponse) -> None:
    """Stop reading an endless answer once nobody listens."""
    while (await receive())["type"] != "http.disconnect":
        pass
    answer.close()


def _lower(headers: Any) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers]


def _failure(error: BaseException) -> Exception:
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        return Unavailable("a service cannot be reached", retry_after_s=RETRY_AFTER_S)
    if isinstance(error, TimeoutError):
        return UpstreamTimeout()
    return UpstreamBroken()
