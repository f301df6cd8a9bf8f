"""Credits, totals, certificates, reconciliations; market data; answers given."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Index,
    PrimaryKeyConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from trade_executor.models.base import Base


class CreditRow(Base):
    """Lots owed to a user in an instrument: an exact fraction, written ``p/q``."""

    __tablename__ = "credits"
    __table_args__ = (PrimaryKeyConstraint("account_id", "instrument", "user_id", name="credits_pkey"),)

    account_id: Mapped[str]
    instrument: Mapped[str]
    user_id: Mapped[UUID]
    lots: Mapped[str]
    touched_on: Mapped[date]


class TotalRow(Base):
    """Sums of all postings, for reconciliation."""

    __tablename__ = "totals"
    __table_args__ = (PrimaryKeyConstraint("account_id", "instrument", name="totals_pkey"),)

    account_id: Mapped[str]
    instrument: Mapped[str]
    shares: Mapped[int]
    cash_paise: Mapped[int]


class CertificateRow(Base):
    """Allocation certificates, chained per account; inserted, never changed."""

    __tablename__ = "certificates"
    __table_args__ = (
        PrimaryKeyConstraint("account_id", "number", name="certificates_pkey"),
        Index("certificates_by_batch", "batch_id"),
    )

    account_id: Mapped[str]
    number: Mapped[int]
    batch_id: Mapped[UUID]
    block_id: Mapped[UUID]
    hash: Mapped[str]
    document: Mapped[Any] = mapped_column(JSON)
    seal: Mapped[bytes | None]
    """The hash under a key the database does not know: who has only the database can make no such row."""


class MovementRow(Base):
    """Deposits and withdrawals the sandbox account must follow."""

    __tablename__ = "movements"
    __table_args__ = (Index("movements_unmirrored", "account_id", postgresql_where=text("NOT mirrored")),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[str]
    amount_paise: Mapped[int]
    reference: Mapped[str | None]
    mirrored: Mapped[bool] = mapped_column(server_default=text("false"))


class ReconciliationRow(Base):
    """Books compared with the broker."""

    __tablename__ = "reconciliations"
    __table_args__ = (
        Index("reconciliations_finished", "account_id", "finished_at"),
        Index("reconciliations_waiting", "account_id", postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[str]
    at: Mapped[datetime]
    figures: Mapped[dict[str, Any]]
    book: Mapped[dict[str, Any] | None]
    report: Mapped[dict[str, Any] | None]
    finished_at: Mapped[datetime | None]


class MarkRow(Base):
    """Last prices."""

    __tablename__ = "marks"

    instrument: Mapped[str] = mapped_column(primary_key=True)
    last_paise: Mapped[int]
    close_paise: Mapped[int | None]
    at: Mapped[datetime]


class InstrumentRow(Base):
    """The broker's instrument list."""

    __tablename__ = "instruments"

    name: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[int]
    title: Mapped[str]
    tick_paise: Mapped[int]
    lot_size: Mapped[int]
    kind: Mapped[str]


class IdempotencyRow(Base):
    """Answers given to requests with an Idempotency-Key."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (PrimaryKeyConstraint("user_id", "key", name="idempotency_keys_pkey"),)

    user_id: Mapped[UUID]
    key: Mapped[str]
    fingerprint: Mapped[bytes]
    status: Mapped[int]
    body: Mapped[bytes]
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
