"""What a hostile client sends: values no field takes, bodies no parser should, paths and headers no reader expects.

Each body is a good one with something put in its place, so that it gets as far as the check that must stop it.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from prove.horrors import (
    BODIES,
    CONTENT_TYPES,
    HEADERS,
    LITERALS,
    MARK,
    METHODS,
    QUERIES,
    SEGMENTS,
    STRANGE_PATHS,
    TEXTS,
    VERY_LONG,
)
from prove.samples import GOOD_IDS, GOOD_QUERIES, SAMPLES
from prove.shapes import Operation
from prove.wire import JSON, Request

STRANGE_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Case:
    """One call to be judged. ``operation`` is the documented one it is for, if any; ``who`` calls: user, admin, nobody.

    ``closes``: the server may close instead of answering, for what it is sent is too much.
    """

    label: str
    request: Request
    operation: Operation | None
    who: str
    closes: bool = False


def good(operation: Operation, ids: Mapping[str, str] = GOOD_IDS) -> Request:
    """A call of ``operation`` with nothing wrong in it; ``ids`` go into its path."""
    target = operation.path
    for name in operation.names_in("path"):
        target = target.replace(f"{{{name}}}", quote(ids.get(name, "nope"), safe=":"))
    if query := GOOD_QUERIES.get(operation.name):
        target += "?" + urlencode(query)
    body = SAMPLES.get(operation.name)
    return Request(operation.method, target, None if body is None else json.dumps(body).encode())


def who_may(operation: Operation) -> str:
    """Who such calls are for."""
    return "nobody" if operation.is_public else "admin" if operation.is_admin else "user"


Make = Callable[[], Request]
Twist = Callable[[Operation, Request], Iterator[tuple[str, Make]]]
"""What can be wrong in one respect: a name for each, and how to make it. Most are made once, if at all."""


def _field_twists(operation: Operation, request: Request) -> Iterator[tuple[str, Make]]:
    body = SAMPLES.get(operation.name)
    for path in places(body):
        for literal in LITERALS:
            yield f"{'.'.join(map(str, path))} = {literal[:40]}", partial(_with_literal, request, body, path, literal)


def _with_literal(request: Request, body: Any, path: tuple[Any, ...], literal: str) -> Request:
    return replace(request, body=written(body, {path: literal}))


def _body_twists(operation: Operation, request: Request) -> Iterator[tuple[str, Make]]:
    whole = request.body or b"{}"
    for label in BODIES:
        yield f"body: {label}", partial(_with_body, request, whole, label)
    for kind in CONTENT_TYPES:
        yield f"type: {kind}", partial(replace, request, body=whole, content_type=kind)
    body = SAMPLES.get(operation.name)
    for extra in ("user_id", "id", "is_admin", "roles", "status", "__proto__", MARK, "a\u202eb", ""):
        if isinstance(body, dict):
            yield f"extra {extra}", partial(replace, request, body=json.dumps({**body, extra: "admin"}).encode())


def _with_body(request: Request, whole: bytes, label: str) -> Request:
    return replace(request, body=BODIES[label](whole))


def _path_twists(operation: Operation, request: Request) -> Iterator[tuple[str, Make]]:
    for name in operation.names_in("path"):
        for segment in SEGMENTS:
            target = operation.path.replace(f"{{{name}}}", segment)
            for other in operation.names_in("path"):
                target = target.replace(f"{{{other}}}", GOOD_IDS.get(other, "nope"))
            yield f"{name} = {segment[:40]}", partial(replace, request, target=target)


def _query_twists(operation: Operation, request: Request) -> Iterator[tuple[str, Make]]:
    plain = request.target.partition("?")[0]
    for name in operation.names_in("query"):
        for text in TEXTS:
            yield f"?{name}={text[:40]!r}", partial(_with_query, request, f"{plain}?{name}=", text)
    for query in QUERIES:
        yield f"?{query[:40]}", partial(replace, request, target=f"{plain}?{query}")


def _with_query(request: Request, target: str, text: str) -> Request:
    return replace(request, target=target + quote(text[:2_000]))


def _header_twists(_operation: Operation, request: Request) -> Iterator[tuple[str, Make]]:
    for headers in HEADERS:
        yield f"headers: {str(headers)[:60]}", partial(replace, request, headers=headers)


def _method_twists(_operation: Operation, request: Request) -> Iterator[tuple[str, Make]]:
    for method in METHODS:
        if method != request.method:
            yield f"method {method}", partial(replace, request, method=method)


ELSEWHERE: tuple[Twist, ...] = (_path_twists, _query_twists, _header_twists)
TWISTS: tuple[Twist, ...] = (_field_twists, _body_twists, *ELSEWHERE, _method_twists)


def _several(operation: Operation, draw: random.Random) -> Iterator[tuple[str, Request]]:
    """Several things wrong at once, drawn; without end."""
    plain, body = good(operation), SAMPLES.get(operation.name)
    spots = places(body)
    others = [found for twist in ELSEWHERE if (found := list(twist(operation, plain)))]
    while True:
        request, labels = plain, []
        if spots:
            chosen = {draw.choice(spots): draw.choice(LITERALS) for _ in range(draw.randint(1, 3))}
            request = replace(request, body=written(body, chosen))
            labels = [f"{'.'.join(map(str, path))} = {literal[:30]}" for path, literal in chosen.items()]
        if not spots or draw.random() < 0.4:
            for found in draw.sample(others, min(len(others), draw.randint(1, 2))):
                label, make = draw.choice(found)
                other = make()
                labels.append(label)
                request = replace(request, headers={**request.headers, **other.headers})
                request = request if other.target == plain.target else replace(request, target=other.target)
        yield " & ".join(labels), request


def cases(operations: list[Operation], draw: random.Random) -> Iterator[Case]:
    """Each thing wrong once, in a drawn order, and then several at once for ever."""
    once = [
        (operation, label, make)
        for operation in operations
        for twist in TWISTS
        for label, make in twist(operation, good(operation))
    ]
    draw.shuffle(once)
    strange = list(STRANGE_PATHS)
    for operation, label, make in once:
        if strange and draw.random() < STRANGE_SHARE:
            path = strange.pop()
            yield Case(f"path {path[:40]}", Request("GET", path), None, "user", closes=True)
        yield _case(operation, label, make(), operations)
    endless = [(operation, _several(operation, draw)) for operation in operations]
    while True:
        operation, found = draw.choice(endless)
        yield _case(operation, *next(found), operations)


def huge(operations: list[Operation]) -> Iterator[Case]:
    """Texts of a megabyte and of ten, on every call that takes a body."""
    for operation in operations:
        body = SAMPLES.get(operation.name)
        if not isinstance(body, dict) or not body:
            continue
        for size in (VERY_LONG, 10 * VERY_LONG):
            raw = written(body, {(next(iter(body)),): json.dumps("x" * size)})
            request = replace(good(operation), body=raw, content_type=JSON)
            yield Case(f"{operation.name}: a text of {size:,}", request, operation, who_may(operation), closes=True)


def _case(operation: Operation, label: str, request: Request, operations: list[Operation]) -> Case:
    known: Operation | None = operation
    if request.method != operation.method:
        meant = "GET" if request.method == "HEAD" else request.method
        known = next((o for o in operations if (o.method, o.path) == (meant, operation.path)), None)
    return Case(f"{operation.name}: {label}", request, known, who_may(operation), closes="headers: " in label)


def places(body: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything in ``body``, containers as well, itself not."""
    inside = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    found: list[tuple[Any, ...]] = []
    for key, value in inside:
        found += [(*at, key), *places(value, (*at, key))]
    return found


def written(body: Any, literals: Mapping[tuple[Any, ...], str]) -> bytes:
    """``body`` as JSON with these texts in place of what stands at those paths, whether they are JSON or not."""
    return _text(body, (), literals).encode("utf-8", "surrogatepass")


def _text(value: Any, at: tuple[Any, ...], literals: Mapping[tuple[Any, ...], str]) -> str:
    if at in literals:
        return literals[at]
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)}: {_text(item, (*at, key), literals)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_text(item, (*at, index), literals) for index, item in enumerate(value)) + "]"
    return json.dumps(value)
