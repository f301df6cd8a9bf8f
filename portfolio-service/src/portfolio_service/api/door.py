"""The short way in for order entry.

What FastAPI does between the socket and a handler costs more than an order does. The routes here are declared to it
as any other, so they stand in the OpenAPI document and are checked alike, but a request for one of them is read in one
pass: the caller's token, the idempotency key, strict JSON, one call of the model.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from fastapi import APIRouter, FastAPI, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from saras_common import jsonio
from saras_common.errors import InvalidInput, SarasError
from saras_common.metrics import Metrics
from saras_common.schemas import IDEMPOTENCY_KEY_PATTERN
from saras_common.web import (
    INTERNAL_TOKEN_HEADER,
    RequestScope,
    StrictRoute,
    invalid_input,
    person_of,
    problem_response,
)

_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN)
_KEY_HEADER = b"idempotency-key"
MOST_MISTAKES = 1_000
"""In a body; with more of them, naming each would take longer than a thousand orders do."""

_TOKEN_HEADER = INTERNAL_TOKEN_HEADER.lower().encode("ascii")


class EntryRoute(StrictRoute):
    """A route whose endpoint takes exactly ``body``, ``caller``, ``entry`` and ``key``."""


class _Way(NamedTuple):
    """Where a path leads, and the model of what it is sent."""

    endpoint: Callable[..., Awaitable[Response]]
    model: type[BaseModel]


class EntryDoor:
    """Before everything else of ``owner``: takes POSTs to the router's paths past all the framework would do.

    What every request gets from `RequestScope` these get too.
    """

    def __init__(self, owner: FastAPI, router: APIRouter, *, service: str, metrics: Metrics) -> None:
        self._state = owner.state
        self._rest = owner.build_middleware_stack()
        self._in_scope = RequestScope(self._serve, service=service, metrics=metrics)
        self._ways = {route.path: _way(route) for route in router.routes if isinstance(route, EntryRoute)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and _path(scope) in self._ways:
            await self._in_scope(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        way = self._ways[_path(scope)]
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            caller = person_of(self._state, headers.get(_TOKEN_HEADER))
            key = _key_of(headers)
            body = _read(way.model, await _body(receive))
            response = await way.endpoint(body=body, caller=caller, entry=self._state.order_entry, key=key)
        except SarasError as error:
            response = problem_response(error)
        await response(scope, receive, send)


def _way(route: APIRoute) -> _Way:
    return _Way(route.endpoint, inspect.signature(route.endpoint).parameters["body"].annotation)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _key_of(headers: Mapping[bytes, bytes]) -> str | None:
    written = headers.get(_KEY_HEADER)
    if written is None:
        return None
    key = written.decode("latin-1")
    if not _KEY.match(key):
        raise InvalidInput(errors=[{"field": "Idempotency-Key", "message": "up to 255 printable ASCII characters"}])
    return key


async def _body(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _read(model: type[BaseModel], body: bytes) -> BaseModel:
    try:
        return model.model_validate(jsonio.loads_request(body))
    except jsonio.BadJson as error:
        raise InvalidInput(errors=[{"field": "body", "message": str(error)}]) from error
    except ValidationError as error:
        if error.error_count() > MOST_MISTAKES:
            raise InvalidInput(errors=[{"field": "body", "message": "too many mistakes to name"}]) from None
        raise invalid_input(error.errors(include_url=False, include_context=False, include_input=False)) from None
