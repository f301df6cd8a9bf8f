"""Every door there is: the gateway's, over HTTP, and past it the services' own, with internal tokens."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

from fastapi.routing import APIRoute
from prove.campaign import Outcome
from prove.hostile import SERVICES, Knock, as_headers, hostile_internal
from prove.house import BASE, House, Line, Person, Reply
from prove.routes import Route

REFUSALS = frozenset({400, 401})
"""400 is for heads that could be read in two ways."""

OPEN = frozenset(
    {"/openapi.json", "/health/live", "/health/ready", "/metrics", "/.well-known/jwks.json", "/broker/postback"}
)
"""What a service answers to anybody who reaches it; of a postback nothing is believed but that there may be news."""

FILES = frozenset({"/analytics/draw.js", "/analytics/plotly.min.js"})
"""Scripts of pages, the same for everybody."""


def protected(document_routes: Sequence[Route]) -> list[Route]:
    """Routes nobody may use without a token."""
    return [route for route in document_routes if not route.is_public]


def try_door(line: Line, route: Route, knock: Knock) -> Reply:
    """One attempt at one route, with a body as the route wants it."""
    path = route.at({name: str(uuid4()) for name in route.id_names})
    if knock.query:
        path += ("&" if "?" in path else "?") + knock.query
    return line.ask(route.method, BASE + path, as_headers(knock), route.body)


def check_doors(line: Line, routes: Sequence[Route], tried: Sequence[Knock], is_over: Callable[[], bool]) -> Outcome:
    """Every knock at every door."""
    outcome = Outcome()
    for route in routes:
        if is_over():
            outcome.missed.append(f"{route.name} and what follows did not fit into the time")
            break
        for knock in tried:
            reply = try_door(line, route, knock)
            outcome.counts["attempts"] += 1
            if reply.status not in REFUSALS:
                outcome.violate(f"{route.name} answered {reply.status} to {knock.name}")
            elif knock.secret and knock.secret in reply.text:
                outcome.violate(f"{route.name} repeated the token of {knock.name}")
        outcome.counts["protected routes"] += 1
    return outcome


def check_good(routes: Sequence[Route], good: Person) -> Outcome:
    """That the doors do open: a good token is never answered with 401 where reading changes nothing."""
    outcome = Outcome()
    for route in routes:
        if route.method == "GET":
            path = route.at({name: str(uuid4()) for name in route.id_names})
            outcome.counts["routes a good token opens"] += 1
            if good.ask("GET", path).status in REFUSALS:
                outcome.violate(f"{route.name} refuses a good token, so its refusals prove nothing")
    return outcome


def routes_of(app: Any) -> list[tuple[str, str]]:
    """Method and path of everything a service serves, in no document or not."""
    found = []
    for route in _flat(app.routes):
        if isinstance(route, APIRoute) and route.path not in OPEN | FILES:
            found += [(method, route.path) for method in sorted((route.methods or set()) - {"HEAD"})]
    return found


def _flat(routes: Any) -> Iterator[Any]:
    for route in routes:
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if isinstance(route, APIRoute) or inner is None:
            yield route
        else:
            yield from _flat(inner.routes)


async def call(app: Any, method: str, path: str, token: str | None) -> int:
    """The status of one request to a service itself."""
    headers = [(b"host", b"service"), (b"content-type", b"application/json"), (b"content-length", b"2")]
    if token is not None:
        headers.append((b"x-internal-token", token.encode("latin-1")))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("192.0.2.1", 1), "server": ("service", 80), "state": {},
    }  # fmt: skip
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    return status


def check_inside(house: House, good: Person, *, most: int | None = None) -> Outcome:
    """Every internal token that is not good × every route of every service, documented or not."""
    return asyncio.run(_check_inside(house, good, most))


async def _check_inside(house: House, good: Person, most: int | None) -> Outcome:
    outcome = Outcome()
    for name in SERVICES:
        app = house.apps[name]
        tokens: list[tuple[str, str | None]] = [("none", None), *hostile_internal(house, name, good)]
        routes = routes_of(app)
        if not routes:
            outcome.violate(f"{name} has no routes to try")
        outcome.counts["hostile internal tokens"] = max(outcome.counts["hostile internal tokens"], len(tokens))
        for method, path in routes[:most]:
            for kind, token in tokens:
                status = await call(app, method, path, token)
                outcome.counts["internal tokens tried on services"] += 1
                if status != 401:
                    outcome.violate(f"{name} {method} {path} with an internal token {kind}: {status}")
    return outcome
