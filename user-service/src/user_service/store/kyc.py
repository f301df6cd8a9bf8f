"""Declarations."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from user_service.domain.kyc import KycRecord
from user_service.domain.people import KycStatus
from user_service.models import KycRow

_KYC = KycRow.__table__
_COLUMNS = [_KYC.c[name] for name in KycRecord.__slots__]


def put_kyc(session: Session, user_id: UUID, sealed: bytes, *, at: datetime) -> KycRecord:
    """Store the user's declaration in place of an earlier one; it waits for a decision."""
    values = {
        "status": KycStatus.PENDING,
        "sealed": sealed,
        "submitted_at": at,
        "decided_at": None,
        "decided_by": None,
        "reason": None,
    }
    statement = (
        insert(KycRow)
        .values(user_id=user_id, **values)
        .on_conflict_do_update(index_elements=[_KYC.c.user_id], set_=values)
        .returning(*_COLUMNS)
    )
    return _record(session.execute(statement).one())


def find_kyc(session: Session, user_id: UUID) -> KycRecord | None:
    """The user's declaration."""
    row = session.execute(select(*_COLUMNS).where(_KYC.c.user_id == user_id)).one_or_none()
    return None if row is None else _record(row)


def decide_kyc(
    session: Session, user_id: UUID, status: KycStatus, *, by: UUID, reason: str | None, at: datetime
) -> None:
    """Record the decision."""
    session.execute(
        update(KycRow)
        .where(_KYC.c.user_id == user_id)
        .values(status=status, decided_by=by, reason=reason, decided_at=at)
    )


def _record(row: Row[Any]) -> KycRecord:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public way to a row as a mapping
    return KycRecord(**{**values, "status": KycStatus(values["status"])})
