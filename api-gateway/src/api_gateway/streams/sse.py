"""`GET /events`: server-sent events, as the HTML standard has them."""

import asyncio
from urllib.parse import parse_qs

from api_gateway.heads import Headers
from api_gateway.sessions import Caller
from api_gateway.streams.feed import position_of, sse_frame, sse_mark
from api_gateway.streams.mailbox import Ending, Mailbox
from api_gateway.streams.mailboxes import Mailboxes
from api_gateway.streams.tail import Tail
from api_gateway.upstreams import Receive, Scope, Send

HEARTBEAT = b":\n\n"
"""A comment: nothing to a client, a sign of life to everything in between."""

_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # proxies of a common kind gather answers otherwise
]


class ServerSentEvents:
    """Serves one stream a request."""

    def __init__(self, mailboxes: Mailboxes, tail: Tail) -> None:
        self._mailboxes = mailboxes
        self._tail = tail

    async def serve(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        """The stream of ``caller``, until somebody leaves."""
        after = asked_position(scope["headers"], scope["query_string"])
        mailbox = self._mailboxes.open(caller, sse_frame, HEARTBEAT)
        watch: asyncio.Task[None] | None = None
        try:
            opening = sse_mark(await self._tail.place(mailbox)) if after is None else HEARTBEAT
            with mailbox.writing():
                await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
                await _write(send, opening)
            watch = asyncio.create_task(_end_when_gone(receive, mailbox))
            if after is not None:
                async for entries in self._tail.catch_up(mailbox, after):
                    if mailbox.ending is None:
                        with mailbox.writing():
                            await _write(send, b"".join(map(sse_frame, entries)))
            while frames := (await mailbox.take())[0]:
                with mailbox.writing():
                    await _write(send, b"".join(frames))
            await send({"type": "http.response.body", "body": b""})
        except asyncio.CancelledError:
            if not mailbox.was_cut():
                raise
        finally:
            mailbox.end(Ending.GONE)
            if watch is not None:
                watch.cancel()


def asked_position(headers: Headers, query: bytes) -> int | None:
    """Where the client wants to go on, from ``Last-Event-ID`` or, for one that cannot set it, from the query."""
    named = dict(headers).get(b"last-event-id")
    text = named.decode("latin-1") if named is not None else None
    if text is None:
        found = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("last_event_id")
        text = found[0] if found else None
    return position_of(text or None)


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _end_when_gone(receive: Receive, mailbox: Mailbox) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    mailbox.end(Ending.GONE)
