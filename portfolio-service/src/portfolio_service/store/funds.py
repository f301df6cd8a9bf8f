"""Deposits and withdrawals."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from portfolio_service.models import MovementRow


def add_movement(session: Session, movement: MovementRow) -> None:
    """Store a movement."""
    session.add(movement)
    session.flush()


def find_for_decision(session: Session, movement_id: UUID) -> MovementRow | None:
    """A movement, locked until the transaction ends."""
    return session.scalars(select(MovementRow).where(MovementRow.id == movement_id).with_for_update()).one_or_none()


def decide(session: Session, movement: MovementRow, status: str, by: UUID, at: datetime) -> None:
    """Give a pending movement its end."""
    movement.status, movement.decided_by, movement.decided_at = status, by, at
    session.flush()


Movements = Sequence[MovementRow]


def list_movements(
    session: Session, user_id: UUID | None, *, status: str | None, before: UUID | None, limit: int
) -> Movements:
    """One user's or everybody's, newest first; ``before`` is the last of the page before."""
    query = select(MovementRow).order_by(MovementRow.id.desc()).limit(limit)
    if user_id is not None:
        query = query.where(MovementRow.user_id == user_id)
    if status is not None:
        query = query.where(MovementRow.status == status)
    if before is not None:
        query = query.where(MovementRow.id < before)
    return session.scalars(query).all()
