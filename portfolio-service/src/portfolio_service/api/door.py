"""The short way in for order entry.

What FastAPI does between the socket and a handler costs more than an order does. The routes here are declared to it
as any other, so they stand in the OpenAPI document and are checked alike, but a request for one of them is read by
one plain function: the caller's token, the idempotency key, strict JSON, one call of the model.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.types import Receive, Scope, Send

from saras_common import jsonio
from saras_common.errors import InvalidInput, SarasError
from saras_common.metrics import Metrics
from saras_common.schemas import IDEMPOTENCY_KEY_PATTERN
from saras_common.web import RequestScope, current_user, invalid_input, problem_response

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN)


class EntryRoute(APIRoute):
    """A route whose endpoint takes exactly ``body``, ``caller``, ``entry`` and ``key``."""

    def get_route_handler(self) -> Handler:
        endpoint: Callable[..., Awaitable[Response]] = self.endpoint
        model: type[BaseModel] = inspect.signature(endpoint).parameters["body"].annotation

        async def handle(request: Request) -> Response:
            try:
                caller = await current_user(request)
                key = _key_of(request)
                body = _read(model, await request.body())
                return await endpoint(body=body, caller=caller, entry=request.app.state.order_entry, key=key)
            except SarasError as error:
                return problem_response(error)

        return handle


class EntryDoor:
    """Before everything else of ``owner``: takes POSTs to the router's paths past all the framework would do.

    What every request gets from `RequestScope` these get too.
    """

    def __init__(self, owner: FastAPI, router: APIRouter, *, service: str, metrics: Metrics) -> None:
        self._owner = owner
        self._rest = owner.build_middleware_stack()
        self._in_scope = RequestScope(self._serve, service=service, metrics=metrics)
        self._handlers = {
            route.path: route.get_route_handler() for route in router.routes if isinstance(route, EntryRoute)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and _path(scope) in self._handlers:
            await self._in_scope(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self._owner
        response = await self._handlers[_path(scope)](Request(scope, receive))
        await response(scope, receive, send)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _key_of(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.match(key):
        raise InvalidInput(errors=[{"field": "Idempotency-Key", "message": "up to 255 printable ASCII characters"}])
    return key


def _read(model: type[BaseModel], body: bytes) -> BaseModel:
    try:
        return model.model_validate(jsonio.loads(body))
    except jsonio.BadJson as error:
        raise InvalidInput(errors=[{"field": "body", "message": str(error)}]) from error
    except ValidationError as error:
        raise invalid_input(error.errors(include_url=False, include_context=False, include_input=False)) from None
