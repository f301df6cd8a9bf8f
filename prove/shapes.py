"""What the published OpenAPI allows an answer to be, and whether one is that."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
from prove.wire import JSON, Answer

PROBLEM = "application/problem+json"
METHODS = ("get", "put", "post", "patch", "delete")
OF_NO_OPERATION = frozenset({400, 401, 403, 404, 405, 408, 413, 414, 415, 429, 431})
"""What a call may be answered that is in no document."""

_ERRORS, _SERVER_ERRORS, _NO_CONTENT = 400, 500, 204
_NOT_DRAWN = 501
"""Where it is documented: this installation has no part that does it. Nothing failed."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the document: ``path`` is the template."""

    method: str
    path: str
    answers: Mapping[str, Mapping[str, Any]]
    """Schemas by media type, by status; ``None`` where the document leaves it open."""
    has_body: bool
    parameters: tuple[Mapping[str, Any], ...]
    is_admin: bool
    is_public: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def names_in(self, where: str) -> list[str]:
        """Its parameters in the path, the query or the headers."""
        return [str(each["name"]) for each in self.parameters if each["in"] == where]


class Shapes:
    """The operations of an OpenAPI document, and a judge of their answers."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._components = document["components"]
        self._validators: dict[str, Any] = {}
        self.operations = [
            self._operation(method.upper(), path, item[method])
            for path, item in sorted(document["paths"].items())
            for method in METHODS
            if method in item
        ]
        self._problem = self._validator({"$ref": "#/components/schemas/Problem"})

    def find(self, method: str, path: str) -> Operation:
        """The one called so; `KeyError` when there is none."""
        for operation in self.operations:
            if (operation.method, operation.path) == (method, path):
                return operation
        raise KeyError(f"{method} {path}")

    def faults(
        self, operation: Operation | None, answer: Answer, *, unsaid: bytes = b"", seen: bool = True
    ) -> list[str]:
        """What is wrong with an answer. ``unsaid`` must not be in an error; ``seen``: the body was read."""
        found = []
        undrawn = answer.status == _NOT_DRAWN and operation is not None and str(_NOT_DRAWN) in operation.answers
        if answer.status >= _SERVER_ERRORS and not undrawn:
            found.append(f"answered {answer.status}: {answer.body[:300]!r}")
        if "x-request-id" not in answer.headers:
            found.append("no request id")
        allowed = OF_NO_OPERATION if operation is None else operation.answers
        if (answer.status if operation is None else str(answer.status)) not in allowed:
            found.append(f"status {answer.status} is not in the document: {answer.body[:200]!r}")
        elif seen and answer.status >= _ERRORS:
            found += self._problem_faults(answer, unsaid)
        elif seen and operation is not None:
            found += self._content_faults(operation, answer)
        return found

    def _problem_faults(self, answer: Answer, unsaid: bytes) -> list[str]:
        if answer.media_type != PROBLEM:
            return [f"an error of type {answer.media_type!r}"]
        try:
            told = json.loads(answer.body)
        except ValueError:
            return [f"a problem that is not JSON: {answer.body[:200]!r}"]
        found = [f"not a problem document: {error}"[:300] for error in self._problem.iter_errors(told)]
        if not found and told["status"] != answer.status:
            found.append(f"status {answer.status}, the problem says {told['status']}")
        if unsaid and unsaid in answer.body:
            found.append(f"a problem repeats what was sent: {answer.body[:300]!r}")
        return found

    def _content_faults(self, operation: Operation, answer: Answer) -> list[str]:
        content = operation.answers[str(answer.status)]
        if answer.status == _NO_CONTENT or not content:
            return [f"{answer.status} with a body"] if answer.status == _NO_CONTENT and answer.body else []
        if answer.media_type not in content:
            return [f"an answer of type {answer.media_type!r}"]
        if answer.media_type != JSON:
            return []
        try:
            told = json.loads(answer.body)
        except ValueError:
            return [f"an answer that is not JSON: {answer.body[:200]!r}"]
        return [f"not as documented: {error}"[:300] for error in self._validator(content[JSON]).iter_errors(told)][:2]

    def _validator(self, schema: Mapping[str, Any]) -> Any:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = {"components": self._components, **schema}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        return self._validators[key]

    def _operation(self, method: str, path: str, item: Mapping[str, Any]) -> Operation:
        return Operation(
            method,
            path,
            {
                status: {kind: each.get("schema", {}) for kind, each in self._resolved(told).get("content", {}).items()}
                for status, told in item["responses"].items()
            },
            "requestBody" in item,
            tuple(item.get("parameters", ())),
            path.startswith("/api/v1/admin/"),
            not item.get("security"),
        )

    def _resolved(self, told: Mapping[str, Any]) -> Mapping[str, Any]:
        reference = re.fullmatch(r"#/components/(\w+)/(.+)", str(told.get("$ref", "")))
        if reference is None:
            return told
        resolved: Mapping[str, Any] = self._components[reference[1]][reference[2]]
        return resolved
