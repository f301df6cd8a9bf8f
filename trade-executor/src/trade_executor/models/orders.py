"""Windows, users' orders, blocks."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Identity,
    Index,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from trade_executor.domain import BatchState, BlockState
from trade_executor.models.base import Base, one_of


class BatchRow(Base):
    """Windows."""

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint(one_of("state", BatchState), name="batches_state"),
        Index("batches_open", "account_id", unique=True, postgresql_where=text("state = 'OPEN'")),
        Index("batches_closed", "account_id", postgresql_where=text("state = 'CLOSED'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[str]
    state: Mapped[str]
    opened_at: Mapped[datetime]
    user_orders: Mapped[int]
    reason: Mapped[str | None]
    closed_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    broker_orders: Mapped[int]
    saved_paise: Mapped[int]


class DemandRow(Base):
    """Users' orders as accepted."""

    __tablename__ = "demands"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="demands_quantity"),
        Index("demands_by_batch", "batch_id"),
    )

    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    account_id: Mapped[str]
    batch_id: Mapped[UUID]
    instrument: Mapped[str]
    side: Mapped[str]
    order_type: Mapped[str]
    product: Mapped[str]
    validity: Mapped[str]
    quantity: Mapped[int]
    price_paise: Mapped[int | None]
    trigger_price_paise: Mapped[int | None]
    cap_price_paise: Mapped[int | None]
    house: Mapped[bool]
    arrival: Mapped[int] = mapped_column(Identity(always=True))
    ended: Mapped[bool] = mapped_column(server_default=text("false"))


class CancelRequestRow(Base):
    """Orders whose rest is to be cancelled; may arrive before the order."""

    __tablename__ = "cancel_requests"
    __table_args__ = (Index("cancel_requests_waiting", "order_id", postgresql_where=text("NOT handled")),)

    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    handled: Mapped[bool] = mapped_column(server_default=text("false"))


class BlockRow(Base):
    """Consolidated orders and where their fills stand."""

    __tablename__ = "blocks"
    __table_args__ = (
        CheckConstraint(one_of("state", BlockState), name="blocks_state"),
        CheckConstraint("quantity > 0 AND filled >= 0", name="blocks_quantity"),
        CheckConstraint("cardinality(charges) = 7", name="blocks_charges"),
        Index("blocks_by_batch", "batch_id"),
        Index("blocks_working", "account_id", "seq", postgresql_where=text("state = 'WORKING'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(Identity(always=True))
    batch_id: Mapped[UUID]
    account_id: Mapped[str]
    instrument: Mapped[str]
    side: Mapped[str]
    product: Mapped[str]
    order_type: Mapped[str]
    validity: Mapped[str]
    price_paise: Mapped[int | None]
    trigger_price_paise: Mapped[int | None]
    quantity: Mapped[int]
    statement_hash: Mapped[str]
    state: Mapped[str]
    filled: Mapped[int]
    value_paise: Mapped[int]
    charges: Mapped[list[int]]
    suspense_quantity: Mapped[int]
    suspense_value_paise: Mapped[int]
    suspense_charges_paise: Mapped[int]
    first_fill_on: Mapped[date | None]
    steps: Mapped[list[Any]]
    working_told: Mapped[bool]
    reason: Mapped[str | None]


class StatementRow(Base):
    """Who is in a block and for how much: written once, before anything is sent."""

    __tablename__ = "statements"

    block_id: Mapped[UUID] = mapped_column(primary_key=True)
    order_ids: Mapped[bytes]
    user_ids: Mapped[bytes]
    wanted: Mapped[bytes]
    arrivals: Mapped[bytes]
    caps_paise: Mapped[bytes]
    house: Mapped[bytes]
    credits: Mapped[list[str] | None]


class SharesRow(Base):
    """What each order of a block has so far."""

    __tablename__ = "shares"

    block_id: Mapped[UUID] = mapped_column(primary_key=True)
    allocated: Mapped[bytes]
    value_paise: Mapped[bytes]
    charges: Mapped[bytes]
    flags: Mapped[bytes]
    frozen: Mapped[bool]
