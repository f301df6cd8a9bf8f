"""Calls drawn from the published OpenAPI by schemathesis: such as it allows, and such as it does not."""

import contextlib
import copy
import json
import multiprocessing
import random
from collections.abc import Iterator, Mapping
from functools import partial
from multiprocessing.queues import Queue
from typing import Any
from urllib.parse import quote, urlencode

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from prove.corpus import Case, who_may
from prove.samples import GOOD_IDS
from prove.shapes import Operation, Shapes
from prove.wire import JSON, Request
from schemathesis import GenerationMode
from schemathesis.core import NOT_SET
from schemathesis.core.result import Ok

AT_ONCE = 40
"""Cases of one operation and kind that are drawn together: setting up for the first costs as much as ten."""

KINDS = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
OWN_IDS = 0.6
"""Share of calls whose path names something that may exist."""

AHEAD = 25
"""Times `AT_ONCE` that may wait to be played."""

SLOWEST_S = 60.0
"""For drawing that many; later nobody is drawing any more."""


def cases(document: Mapping[str, Any], shapes: Shapes, draw: random.Random, at_once: int = AT_ONCE) -> Iterator[Case]:
    """Without end: the operations in a drawn order, each with what is allowed and with what is not."""
    for some in _batches(document, shapes, draw, at_once):
        yield from some


@contextlib.contextmanager
def ahead(document: Mapping[str, Any], seed_number: int) -> Iterator[Iterator[Case]]:
    """`cases` by a process of its own, while others are played: to draw one costs more than to answer it."""
    spawn = multiprocessing.get_context("spawn")
    drawn: Queue[list[Case]] = spawn.Queue(AHEAD)
    drawer = spawn.Process(target=_draw_ahead, args=(document, seed_number, drawn), daemon=True)
    drawer.start()
    try:
        yield (case for some in iter(partial(drawn.get, timeout=SLOWEST_S), None) for case in some)
    finally:
        drawer.kill()
        drawer.join()


def _draw_ahead(document: Mapping[str, Any], seed_number: int, drawn: "Queue[list[Case]]") -> None:
    for some in _batches(document, Shapes(document), random.Random(seed_number), AT_ONCE):
        drawn.put(some)


def _batches(document: Mapping[str, Any], shapes: Shapes, draw: random.Random, at_once: int) -> Iterator[list[Case]]:
    drawable = schemathesis.openapi.from_dict(_without_login(document))
    found = {each.ok().label: each.ok() for each in drawable.get_all_operations() if isinstance(each, Ok)}
    operations = [operation for operation in shapes.operations if operation.name in found]
    while True:
        turns = [(operation, mode) for operation in operations for mode in KINDS]
        draw.shuffle(turns)
        for operation, mode in turns:
            label, who = f"{operation.name}: drawn, {mode.value}", who_may(operation)
            yield [
                Case(label, _request(operation, case, draw), operation, who)
                for case in _some(found[operation.name], mode, draw.getrandbits(32), at_once)
            ]


def _without_login(document: Mapping[str, Any]) -> dict[str, Any]:
    """Who calls is ours to say, not to draw."""
    plain = copy.deepcopy(dict(document))
    plain["components"].pop("securitySchemes", None)
    for item in plain["paths"].values():
        for operation in item.values():
            operation.pop("security", None)
    plain["paths"].pop("/api/v1/ws", None)  # speaks WebSocket
    return plain


def _some(operation: Any, mode: GenerationMode, number: int, at_once: int) -> list[Any]:
    found: list[Any] = []

    @seed(number)
    @settings(
        max_examples=at_once,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        found.append(case)

    with contextlib.suppress(Unsatisfiable):  # nothing about this call can be wrong
        collect()
    return found


def _request(operation: Operation, case: Any, draw: random.Random) -> Request:
    target = operation.path
    for name, value in (case.path_parameters or {}).items():
        text = GOOD_IDS[name] if name in GOOD_IDS and draw.random() < OWN_IDS else str(value)
        target = target.replace(f"{{{name}}}", quote(text, safe="", errors="replace"))
    if query := case.query or {}:
        pairs = [
            (name, each) for name, value in query.items() for each in (value if isinstance(value, list) else [value])
        ]
        target += "?" + urlencode([(name, _plain(value)) for name, value in pairs], errors="replace")
    headers = {str(name): str(value) for name, value in (case.headers or {}).items() if name}
    return Request(operation.method, target, _body(case.body), headers, case.media_type or JSON)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _body(body: Any) -> bytes | None:
    if body is NOT_SET:
        return None
    if isinstance(body, bytes):
        return body
    return json.dumps(body, default=str).encode("utf-8", "surrogatepass")
