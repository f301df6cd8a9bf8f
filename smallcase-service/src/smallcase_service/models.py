"""The tables, in schema ``smallcase_service``. Rows that belong to one user stand behind row-level security.

Money is paise, weights are parts of a million, quantities whole shares. What the market and the reference data say is
kept as this service heard it.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Date, DateTime, Float, Index, LargeBinary, MetaData, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from saras_common.inbox import add_inbox_table
from saras_common.outbox import add_outbox_table
from smallcase_service.domain.runs import ACTIVE, Kind, State
from smallcase_service.domain.schedule import Frequency

SCHEMA = "smallcase_service"


def one_of(column: str, values: Any) -> str:
    """SQL: ``column`` holds one of ``values``, which are words of ours."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class Base(DeclarativeBase):
    """This service's own tables."""

    metadata = MetaData(schema=SCHEMA)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it
        datetime: DateTime(timezone=True),
        date: Date,
        str: Text,
        bytes: LargeBinary,
        int: BigInteger,
        float: Float(53),
        dict[str, Any]: JSONB,
    }


class InstrumentRow(Base):
    """What the broker lists."""

    __tablename__ = "instruments"

    name: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    tick_paise: Mapped[int]
    lot_size: Mapped[int]
    kind: Mapped[str]


class MarkRow(Base):
    """Last prices."""

    __tablename__ = "marks"

    instrument: Mapped[str] = mapped_column(primary_key=True)
    last_paise: Mapped[int]
    at: Mapped[datetime]


class BlockedRow(Base):
    """Instruments that may not be bought, by broker account."""

    __tablename__ = "blocked_instruments"

    instrument: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True)


class DayPriceRow(Base):
    """Daily closes as traded, and the value traded."""

    __tablename__ = "day_prices"
    __table_args__ = (CheckConstraint("close_paise > 0", name="day_prices_positive"),)

    instrument: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    close_paise: Mapped[int]
    volume: Mapped[int | None]
    told_at: Mapped[datetime]


class ActionRow(Base):
    """Splits and bonuses: new shares per old one, a decimal."""

    __tablename__ = "corporate_actions"

    instrument: Mapped[str] = mapped_column(primary_key=True)
    ex_day: Mapped[date] = mapped_column(primary_key=True)
    ratio: Mapped[str]


class FactsRow(Base):
    """Sector and issued shares."""

    __tablename__ = "facts"

    instrument: Mapped[str] = mapped_column(primary_key=True)
    sector: Mapped[str]
    shares_issued: Mapped[int | None]


class SmallcaseRow(Base):
    """Baskets as their managers publish them. ``drift_band`` is in parts of a million."""

    __tablename__ = "smallcases"
    __table_args__ = (
        CheckConstraint("visibility IN ('private', 'public')", name="smallcases_visibility"),
        CheckConstraint("version > 0", name="smallcases_version"),
        Index("smallcases_by_owner", "owner_id", "id"),
        Index("smallcases_public", "id", postgresql_where=text("visibility = 'public' AND deleted_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    name: Mapped[str]
    description: Mapped[str | None]
    visibility: Mapped[str]
    version: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class VersionRow(Base):
    """A composition; never changed once written. ``index_level`` is the index when it took effect."""

    __tablename__ = "versions"
    __table_args__ = (
        CheckConstraint(
            one_of("weighting", ("custom", "equal", "market_cap", "inverse_volatility")), name="versions_weighting"
        ),
    )

    smallcase_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    weighting: Mapped[str]
    frequency: Mapped[str | None]
    drift_band: Mapped[int | None]
    band_is_relative: Mapped[bool]
    cooldown_days: Mapped[int]
    diff: Mapped[dict[str, Any]]
    index_level: Mapped[float | None]
    created_at: Mapped[datetime]


class ConstituentRow(Base):
    """One share of a version. ``units`` of it make the index; ``None`` until there was a price."""

    __tablename__ = "constituents"
    __table_args__ = (CheckConstraint("weight BETWEEN 1 AND 1000000", name="constituents_weight"),)

    smallcase_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    instrument: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    weight: Mapped[int]
    floor: Mapped[int | None]
    cap: Mapped[int | None]
    units: Mapped[float | None]


class InvestmentRow(Base):
    """One user's basket of one smallcase, and the version it follows. Its row lock is the basket's."""

    __tablename__ = "investments"
    __table_args__ = (
        Index("investments_by_user", "user_id", "smallcase_id", unique=True),
        Index("investments_by_smallcase", "smallcase_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    smallcase_id: Mapped[UUID]
    version: Mapped[int]
    repair_budget: Mapped[int | None]
    rebalanced_at: Mapped[datetime]
    created_at: Mapped[datetime]


class HoldingRow(Base):
    """Shares of a basket: fed by the fills of its own orders alone."""

    __tablename__ = "holdings"
    __table_args__ = (
        CheckConstraint("quantity >= 0", name="holdings_not_negative"),
        Index("holdings_by_user", "user_id", "instrument"),
    )

    investment_id: Mapped[UUID] = mapped_column(primary_key=True)
    instrument: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    quantity: Mapped[int]


class RunRow(Base):
    """Runs. ``round`` and ``attempt`` name the orders being placed: with the id they are the book's key.

    ``is_tried``: the book may have these orders already. ``is_placed``: it has.
    """

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint(one_of("kind", Kind), name="runs_kind"),
        CheckConstraint(one_of("state", State), name="runs_state"),
        Index("runs_active", "investment_id", unique=True, postgresql_where=text(one_of("state", ACTIVE))),
        Index("runs_by_investment", "investment_id", "id"),
        Index("runs_due", "looked_at", postgresql_where=text(one_of("state", ACTIVE))),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    investment_id: Mapped[UUID]
    user_id: Mapped[UUID]
    smallcase_id: Mapped[UUID]
    kind: Mapped[str]
    state: Mapped[str]
    reason: Mapped[str | None]
    version: Mapped[int]
    budget_paise: Mapped[int]
    is_full: Mapped[bool]
    is_adjusted: Mapped[bool]
    round: Mapped[int]
    attempt: Mapped[int]
    is_placed: Mapped[bool]
    spent_paise: Mapped[int]
    received_paise: Mapped[int]
    unspent_paise: Mapped[int]
    created_at: Mapped[datetime]
    looked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    is_tried: Mapped[bool] = mapped_column(server_default="true")
    cancel_asked_at: Mapped[datetime | None]


class LegRow(Base):
    """Orders of runs, from the plan to the last true-up."""

    __tablename__ = "legs"
    __table_args__ = (
        CheckConstraint("side IN ('BUY', 'SELL')", name="legs_side"),
        CheckConstraint("quantity > 0 AND filled_quantity BETWEEN 0 AND quantity", name="legs_quantity"),
        Index("legs_by_order", "order_id", unique=True),
        Index("legs_by_investment", "investment_id"),
    )

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    instrument: Mapped[str] = mapped_column(primary_key=True)
    investment_id: Mapped[UUID]
    user_id: Mapped[UUID]
    side: Mapped[str]
    quantity: Mapped[int]
    order_id: Mapped[UUID | None]
    status: Mapped[str]
    status_reason: Mapped[str | None]
    filled_quantity: Mapped[int]
    filled_paise: Mapped[int]
    charges_paise: Mapped[int]
    told_by: Mapped[UUID | None]
    traded_on: Mapped[date | None]
    limit_paise: Mapped[int | None]


class OfferRow(Base):
    """Rebalances offered and not yet taken; one a basket."""

    __tablename__ = "offers"
    __table_args__ = (CheckConstraint("cause IN ('version', 'drift', 'calendar')", name="offers_cause"),)

    investment_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    cause: Mapped[str]
    version: Mapped[int]
    drift: Mapped[int]
    offered_at: Mapped[datetime]
    taken_at: Mapped[datetime | None]


class SipRow(Base):
    """Regular investments. ``number`` counts instalments from ``start_on``."""

    __tablename__ = "sips"
    __table_args__ = (
        CheckConstraint("amount_paise > 0", name="sips_amount"),
        CheckConstraint(one_of("frequency", Frequency), name="sips_frequency"),
        Index("sips_by_user", "user_id", "id"),
        Index("sips_due", "session_on", postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    smallcase_id: Mapped[UUID]
    amount_paise: Mapped[int]
    frequency: Mapped[str]
    start_on: Mapped[date]
    number: Mapped[int]
    session_on: Mapped[date]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class InstalmentRow(Base):
    """What became of each instalment."""

    __tablename__ = "instalments"
    __table_args__ = (CheckConstraint("status IN ('invested', 'skipped')", name="instalments_status"),)

    sip_id: Mapped[UUID] = mapped_column(primary_key=True)
    due_on: Mapped[date] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    status: Mapped[str]
    run_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    at: Mapped[datetime]


class CheckRow(Base):
    """Users who sold shares on their own that a basket of theirs also holds: the book must be asked what is left."""

    __tablename__ = "checks"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    instrument: Mapped[str] = mapped_column(primary_key=True)
    asked_at: Mapped[datetime | None]


class KeyRow(Base):
    """Idempotency keys: what one was used for, the run it started, and the answer once there is one."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("idempotency_keys_by_age", "created_at"),)

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    run_id: Mapped[UUID | None]
    status: Mapped[int | None]
    body: Mapped[bytes | None]
    created_at: Mapped[datetime]


outbox_table = add_outbox_table(Base.metadata, SCHEMA)
inbox_tables = add_inbox_table(Base.metadata, SCHEMA)
