"""The reference page: plain HTML made from the merged OpenAPI, with no script and nothing loaded from elsewhere."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from api_gateway.exchange import Exchange
from api_gateway.heads import Headers
from api_gateway.openapi import PlatformApi

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem 1.5rem 4rem;color:#1b1f24}
h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}
details{border:1px solid #d0d7de;border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer}code,pre{font:14px/1.45 ui-monospace,monospace}
b{display:inline-block;min-width:4.2rem;font-family:ui-monospace,monospace}
table{border-collapse:collapse;margin:.4rem 0}td,th{border:1px solid #d0d7de;padding:.2rem .6rem;text-align:left}
small{color:#57606a}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
DOCS_CSP = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'".encode("ascii")
_INTRODUCTION = (
    "<p>Sign in with <code>POST /api/v1/login</code> and send the token as <code>Authorization: Bearer …</code>. "
    'The machine-readable form is <a href="/api/v1/openapi.json">openapi.json</a>; the events are in '
    '<a href="/api/v1/event-schemas.json">event-schemas.json</a>.</p>'
)
_METHODS = ("get", "post", "put", "patch", "delete")


class Docs:
    """Serves the page."""

    def __init__(self, api: PlatformApi) -> None:
        self._api = api
        self._made_from: dict[str, Any] = {}
        self._page = b""

    async def answer(self, exchange: Exchange) -> None:
        """The page over HTTP, under its own content security policy."""
        document = await self._api.document()
        if document is not self._made_from:
            self._page, self._made_from = page(document).encode("utf-8"), document
        exchange.change_policy(_with_docs_csp)
        await exchange.answer(200, b"text/html; charset=utf-8", self._page)


def page(document: Mapping[str, Any]) -> str:
    """The whole page for an OpenAPI document."""
    schemas = document.get("components", {}).get("schemas", {})
    calls = [
        (operation.get("tags", ["other"])[0], path, method, operation)
        for path, item in document.get("paths", {}).items()
        for method, operation in item.items()
        if method in _METHODS
    ]
    tags = sorted({call[0] for call in calls})
    title = escape(str(document.get("info", {}).get("title", "API")))
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{title} reference</title>',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>',
        f"<h1>{title}</h1>",
        _INTRODUCTION,
    ]
    for tag in tags:
        parts.append(f"<h2>{escape(tag)}</h2>")
        parts += [_call(path, method, operation) for name, path, method, operation in calls if name == tag]
    parts.append("<h2>Shapes</h2>")
    parts += [_shape(name, schema) for name, schema in sorted(schemas.items())]
    parts.append("</body></html>")
    return "\n".join(parts)


def _call(path: str, method: str, operation: Mapping[str, Any]) -> str:
    lock = "" if operation.get("security") == [] else " <small>signed in</small>"
    name = f"<b>{method.upper()}</b> <code>{escape(path)}</code> {escape(str(operation.get('summary', '')))}"
    lines = [f"<details><summary>{name}{lock}</summary>"]
    if operation.get("description"):
        lines.append(f"<p>{escape(str(operation['description']))}</p>")
    if operation.get("parameters"):
        rows = [
            (parameter.get("name", ""), parameter.get("in", ""), type_of(parameter.get("schema", {})))
            for parameter in operation["parameters"]
        ]
        lines.append(_table(("parameter", "in", "type"), rows))
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        lines.append(f"<p>Body: <code>{escape(type_of(body))}</code></p>")
    answers = [
        (status, answer.get("description", ""), _answer_type(answer))
        for status, answer in sorted(operation.get("responses", {}).items())
    ]
    lines.append(_table(("status", "meaning", "body"), answers))
    return "\n".join([*lines, "</details>"])


def _shape(name: str, schema: Mapping[str, Any]) -> str:
    needed = set(schema.get("required", ()))
    rows = [
        (field, type_of(about), "required" if field in needed else "", about.get("description", ""))
        for field, about in schema.get("properties", {}).items()
    ]
    head = f"<details><summary><code>{escape(name)}</code></summary>"
    table = _table(("field", "type", "", "meaning"), rows) if rows else f"<p>{escape(type_of(schema))}</p>"
    return f"{head}{table}</details>"


def _answer_type(answer: Mapping[str, Any]) -> str:
    for content in answer.get("content", {}).values():
        return type_of(content.get("schema", {}))
    return ""


def type_of(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, such as ``list of Order`` or ``string or null``."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(type_of(option) for option in schema[key])
    if "enum" in schema:
        return " · ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    form = f" ({schema['format']})" if "format" in schema else ""
    return f"{schema.get('type', 'any')}{form}"


def _table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    lines = ("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def _with_docs_csp(policy: Headers) -> Headers:
    return [(name, DOCS_CSP if name == b"content-security-policy" else value) for name, value in policy]
