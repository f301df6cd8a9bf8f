"""The tables, in schema ``analytics_service``. Rows that belong to one user stand behind row-level security.

Money is paise, quantities are units, both 64-bit integers. ``trades`` is the store everything else of a user's trading
is derived from; it is only ever added to. ``valuations`` and ``held`` are what the book said at each session's close.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from saras_common.inbox import add_inbox_table
from saras_common.outbox import add_outbox_table

SCHEMA = "analytics_service"


class Base(DeclarativeBase):
    """This service's own tables."""

    metadata = MetaData(schema=SCHEMA)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it
        datetime: DateTime(timezone=True),
        date: Date,
        str: Text,
        bytes: LargeBinary,
        int: BigInteger,
        list[int]: ARRAY(BigInteger),
        dict[str, Any]: JSONB,
        Decimal: Numeric,
    }


def _word() -> Any:
    """A name of the market's, compared byte by byte."""
    return mapped_column(Text(collation="C"))


def _key() -> Any:
    return mapped_column(Text(collation="C"), primary_key=True)


class InstrumentRow(Base):
    """What may be traded, as the broker lists it, and what its list does not say."""

    __tablename__ = "instruments"
    __table_args__ = (CheckConstraint("shares_issued > 0", name="instruments_shares"),)

    name: Mapped[str] = _key()
    title: Mapped[str]
    kind: Mapped[str]
    is_listed: Mapped[bool]
    sector: Mapped[str | None]
    shares_issued: Mapped[int | None]


class PersonRow(Base):
    """Whom a report is addressed to, as user-service tells."""

    __tablename__ = "people"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    full_name: Mapped[str]
    email: Mapped[str]


class DayPriceRow(Base):
    """One instrument's day as traded, from marks of the session or from an import; never adjusted."""

    __tablename__ = "day_prices"
    __table_args__ = (
        CheckConstraint("low_paise > 0 AND low_paise <= high_paise", name="day_prices_range"),
        CheckConstraint("open_paise BETWEEN low_paise AND high_paise", name="day_prices_open"),
        CheckConstraint("close_paise BETWEEN low_paise AND high_paise", name="day_prices_close"),
        CheckConstraint("source IN ('session', 'import')", name="day_prices_source"),
        Index("day_prices_by_day", "day"),
    )

    instrument: Mapped[str] = _key()
    day: Mapped[date] = mapped_column(primary_key=True)
    open_paise: Mapped[int]
    high_paise: Mapped[int]
    low_paise: Mapped[int]
    close_paise: Mapped[int]
    volume: Mapped[int | None]
    source: Mapped[str]


class CorporateActionRow(Base):
    """Splits and bonuses: from ``ex_day`` on one old share is ``ratio`` new ones."""

    __tablename__ = "corporate_actions"
    __table_args__ = (
        CheckConstraint("ratio > 0 AND ratio < 1000000", name="corporate_actions_ratio"),
        CheckConstraint("kind IN ('split', 'bonus')", name="corporate_actions_kind"),
    )

    instrument: Mapped[str] = _key()
    ex_day: Mapped[date] = mapped_column(primary_key=True)
    ratio: Mapped[Decimal]
    kind: Mapped[str] = mapped_column(server_default="split")


class TradeRow(Base):
    """The trade store. A true-up has no quantity, a bust a negative one; ``charges`` in the order of charges.KINDS."""

    __tablename__ = "trades"
    __table_args__ = (
        CheckConstraint("side IN ('BUY', 'SELL')", name="trades_side"),
        CheckConstraint("source IN ('platform', 'elsewhere')", name="trades_source"),
        CheckConstraint("kind IN ('fill', 'true_up', 'bust')", name="trades_kind"),
        CheckConstraint("cardinality(charges) = 7", name="trades_charges"),
        Index("trades_once", "source_id", "part", unique=True),
        Index("trades_by_user", "user_id", "seq"),
    )

    seq: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    source_id: Mapped[UUID]
    part: Mapped[int]
    source: Mapped[str]
    user_id: Mapped[UUID]
    order_id: Mapped[UUID]
    instrument: Mapped[str] = _word()
    product: Mapped[str] = _word()
    side: Mapped[str]
    kind: Mapped[str]
    quantity: Mapped[int]
    value_paise: Mapped[int]
    charges: Mapped[list[int]]
    traded_at: Mapped[datetime]
    settles_on: Mapped[date]
    counterparty: Mapped[str]
    sector: Mapped[str | None]


class RejectedTradeRow(Base):
    """What did not pass, with its reason, until it is corrected and replayed."""

    __tablename__ = "rejected_trades"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'replayed')", name="rejected_trades_status"),
        Index("rejected_trades_once", "source_id", "part", unique=True),
        Index("rejected_trades_open", "id", postgresql_where="status = 'open'"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    source_id: Mapped[UUID]
    part: Mapped[int]
    user_id: Mapped[UUID]
    body: Mapped[dict[str, Any]]
    reason: Mapped[str]
    detail: Mapped[str]
    status: Mapped[str]
    rejected_at: Mapped[datetime]
    corrections: Mapped[dict[str, Any] | None]
    replayed_at: Mapped[datetime | None]
    replayed_by: Mapped[UUID | None]


class PositionRow(Base):
    """Running positions, derived from ``trades`` alone. ``lots`` holds [order, opened, quantity, remaining, cost]."""

    __tablename__ = "positions"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = _key()
    instrument: Mapped[str] = _key()
    product: Mapped[str] = _key()
    quantity: Mapped[int]
    cost_paise: Mapped[int]
    realised_paise: Mapped[int]
    fifo_realised_paise: Mapped[int]
    lots: Mapped[list[Any]] = mapped_column(JSONB)
    bought: Mapped[int]
    bought_paise: Mapped[int]
    sold: Mapped[int]
    sold_paise: Mapped[int]
    trades: Mapped[int]
    charges_paise: Mapped[int]
    last_seq: Mapped[int]


class FlowRow(Base):
    """Cash a user put in (> 0) or took out (< 0), at its own instant."""

    __tablename__ = "flows"
    __table_args__ = (Index("flows_by_user", "user_id", "at"),)

    movement_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    at: Mapped[datetime]
    amount_paise: Mapped[int]


class ValuationRow(Base):
    """A portfolio at a session's close, as the book said. Deposits and withdrawals are totals since the beginning."""

    __tablename__ = "valuations"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    portfolio_id: Mapped[UUID] = mapped_column(primary_key=True)
    cash_paise: Mapped[int]
    market_paise: Mapped[int | None]
    invested_paise: Mapped[int]
    realised_paise: Mapped[int]
    charges_paise: Mapped[int]
    deposited_paise: Mapped[int]
    withdrawn_paise: Mapped[int]


class HeldRow(Base):
    """What was held at the closes from ``since`` up to the one before ``until``; a row is written when it changes."""

    __tablename__ = "held"
    __table_args__ = (
        CheckConstraint("until > since", name="held_span"),
        Index("held_now", "user_id", postgresql_where="until IS NULL"),
    )

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    portfolio_id: Mapped[UUID] = mapped_column(primary_key=True)
    instrument: Mapped[str] = _key()
    product: Mapped[str] = _key()
    since: Mapped[date] = mapped_column(primary_key=True)
    until: Mapped[date | None]
    quantity: Mapped[int]
    cost_paise: Mapped[int]


class CloseRow(Base):
    """Sessions whose snapshot is complete."""

    __tablename__ = "closes"

    day: Mapped[date] = mapped_column(primary_key=True)
    taken_at: Mapped[datetime]
    users: Mapped[int]


class MetricsRow(Base):
    """The figures of a user at its last close, as computed in the night."""

    __tablename__ = "metrics"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date]
    figures: Mapped[dict[str, Any]]


class ReportRow(Base):
    """A report asked for or due after a close, its progress, and in the end its bytes."""

    __tablename__ = "reports"
    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'done', 'failed')", name="reports_status"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="reports_progress"),
        Index("reports_by_owner", "owner_id", "id"),
        Index("reports_waiting", "id", postgresql_where="status IN ('queued', 'running')"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    all_users: Mapped[bool]
    name: Mapped[str]
    day: Mapped[date]
    status: Mapped[str]
    progress: Mapped[int] = mapped_column(SmallInteger)
    reason: Mapped[str | None]
    created_at: Mapped[datetime]
    touched_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    filename: Mapped[str | None]
    media_type: Mapped[str | None]
    content: Mapped[bytes | None]


class LeaseRow(Base):
    """Who does what only one may do, and until when (the database's time)."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str]
    expires_at: Mapped[datetime]


add_outbox_table(Base.metadata, SCHEMA)
add_inbox_table(Base.metadata, SCHEMA)
