"""Every route × every kind of thing × everybody who does not own it, made from the OpenAPI document.

Each id goes wherever the route takes one: path, query, body. The answer must be the one for an id that does not exist,
and must hold nothing of the victim's, not even the id that was asked for.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from prove.belongings import TABLE_OF, every_id
from prove.campaign import Outcome
from prove.cast import ADMIN, ANONYMOUS, DISABLED, NEIGHBOUR, STRANGER, Cast, judge
from prove.house import Person, Reply
from prove.routes import IDS, Route

OF_A_KIND = 3
"""Ids of one kind that are tried where that kind is asked for."""

BODY_IDS = frozenset({"portfolio_id"})


FORMS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "in capitals": str.upper,
    "without hyphens": lambda each: each.replace("-", ""),
    "a key": lambda _: "nobody-has-this",
}
"""Ways to write an id, from the one of what does not exist; of keys there is one way."""


def tried_ids(cast: Cast, route: Route) -> Iterator[tuple[str, str, str]]:
    """Kind, form and id: one of every kind; of the kinds the route asks for more, and written in other ways."""
    wanted = {IDS.get(name) for name in (*route.path_names, *route.query)}
    for kind in TABLE_OF:
        ids = cast.victim.ids.get(kind, [])
        for each in ids[-OF_A_KIND:] if kind in wanted else ids[-1:]:
            yield kind, "a key" if kind == "key" else "plain", each
        for form in ("in capitals", "without hyphens") if kind in wanted and ids else ():
            yield kind, form, FORMS[form](ids[-1])


def check_route(cast: Cast, route: Route) -> Outcome:
    """Everybody who should not, with everything that is not theirs."""
    outcome = Outcome()
    for caller in cast.callers_of(route):
        for kind, form, each in tried_ids(cast, route):
            reply = cast.ask(caller, route, *request(route, each, {}))
            _note(cast, outcome, caller, route, (kind, form), reply)
        for ids in _mixtures(cast, route):
            reply = cast.ask(caller, route, *request(route, "", ids))
            _note(cast, outcome, caller, route, ("of several", "plain"), reply)
    return outcome


def request(route: Route, each: str, ids: Mapping[str, str]) -> tuple[str, Any]:
    """Path with query, and body: ``each`` wherever an id is asked for and wherever one might be read by mistake."""
    filled = {name: ids.get(name, each) for name in route.id_names}
    query = dict.fromkeys(("user_id", "owner_id", "id", "order_id", "portfolio_id"), each) if each else {}
    query |= {name: each for name in route.query if name in IDS and each}
    return route.at(filled, query), with_id(route, each)


def with_id(route: Route, each: str) -> Any:
    """The route's body, with ``each`` in every field of it that is an id."""
    if route.body is None:
        return None
    body: dict[str, Any] = copy.deepcopy(dict(route.body))
    if not each:
        return body
    body.update(dict.fromkeys(BODY_IDS & route.fields, each))
    for part in body.get("orders", ()):
        part["portfolio_id"] = each
    return body


def _mixtures(cast: Cast, route: Route) -> Iterator[dict[str, str]]:
    """Where a path has two ids: both the victim's and fitting; the caller's own in front of the victim's."""
    if len(route.id_names) < 2:
        return
    theirs = {name: cast.victim.ids[IDS[name]][-1] for name in route.id_names}
    yield theirs
    first = route.id_names[0]
    own = cast.neighbour.ids.get(IDS[first])
    if own:
        yield {**theirs, first: own[-1]}


def _asks_for_ids(route: Route) -> bool:
    return bool(route.id_names or BODY_IDS & route.fields or "orders" in route.fields or "user_id" in route.query)


def _note(cast: Cast, outcome: Outcome, caller: str, route: Route, what: tuple[str, str], reply: Reply) -> None:
    kind, form = what
    outcome.counts["checks"] += 1
    outcome.counts[f"checks as {caller}"] += 1
    wrong = judge(cast, caller, route, reply)
    if wrong is None and _asks_for_ids(route) and caller not in {ANONYMOUS, DISABLED} and not route.is_admins:
        wrong = _differs(cast, caller, route, reply, form)
    if wrong is not None:
        outcome.violate(f"{route.name} as {caller}, an id of kind {kind}, {form}: {wrong}")


def _differs(cast: Cast, caller: str, route: Route, reply: Reply, form: str) -> str | None:
    """Whether the answer tells that the thing exists."""
    place = (route.name, caller, form)
    if place not in cast.baselines:
        missing = FORMS[form](str(uuid4()))
        cast.baselines[place] = _shape(route, cast.ask(caller, route, *request(route, missing, {})))
    known = cast.baselines[place]
    found = _shape(route, reply)
    return None if found == known else f"{found} where {known} is the answer for what does not exist"


def _shape(route: Route, reply: Reply) -> tuple[int, str]:
    """What a caller can tell an answer by; a batch is judged order by order."""
    body = reply.body
    if route.path == "/orders/batch" and isinstance(body, dict) and "items" in body:
        return reply.status, str([(item.get("code"), item.get("detail")) for item in body["items"]])
    return reply.plain


def check_cursors(cast: Cast) -> Outcome:
    """A cursor into the victim's list, shown by others, leads nowhere into it."""
    outcome = Outcome()
    for path, cursor in cast.victim.cursors.items():
        route = next(route for route in cast.routes if route.path == path and route.method == "GET")
        for caller in cast.callers_of(route):
            outcome.counts["checks"] += 1
            outcome.counts["checks with the victim's cursor"] += 1
            wrong = judge(cast, caller, route, cast.ask(caller, route, f"{path}?limit=500&cursor={cursor}"))
            if wrong is not None:
                outcome.violate(f"{route.name} as {caller} with the victim's cursor: {wrong}")
    return outcome


def check_keys(cast: Cast, only: Sequence[str] = ()) -> Outcome:
    """The victim's idempotency keys are anybody's to use, and give nobody the victim's answer."""
    outcome = Outcome()
    routes = [route for route in cast.routes if "Idempotency-Key" in route.headers and not route.is_admins]
    routes = [route for route in routes if not only or route.name in only]
    keys = cast.victim.ids["key"]
    newcomers = iter(cast.house.people(len(routes) * len(keys)))
    for route in routes:
        for key in keys:
            person = next(newcomers)
            path, body = request(route, "", dict.fromkeys(route.id_names, str(uuid4())))
            reply = person.ask(route.method, path, body, [("Idempotency-Key", key)])
            outcome.counts["checks"] += 1
            outcome.counts["checks with the victim's idempotency key"] += 1
            code = (reply.body or {}).get("code", "")
            wrong = judge(cast, STRANGER, route, reply)
            if code.startswith("idempotency") or "idempotency-replayed" in reply.headers:
                wrong = f"tells that the key was used: {code or 'replayed'}"
            if wrong is not None:
                outcome.violate(f"{route.name} with the victim's key {key}: {wrong}")
    return outcome


def check_owner(cast: Cast) -> Outcome:
    """That the matrix asks sensibly: whoever owns the thing, or may as admin, is let through by every such route."""
    outcome = Outcome()
    order = {"GET": 0, "PATCH": 1, "PUT": 2, "POST": 3, "DELETE": 4}
    routes = [route for route in cast.routes if route.id_names]
    for route in sorted(routes, key=lambda route: (order[route.method], route.path)):
        person: Person = cast.admin if route.is_admins else cast.callers[NEIGHBOUR]
        ids = {name: cast.neighbour.ids[IDS[name]][-1] for name in route.id_names}
        path, body = request(route, "", ids)
        reply = person.ask(route.method, path, body)
        outcome.counts["routes with ids that let their owner through"] += 1
        if reply.status in {401, 403, 404, 422, 429} or reply.status >= 500:
            outcome.violate(f"{route.name} refuses its owner, so its refusals prove nothing: {reply.plain}")
    return outcome


def check_matrix(cast: Cast, is_over: Callable[[], bool], routes: list[Route] | None = None) -> Outcome:
    """All of it, route by route, while time is left."""
    outcome = Outcome()
    for route in cast.routes if routes is None else routes:
        if is_over():
            outcome.missed.append(f"{route.name} and what follows did not fit into the time")
            break
        cast.fresh(STRANGER)
        cast.fresh(NEIGHBOUR)
        cast.fresh(ADMIN)
        outcome.add(check_route(cast, route))
        outcome.counts["routes"] += 1
    outcome.counts["things of the victim"] = sum(1 for _ in every_id(cast.victim))
    return outcome
