"""The ticker socket: quotes in Kite's binary packets, order updates as text, a heartbeat every second."""

import asyncio
import contextlib
import json
import logging
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from kite_sandbox.edge.envelope import to_json
from kite_sandbox.edge.updates import update_view
from kite_sandbox.engine.broker import OrderUpdate
from kite_sandbox.sandbox import Sandbox
from kite_sandbox.ticker_packets import HEARTBEAT, TickMode, message, packet

log = logging.getLogger(__name__)

MAX_SOCKETS = 3
MAX_SUBSCRIPTIONS = 3_000
HEARTBEAT_S = 1.0
MAX_WAITING = 1_000
MAX_MESSAGE = 200_000
FORBIDDEN = 4403
MODES: dict[str, TickMode] = {"ltp": "ltp", "quote": "quote", "full": "full"}


class _Client:
    """One socket. Messages wait in a bounded queue, so that a client that does not read slows nobody but itself."""

    def __init__(self, socket: WebSocket, api_key: str, access_token: str) -> None:
        self.socket = socket
        self.api_key = api_key
        self.access_token = access_token
        self.modes: dict[int, TickMode] = {}
        self.waiting: asyncio.Queue[bytes | str] = asyncio.Queue(MAX_WAITING)

    def send(self, payload: bytes | str) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self.waiting.put_nowait(payload)


class Ticker:
    """All sockets. Listens to the sandbox for quotes and order updates."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._clients: set[_Client] = set()
        sandbox.tick_listeners.append(self._on_ticks)
        sandbox.update_listeners.append(self._on_update)

    async def serve(self, socket: WebSocket) -> None:
        """One client from handshake to close."""
        api_key = socket.query_params.get("api_key", "")
        access_token = socket.query_params.get("access_token", "")
        if (
            not self._is_logged_in(api_key, access_token)
            or sum(client.api_key == api_key for client in self._clients) >= MAX_SOCKETS
        ):
            await socket.close(FORBIDDEN)
            return
        await socket.accept()
        client = _Client(socket, api_key, access_token)
        self._clients.add(client)
        pump = asyncio.create_task(self._pump(client))
        reader = asyncio.create_task(self._read(client))
        try:
            await asyncio.wait({pump, reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._clients.discard(client)
            for task in (pump, reader):
                task.cancel()
            await asyncio.gather(pump, reader, return_exceptions=True)
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close()

    def _is_logged_in(self, api_key: str, access_token: str) -> bool:
        return self._sandbox.logins.find_account(api_key, access_token, self._sandbox.clock.now()) is not None

    async def _pump(self, client: _Client) -> None:
        """Send what waits, a heartbeat when nothing does, until the session ends."""
        while self._is_logged_in(client.api_key, client.access_token):
            try:
                payload = await asyncio.wait_for(client.waiting.get(), HEARTBEAT_S)
            except TimeoutError:
                payload = HEARTBEAT
            if isinstance(payload, bytes):
                await client.socket.send_bytes(payload)
            else:
                await client.socket.send_text(payload)

    async def _read(self, client: _Client) -> None:
        while True:
            received = await client.socket.receive()
            if received["type"] == "websocket.disconnect":
                return
            text = received.get("text") or (received.get("bytes") or b"").decode(errors="replace")
            if len(text) > MAX_MESSAGE:
                return
            problem = self._obey(client, text)
            if problem:
                client.send(to_json({"type": "error", "data": problem}).decode())

    def _obey(self, client: _Client, text: str) -> str | None:
        try:
            request = json.loads(text)
            action, value = request["a"], request["v"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return "Invalid message."
        if action == "subscribe":
            return self._subscribe(client, value, "quote", is_new=True)
        if action == "unsubscribe" and isinstance(value, list):
            for token in value:
                client.modes.pop(token, None) if isinstance(token, int) else None
            return None
        if action == "mode" and isinstance(value, list) and len(value) == len(("mode", "tokens")):
            mode = MODES.get(value[0]) if isinstance(value[0], str) else None
            return self._subscribe(client, value[1], mode, is_new=False) if mode else "Invalid mode."
        return "Invalid message."

    def _subscribe(self, client: _Client, tokens: Any, mode: TickMode, *, is_new: bool) -> str | None:
        if not isinstance(tokens, list):
            return "Invalid message."
        known = [token for token in tokens if isinstance(token, int) and self._sandbox.catalogue.find_token(token)]
        if len(client.modes.keys() | set(known)) > MAX_SUBSCRIPTIONS:
            return f"More than {MAX_SUBSCRIPTIONS} instruments on one socket."
        for token in known:
            client.modes[token] = client.modes.get(token, mode) if is_new else mode
        self._push(client, known)
        return None

    def _push(self, client: _Client, tokens: list[int]) -> None:
        now = self._sandbox.clock.now()
        packets = []
        for token in tokens:
            instrument = self._sandbox.catalogue.find_token(token)
            if instrument is not None:
                packets.append(packet(self._sandbox.state.market.get(instrument, now), client.modes[token]))
        if packets:
            client.send(message(packets))

    async def _on_ticks(self, keys: set[str]) -> None:
        found = [self._sandbox.catalogue.find(key) for key in keys]
        tokens = {instrument.token for instrument in found if instrument is not None}
        for client in self._clients:
            self._push(client, [token for token in client.modes if token in tokens])

    async def _on_update(self, update: OrderUpdate) -> None:
        text = ""
        for client in self._clients:
            if client.api_key == update.order.api_key:
                text = text or to_json({"type": "order", "id": "", "data": update_view(self._sandbox, update)}).decode()
                client.send(text)
