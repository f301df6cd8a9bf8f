"""The platform's routes as its OpenAPI document tells them, and what each must be asked with.

Nothing here lists routes: a new one is in the document, so it is in every campaign. What cannot be known from the
document is what kind of thing an id names; a parameter whose kind is not known is an error by name.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

BASE = "/api/v1"
METHODS = ("get", "post", "put", "patch", "delete")

IDS: Mapping[str, str] = {
    "order_id": "order",
    "portfolio_id": "portfolio",
    "movement_id": "movement",
    "session_id": "session",
    "user_id": "user",
    "smallcase_id": "smallcase",
    "investment_id": "investment",
    "run_id": "run",
    "sip_id": "sip",
    "notification_id": "notification",
    "webhook_id": "webhook",
    "alert_id": "alert",
    "report_id": "report",
    "batch_id": "batch",
    "rejected_id": "rejected",
}
"""Parameter or field → kind of what it names."""

NOBODYS = frozenset({"account_id", "last_event_id", "Last-Event-ID"})
"""Named like ids and no user's: an account at the broker; a place in the caller's own feed."""

WORDS = frozenset({"name", "instrument"})
"""Path parameters that are names from a public list."""

_LIKE_AN_ID = re.compile(r"(?:^|[_-])ids?$", re.IGNORECASE)

SAMPLES: Mapping[str, Any] = {
    "instrument": "NSE:INFY",
    "instruments": ["NSE:INFY"],
    "quantity": 1,
    "amount": "10000.00",
    "price": "1000.00",
    "order_type": "MARKET",
    "side": "BUY",
    "orders": [{"instrument": "NSE:INFY", "quantity": 1, "order_type": "MARKET", "side": "BUY"}],
    "constituents": [{"instrument": "NSE:INFY"}, {"instrument": "NSE:TCS"}, {"instrument": "NSE:ITC"}],
    "weighting": "equal",
    "visibility": "private",
    "condition": "above",
    "frequency": "monthly",
    "start_on": "2099-01-05",
    "day": "2026-01-05",
    "date_of_birth": "1990-04-01",
    "pan": "ABCPK1234F",
    "address": "1 Long Lane, Pune 411001",
    "bank_account": "123456789012",
    "ifsc": "HDFC0001234",
    "email": "nobody.yet@house.example.com",
    "password": "seven quiet herons 41",
    "current_password": "not this one at all",
    "new_password": "eight quiet herons 42",
    "full_name": "Somebody Else",
    "code": "000000",
    "refresh_token": "A" * 43,
    "url": "http://127.0.0.1:9/hook",
    "action": "exit",
    "auto_repair_budget": "0.25",
    "request_token": "a" * 32,
    "tag": "A" * 20,
    "placed": False,
    "risk": "balanced",
    "roles": ["user"],
    "facts": [],
    "actions": [],
}
"""Values that are taken where a field of that name is asked for; the schema decides for every other."""

NAMES = {"/analytics/charts/{name}": "equity_curve", "/reports/{name}": "positions"}


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. ``path`` is under the base path, with its parameters in braces."""

    method: str
    path: str
    is_public: bool
    path_names: tuple[str, ...]
    query: Mapping[str, bool] = field(default_factory=dict)
    """Parameter → whether it is needed."""
    headers: tuple[str, ...] = ()
    body: Mapping[str, Any] | None = None
    """A body with what it needs, made from the schema."""
    fields: frozenset[str] = frozenset()
    """Fields the body may have, at its top."""
    inner: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Field of the body that is a list of things → fields such a thing may have."""
    is_endless: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_admins(self) -> bool:
        return self.path.startswith("/admin/")

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def id_names(self) -> tuple[str, ...]:
        """Path parameters that are ids."""
        return tuple(name for name in self.path_names if name not in WORDS)

    def at(self, ids: Mapping[str, str], query: Mapping[str, str] = {}) -> str:
        """The path with ``ids`` by parameter, what else it needs, and ``query``."""
        path = self.path
        for name in self.path_names:
            path = path.replace(f"{{{name}}}", quote(ids[name], safe="") if name in ids else self._word(name))
        needed = {name: str(SAMPLES.get(name, "x")) for name, needed in self.query.items() if needed}
        if "instruments" in needed:
            needed["instruments"] = "NSE:INFY"
        asked = needed | dict(query)
        return path + ("?" + "&".join(f"{name}={quote(value)}" for name, value in asked.items()) if asked else "")

    def _word(self, name: str) -> str:
        return "NSE:INFY" if name == "instrument" else NAMES.get(self.path, "x")


def read_routes(document: Mapping[str, Any]) -> list[Route]:
    """Every operation under the base path."""
    return [
        _route(document, method, path.removeprefix(BASE), item)
        for path, item in document["paths"].items()
        if path.startswith(BASE)
        for method in METHODS
        if method in item
    ]


def _route(document: Mapping[str, Any], method: str, path: str, item: Mapping[str, Any]) -> Route:
    operation = item[method]
    parameters = [_followed(document, each) for each in (*item.get("parameters", ()), *operation.get("parameters", ()))]
    schema = _body_schema(document, operation)
    answers = operation.get("responses", {})
    return Route(
        method.upper(),
        path,
        is_public=not operation.get("security"),
        path_names=tuple(re.findall(r"{([^}]+)}", path)),
        query={each["name"]: bool(each.get("required")) for each in parameters if each["in"] == "query"},
        headers=tuple(each["name"] for each in parameters if each["in"] == "header"),
        body=None if schema is None else sample(document, schema),
        fields=frozenset(() if schema is None else schema.get("properties", ())),
        inner={} if schema is None else dict(_inner(document, schema)),
        is_endless="text/event-stream" in answers.get("200", {}).get("content", {}) or "101" in answers,
    )


def _body_schema(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Mapping[str, Any] | None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    schema = _followed(document, content["schema"])
    choices = [_followed(document, each) for each in schema.get("anyOf", ())]
    return next((each for each in choices if each.get("type") == "object"), schema)


def _inner(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, frozenset[str]]]:
    for name, each in schema.get("properties", {}).items():
        found = _followed(document, _followed(document, each).get("items", {}))
        if "properties" in found:
            yield name, frozenset(found["properties"])


def _followed(document: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def sample(document: Mapping[str, Any], schema: Mapping[str, Any], name: str = "") -> Any:
    """The least that fits the schema, as far as a schema tells; names that are known have known values."""
    if name in SAMPLES:
        return SAMPLES[name]
    schema = _followed(document, schema)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return sample(document, next(each for each in schema[key] if each.get("type") != "null"), name)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    return _plain(document, schema)


def _plain(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            needed = schema.get("required") or SAMPLES.keys() & properties.keys()
            return {each: sample(document, properties[each], each) for each in needed if each in properties}
        case "array":
            return [sample(document, schema["items"])] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case _:
            return "x" * max(1, schema.get("minLength", 1))


def unknown_ids(document: Mapping[str, Any]) -> list[str]:
    """Parameters and fields that name something and nobody said what: each with its route."""
    return [
        f"{method.upper()} {path}: nobody knows whose the {where} {name!r} is"
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
        for where, name in _named(document, path, item[method])
        if name not in IDS and name not in NOBODYS and (where == "path parameter" or _LIKE_AN_ID.search(name))
    ]


def _named(document: Mapping[str, Any], path: str, operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in re.findall(r"{([^}]+)}", path):
        if name not in WORDS:
            yield "path parameter", name
    for parameter in operation.get("parameters", ()):
        each = _followed(document, parameter)
        if each["in"] != "path":
            yield f"{each['in']} parameter", each["name"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for name in _fields(document, content["schema"], frozenset()):
            yield "field", name


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any], seen: frozenset[str]) -> Iterator[str]:
    reference = schema.get("$ref", "")
    if reference in seen:
        return
    seen |= {reference} if reference else frozenset()
    schema = _followed(document, schema)
    for name, each in schema.get("properties", {}).items():
        yield name
        yield from _fields(document, each, seen)
    for key in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(key, ()):
            yield from _fields(document, each, seen)
    if isinstance(schema.get("items"), dict):
        yield from _fields(document, schema["items"], seen)
