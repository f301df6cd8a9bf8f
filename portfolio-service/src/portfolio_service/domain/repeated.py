"""A refusal given before, said again word for word."""

from typing import Any

from saras_common.errors import SarasError


class Repeated(SarasError):
    """An error made from what was kept of the first one."""

    code, status, title = "repeated", 422, "Not accepted"

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document["detail"], errors=document["errors"])
        for name in ("code", "status", "title"):
            setattr(self, name, document[name])


def document_of(error: SarasError) -> dict[str, Any]:
    """What has to be kept of an error."""
    return {
        "code": error.code,
        "status": error.status,
        "title": error.title,
        "detail": error.detail,
        "errors": error.errors,
    }
