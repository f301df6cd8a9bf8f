"""The record of security events. Inserted, never changed: the service's login may do no more."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from saras_common.jsonio import digest_of
from user_service.models import AuditRow


def add_audit(
    session: Session,
    *,
    audit_id: UUID,
    at: datetime,
    kind: str,
    user_id: UUID | None,
    actor_id: UUID | None,
    address: str,
    request_id: str | None,
    detail: dict[str, Any],
    seal: Callable[[str], bytes],
) -> None:
    """One event; ``detail`` holds no secrets. ``seal`` makes of a row's digest what only we can make."""
    row = {
        "id": audit_id,
        "at": at,
        "kind": kind,
        "user_id": user_id,
        "actor_id": actor_id,
        "address": address,
        "request_id": request_id,
        "detail": detail,
    }
    session.execute(insert(AuditRow).values(**row, seal=seal(digest_of(row))))
