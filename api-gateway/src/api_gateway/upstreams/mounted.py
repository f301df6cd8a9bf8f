"""A service in this process: its ASGI application, called directly."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from api_gateway.upstreams.protocol import Answer, Message, Receive, Scope, Send
from saras_common.errors import Unavailable

log = logging.getLogger(__name__)

AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class MountedUpstream:
    """``app`` under the gateway's roof. Its lifespan is entered here unless ``lifespan`` is false."""

    def __init__(self, app: AsgiApp, *, lifespan: bool = True) -> None:
        self._app = app
        self._lifespan = Lifespan(app) if lifespan else None

    async def start(self) -> None:
        if self._lifespan is not None:
            await self._lifespan.start()

    async def stop(self) -> None:
        if self._lifespan is not None:
            await self._lifespan.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._lifespan is not None and self._lifespan.state:
            scope["state"] = self._lifespan.state.copy()
        await self._app(scope, receive, send)

    async def ask(self, path: str, headers: Mapping[str, str]) -> Answer:
        path, _, query = path.partition("?")
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [
                (b"host", b"mounted"),
                *((name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers.items()),
            ],
            "client": ("127.0.0.1", 0),
            "server": ("mounted", 80),
            "state": {},
        }
        status, parts, asked = 0, list[bytes](), asyncio.Event()

        async def receive() -> Message:
            if asked.is_set():  # an application that asks twice waits for the end of the client
                await asyncio.Event().wait()
            asked.set()
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))

        await self._app(scope, receive, send)
        return Answer(status, b"".join(parts))


class Lifespan:
    """The startup and shutdown of one ASGI application, which a mount would never run by itself."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()

    async def start(self) -> None:
        """Enter it; `Unavailable` when the application says it cannot start."""
        self._task = asyncio.create_task(self._run())
        await self._step("lifespan.startup")

    async def stop(self) -> None:
        """Leave it, if it was entered."""
        if self._task is None:
            return
        if not self._task.done():
            await self._step("lifespan.shutdown")
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _step(self, kind: str) -> None:
        await self._to_app.put({"type": kind})
        answer = await self._from_app.get()
        if answer["type"].endswith(".failed"):
            raise Unavailable(f"a mounted service answered {answer['type']}: {answer.get('message', '')[-500:]}")

    async def _run(self) -> None:
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._to_app.get, self._from_app.put)
        except Exception as error:
            log.exception("a mounted service's lifespan ended with an error")
            await self._from_app.put({"type": "lifespan.failed", "message": str(error)})
        else:
            await self._from_app.put({"type": "lifespan.ended"})
