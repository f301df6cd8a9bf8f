"""One OpenAPI document for the platform, merged from the services' own and cut to what the gateway routes."""

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from api_gateway.exchange import Exchange
from api_gateway.health import JSON
from api_gateway.routes import BASE_PATH, JWKS, JWKS_PATH, Access, Route, RouteTable
from api_gateway.upstreams import Upstream
from saras_common import jsonio
from saras_common.clock import Clock

log = logging.getLogger(__name__)

_KEEP_S = 60.0
_RETRY_S = 2.0
_ASK_TIMEOUT_S = 10.0
_REF = re.compile(r"#/components/(\w+)/(.+)")

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem document",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "stable, snake_case"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                "required": ["field", "message"],
            },
        },
    },
}
_PROBLEM_ANSWERS = {
    "400": "The request is not well formed",
    "401": "Not signed in",
    "403": "Not allowed",
    "404": "No such thing",
    "414": "The address is too long",
    "422": "The request is not valid",
    "429": "Too many requests",
    "431": "Too many or too large headers",
    "503": "Temporarily unavailable",
}
_PROBLEM_ANSWERS_TO_WRITES = {
    "408": "The body took too long to arrive",
    "409": "Not possible in the present state",
    "413": "The body is too large",
    "415": "Bodies are application/json",
}
"""Where a body is read and something is changed."""
_OPEN_BUT_REFUSING = frozenset({"login", "token/refresh", "broker/postback"})
"""Public calls that may be answered 401 or 403."""


class PlatformApi:
    """The merged document, read again after a minute, or after two seconds while a service is missing from it."""

    def __init__(self, upstreams: Mapping[str, Upstream], routes: RouteTable, clock: Clock) -> None:
        self._upstreams = upstreams
        self._routes = routes
        self._clock = clock
        self._document: dict[str, Any] = {}
        self._body = b""
        self._until = float("-inf")
        self._reading = asyncio.Lock()

    async def document(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document."""
        async with self._reading:
            if self._clock.monotonic() >= self._until:
                found = await self._read()
                self._document = merged(found, self._routes)
                self._body = jsonio.dumps(self._document)
                keep_s = _KEEP_S if len(found) == len(self._upstreams) else _RETRY_S
                self._until = self._clock.monotonic() + keep_s
            return self._document

    async def answer(self, exchange: Exchange) -> None:
        """The document over HTTP."""
        await self.document()
        await exchange.answer(200, JSON, self._body)

    async def _read(self) -> dict[str, dict[str, Any]]:
        names = sorted(self._upstreams)
        documents = await asyncio.gather(*(self._read_one(name) for name in names))
        return {name: document for name, document in zip(names, documents, strict=True) if document is not None}

    async def _read_one(self, name: str) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                answer = await self._upstreams[name].ask("/openapi.json", {})
            document = answer.json()
        except Exception as error:  # noqa: BLE001 - the document does without this service for now
            log.warning("a service gave no OpenAPI", extra={"upstream": name, "reason": type(error).__name__})
            return None
        return document if isinstance(document, dict) else None


def merged(documents: Mapping[str, Mapping[str, Any]], routes: RouteTable) -> dict[str, Any]:
    """One document from ``documents`` by service name; components of the same name stay apart when they differ."""
    paths: dict[str, Any] = {}
    components: dict[str, dict[str, Any]] = {
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        "schemas": {"Problem": _PROBLEM},
    }
    for service in sorted(documents):
        document = documents[service]
        names = _add_components(components, document.get("components", {}), service)
        for path, item in sorted(document.get("paths", {}).items()):
            route = JWKS if path == JWKS_PATH else routes.find(path)
            if route is not None and route.service == service:
                outer = path if path == JWKS_PATH else BASE_PATH + path
                paths[outer] = _operations(_renamed(item, names), route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Saras", "version": "1", "description": "Every public call of the platform."},
        "tags": [{"name": name} for name in sorted(documents)],
        "paths": paths,
        "components": components,
    }


def _add_components(merged_into: dict[str, dict[str, Any]], added: Mapping[str, Any], service: str) -> dict[str, str]:
    """Put ``added`` in; gives the new name of every ``#/components/…`` reference that had to move."""
    moved: dict[str, str] = {}
    for kind, entries in added.items():
        known = merged_into.setdefault(kind, {})
        for name, entry in entries.items():
            if known.get(name, entry) != entry:
                moved[f"#/components/{kind}/{name}"] = f"{service.replace('-', '_')}_{name}"
    for kind, entries in added.items():
        for name, entry in entries.items():
            merged_into[kind][moved.get(f"#/components/{kind}/{name}", name)] = _renamed(entry, moved)
    return moved


def _renamed(value: Any, moved: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: _moved(item, moved) if key == "$ref" and isinstance(item, str) else _renamed(item, moved)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_renamed(item, moved) for item in value]
    return value


def _moved(reference: str, moved: Mapping[str, str]) -> str:
    name, match = moved.get(reference), _REF.fullmatch(reference)
    return reference if name is None or match is None else f"#/components/{match[1]}/{name}"


def _operations(item: Mapping[str, Any], route: Route) -> dict[str, Any]:
    return {
        method: _operation(operation, route, method) if isinstance(operation, dict) else operation
        for method, operation in item.items()
    }


def _operation(operation: Mapping[str, Any], route: Route, method: str) -> dict[str, Any]:
    answers = {
        status: answer
        for status, answer in operation.get("responses", {}).items()
        if status != "422"  # the framework's own shape; ours is a problem
    }
    public = route.access is Access.PUBLIC
    problems = _PROBLEM_ANSWERS if method == "get" else _PROBLEM_ANSWERS | _PROBLEM_ANSWERS_TO_WRITES
    for status, description in problems.items():
        if public and status in {"401", "403"} and route.name not in _OPEN_BUT_REFUSING:
            continue
        answers.setdefault(status, _problem_answer(description))
    operation_id = f"{route.service}_{operation['operationId']}" if "operationId" in operation else None
    changed = {
        **operation,
        "tags": [route.service],
        "parameters": _public_parameters(operation.get("parameters", ())),
        "responses": answers,
        "security": [] if public else [{"bearer": []}],
    }
    if operation_id is not None:
        changed["operationId"] = operation_id
    return changed


def _public_parameters(parameters: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without the headers a client may not set."""
    inside = ("x-internal-token", "x-client-address")
    return [
        parameter
        for parameter in parameters
        if not (parameter.get("in") == "header" and str(parameter.get("name", "")).lower() in inside)
    ]


def _problem_answer(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}
