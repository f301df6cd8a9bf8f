"""`GET /ws`: the same events as messages, quotes on subscription, one conversation a connection.

The server says ``ready`` (with the id the stream begins at), ``event``, ``quotes``, ``subscribed``, ``error``; the
client what ``messages`` reads. The end has a code: 4401 not signed in (any more), 1008 too much said that was wrong,
1012 this process ends, 1013 come back and go on from the last id.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from api_gateway.errors import InternalError
from api_gateway.exchange import PROBLEM
from api_gateway.heads import Head
from api_gateway.routes import BASE_PATH
from api_gateway.sessions import Caller
from api_gateway.streams import messages
from api_gateway.streams.door import PROTOCOL, WebSocketDoor
from api_gateway.streams.errors import BadMessage
from api_gateway.streams.feed import event_id, message, message_frame
from api_gateway.streams.mailbox import Ending, Mailbox
from api_gateway.streams.mailboxes import Mailboxes
from api_gateway.streams.quotes import MOST_A_CONNECTION, Quotes
from api_gateway.streams.sse import asked_position
from api_gateway.streams.tail import Tail
from api_gateway.telemetry import Telemetry
from api_gateway.upstreams import Receive, Scope, Send
from saras_common import jsonio
from saras_common.clock import Clock
from saras_common.errors import SarasError, TooManyRequests, Unauthenticated, Unavailable, problem

log = logging.getLogger(__name__)

PATH = f"{BASE_PATH}/ws"
NOT_SIGNED_IN, BROKE_RULES, RESTART, COME_BACK = 4401, 1008, 1012, 1013
CODES = {
    Ending.SIGNED_OUT: NOT_SIGNED_IN,
    Ending.REFUSED: BROKE_RULES,
    Ending.CLOSING: RESTART,
}
"""Close codes by reason; every other end means: come back."""

MOST_SIGNING_IN = 256
"""Connections at once that have not yet said who they are; strangers must not fill the house."""

_MISTAKES = 10
_SWITCHED = 101
_CLOSE_S = 0.5


class WebSockets:
    """Serves one conversation a connection."""

    def __init__(
        self,
        door: WebSocketDoor,
        mailboxes: Mailboxes,
        tail: Tail,
        quotes: Quotes,
        telemetry: Telemetry,
        clock: Clock,
        new_request_id: Callable[[], bytes],
        sign_in_s: float,
    ) -> None:
        self._door = door
        self._mailboxes = mailboxes
        self._tail = tail
        self._quotes = quotes
        self._telemetry = telemetry
        self._clock = clock
        self._new_request_id = new_request_id
        self._sign_in_s = sign_in_s
        self._signing_in = 0

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """From the handshake to the access log."""
        started, at = self._clock.monotonic(), self._clock.now().timestamp()
        request_id = (Head(scope["headers"]).find_request_id() or self._new_request_id()).decode("ascii")
        client, user, status = self._door.client(scope), "", _SWITCHED
        await receive()  # the server says that somebody knocked
        try:
            caller = await self._look(scope, client)
            after = asked_position(scope["headers"], scope["query_string"])
            mailbox = None if caller is None else self._mailboxes.open(caller, message_frame)
        except SarasError as error:
            status = error.status
            self._telemetry.refused(error.code)
            await _refuse(send, error, request_id)
        except Exception:
            log.exception("a handshake failed", extra={"request": request_id})
            status = InternalError.status
            await _refuse(send, InternalError(), request_id)
        else:
            protocol = PROTOCOL if PROTOCOL in scope["subprotocols"] else None
            await send({"type": "websocket.accept", "subprotocol": protocol, "headers": _id_header(request_id)})
            user = await self._converse(mailbox, after, receive, send)
        finally:
            line = (at, request_id, "GET", PATH, status, self._clock.monotonic() - started, client, user)
            self._telemetry.exchange("ws", line)

    async def _look(self, scope: Scope, client: str) -> Caller | None:
        caller = await self._door.look(scope, client)
        if caller is None and self._signing_in >= MOST_SIGNING_IN:
            raise Unavailable("Too many are signing in", retry_after_s=1)
        return caller

    async def _converse(self, mailbox: Mailbox | None, after: int | None, receive: Receive, send: Send) -> str:
        """Sign in if that is still to be done, and talk; the user's id."""
        try:
            if mailbox is None:
                mailbox = self._mailboxes.open(await self._first_message(receive), message_frame)
        except SarasError as error:
            self._telemetry.refused(error.code)
            await _close(send, NOT_SIGNED_IN if isinstance(error, Unauthenticated) else COME_BACK, error.code)
            return ""
        conversation = Conversation(mailbox, self._door, self._tail, self._quotes)
        await conversation.run(after, receive, send)
        return mailbox.user

    async def _first_message(self, receive: Receive) -> Caller:
        """Whom the first message signs in; `Unauthenticated` when it does not, or does not come."""
        self._signing_in += 1
        try:
            async with asyncio.timeout(self._sign_in_s):
                heard = await receive()
            said = messages.read(heard.get("text") or "")
        except (TimeoutError, BadMessage) as error:
            raise Unauthenticated from error
        finally:
            self._signing_in -= 1
        if not isinstance(said, messages.Auth):
            raise Unauthenticated
        return await self._door.admit(said.token)


class Conversation:
    """One signed-in connection."""

    def __init__(self, mailbox: Mailbox, door: WebSocketDoor, tail: Tail, quotes: Quotes) -> None:
        self._mailbox = mailbox
        self._door = door
        self._tail = tail
        self._quotes = quotes
        self._names: dict[str, None] = {}
        self._mistakes = 0

    async def run(self, after: int | None, receive: Receive, send: Send) -> None:
        """Until one side ends it."""
        mailbox = self._mailbox
        listening = asyncio.create_task(self._listen(receive))
        try:
            await self._speak(after, send)
        except asyncio.CancelledError:
            if not mailbox.was_cut():
                raise
        except OSError:
            pass  # the client left while we spoke
        except SarasError as error:
            log.warning("a conversation broke off", extra={"reason": error.code})
            mailbox.end(Ending.BROKEN)
        finally:
            mailbox.end(Ending.GONE)
            self._quotes.unsubscribe(mailbox, self._names)
            listening.cancel()
        if mailbox.ending is not None and mailbox.ending is not Ending.GONE:
            await _close(send, CODES.get(mailbox.ending, COME_BACK), mailbox.ending.value)

    async def _speak(self, after: int | None, send: Send) -> None:
        mailbox = self._mailbox
        if after is None:
            await self._write(send, self._ready(await self._tail.place(mailbox)))
        else:
            await self._write(send, self._ready(after))
            async for entries in self._tail.catch_up(mailbox, after):
                for entry in entries:
                    await self._write(send, message_frame(entry))
        while True:
            frames, quotes = await mailbox.take()
            if not frames and not quotes:
                return
            for frame in frames:
                await self._write(send, frame)
            if quotes:
                await self._write(send, message("quotes", {"items": quotes}))

    async def _write(self, send: Send, frame: bytes) -> None:
        if self._mailbox.ending is None:
            with self._mailbox.writing():
                await send({"type": "websocket.send", "text": frame.decode()})

    def _ready(self, position: int) -> bytes:
        identity = self._mailbox.caller.identity
        return message("ready", {"id": event_id(position), "user_id": str(identity.user_id)})

    async def _listen(self, receive: Receive) -> None:
        while (heard := await receive())["type"] == "websocket.receive":
            try:
                self._door.count(self._mailbox.caller)
                await self._hear(messages.read(heard.get("text") or ""))
            except SarasError as error:
                self._mailbox.put_frame(message("error", {"code": error.code, "detail": error.detail}))
                self._mistakes += 1
                if self._mistakes >= _MISTAKES or isinstance(error, TooManyRequests | Unauthenticated):
                    is_unknown = isinstance(error, Unauthenticated)
                    self._mailbox.end(Ending.SIGNED_OUT if is_unknown else Ending.REFUSED)
        self._mailbox.end(Ending.GONE)

    async def _hear(self, said: messages.Said) -> None:
        if isinstance(said, messages.Auth):
            caller = await self._door.admit(said.token)
            if caller.user != self._mailbox.user:
                raise Unauthenticated
            self._mailbox.caller = caller
            return
        names = dict.fromkeys(said.instruments)
        if isinstance(said, messages.Subscribe):
            if len(self._names | names) > MOST_A_CONNECTION:
                raise BadMessage(f"at most {MOST_A_CONNECTION} instruments a connection")
            self._names |= names
            self._say_subscribed()
            self._quotes.subscribe(self._mailbox, names)
        else:
            self._names = {name: None for name in self._names if name not in names}
            self._quotes.unsubscribe(self._mailbox, names)
            self._say_subscribed()

    def _say_subscribed(self) -> None:
        self._mailbox.put_frame(message("subscribed", {"instruments": list(self._names)}))


def _id_header(request_id: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-request-id", request_id.encode("ascii"))]


async def _refuse(send: Send, error: SarasError, request_id: str) -> None:
    """The problem instead of a handshake."""
    headers = [(b"content-type", PROBLEM), (b"cache-control", b"no-store"), *_id_header(request_id)]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode("ascii")))
    if error.status == Unauthenticated.status:
        headers.append((b"www-authenticate", b"Bearer"))
    body: Any = jsonio.dumps(problem(error, request_id))
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


async def _close(send: Send, code: int, reason: str) -> None:
    """Say goodbye; whoever does not even take that is cut off by the socket's own deadline."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await send({"type": "websocket.close", "code": code, "reason": reason})
    except (TimeoutError, RuntimeError, OSError):
        log.info("a stream's end was not heard")
