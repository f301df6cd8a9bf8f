"""Errors with a stable code. Raised anywhere, translated once at the edge into RFC 9457 problem documents.

`CallerError` is the caller's to mend, `ServiceError` ours; nothing else crosses a service's edge.
A service adds its own by subclassing with a ``code`` and a ``status``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class SarasError(Exception):
    """An expected failure. ``detail`` is written for people and never repeats raw input."""

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(
        self, detail: str = "", *, errors: Sequence[Mapping[str, str]] = (), retry_after_s: int | None = None
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s


class CallerError(SarasError):
    """The request cannot be done as asked."""


class ServiceError(SarasError):
    """The request was fine and we could not do it; trying again later may work."""


class Unauthenticated(CallerError):
    code, status, title = "unauthenticated", 401, "Sign in first"


class Forbidden(CallerError):
    code, status, title = "forbidden", 403, "Not allowed"


class NotFound(CallerError):
    code, status, title = "not_found", 404, "No such thing"


class Conflict(CallerError):
    code, status, title = "conflict", 409, "Not possible in the present state"


class TooLarge(CallerError):
    code, status, title = "body_too_large", 413, "The request body is too large"


class InvalidInput(CallerError):
    """``errors`` names each field: ``{"field": "orders.3.price", "message": "…"}``."""

    code, status, title = "invalid_input", 422, "The request is not valid"


class IdempotencyKeyReused(CallerError):
    code, status, title = "idempotency_key_reused", 422, "This Idempotency-Key was used with another body"


class IdempotencyInProgress(CallerError):
    code, status, title = "idempotency_in_progress", 409, "A request with this Idempotency-Key is still running"


class TooManyRequests(CallerError):
    code, status, title = "too_many_requests", 429, "Too many requests"


class Unavailable(ServiceError):
    code, status, title = "unavailable", 503, "Temporarily unavailable"


class UpstreamTimeout(ServiceError):
    code, status, title = "upstream_timeout", 504, "A service took too long to answer"


def problem(error: SarasError, request_id: str) -> dict[str, Any]:
    """The ``application/problem+json`` document of ``error``."""
    document: dict[str, Any] = {
        "type": f"urn:saras:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
    }
    if error.errors or error.status == InvalidInput.status:
        document["errors"] = [dict(item) for item in error.errors]
    return document
