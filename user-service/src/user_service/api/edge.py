"""What every route of this service takes from the request, and the lane for the dear ones."""

import asyncio
import contextvars
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Depends, Request
from prometheus_client import Counter

from saras_common.errors import NotFound, Unavailable
from saras_common.ids import find_id
from saras_common.schemas import decode_cursor
from user_service.usecases import Context, Origin

CLIENT_ADDRESS_HEADER = "X-Client-Address"
"""Set by the gateway; believed because nothing else holds an internal token to put beside it."""

MAX_AGENT_CHARS = 200
_CONTROL = re.compile(r"[^\x20-\x7e]")
T = TypeVar("T")


class Lane:
    """A few threads of their own for hashing, so that a rush of sign-ins leaves every other request its threads.

    Callers beyond the queue are told to come back, before anything was done for them.
    """

    def __init__(self, threads: int, queue: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="sign-in")
        self._limit = threads + queue
        self._inside = 0

    async def run(self, work: Callable[[], T]) -> T:
        """``work()`` in a thread of the lane, with this request's context; `Unavailable` when the queue is full."""
        if self._inside >= self._limit:
            raise Unavailable("Too many sign-ins at once", retry_after_s=1)
        self._inside += 1
        try:
            run = contextvars.copy_context().run
            return await asyncio.get_running_loop().run_in_executor(self._threads, run, work)
        finally:
            self._inside -= 1

    def close(self) -> None:
        """Let what runs end."""
        self._threads.shutdown(cancel_futures=True)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _lane(request: Request) -> Lane:
    lane: Lane = request.app.state.lane
    return lane


def _logins(request: Request) -> Counter:
    logins: Counter = request.app.state.logins
    return logins


def _origin(request: Request) -> Origin:
    try:
        address = str(ip_address(request.headers.get(CLIENT_ADDRESS_HEADER, "")))
    except ValueError:
        address = ""
    return Origin(address, _CONTROL.sub("?", request.headers.get("User-Agent", ""))[:MAX_AGENT_CHARS])


Ctx = Annotated[Context, Depends(_context)]
SignInLane = Annotated[Lane, Depends(_lane)]
Logins = Annotated[Counter, Depends(_logins)]
From = Annotated[Origin, Depends(_origin)]


def id_in_path(text: str) -> UUID:
    """The id in a path; what is none names nothing."""
    found = find_id(text)
    if found is None:
        raise NotFound
    return found


def id_in_cursor(cursor: str | None) -> UUID | None:
    """The id a page starts after."""
    position = decode_cursor(cursor, str)
    return None if position is None else id_in_path(position[0])
