"""Kite's envelope around every answer, and the few answers that are deliberately not one."""

import json
from typing import Any

from starlette.responses import Response

from kite_sandbox.errors import KiteError


def to_json(value: object) -> bytes:
    """Compact JSON; NaN and infinities are bugs and raise."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def success(data: object) -> Response:
    """``{"status": "success", "data": …}``."""
    return Response(to_json({"status": "success", "data": data}), media_type="application/json")


def raw_success(data: bytes) -> Response:
    """The same around JSON that is already rendered."""
    return Response(b'{"status":"success","data":' + data + b"}", media_type="application/json")


def plain(value: object, status: int = 200) -> Response:
    """JSON without the envelope: the sandbox's own routes."""
    return Response(to_json(value), status, media_type="application/json")


def error_body(error_type: str, message: str) -> dict[str, Any]:
    """The envelope of a refusal."""
    return {"status": "error", "message": message, "data": None, "error_type": error_type}


def failure(error: KiteError) -> Response:
    """A refusal with its status."""
    return Response(
        to_json(error_body(error.error_type, error.message)),
        error.status,
        media_type="application/json",
    )
