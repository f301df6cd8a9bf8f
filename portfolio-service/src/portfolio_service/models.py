"""The tables, in schema ``portfolio_service``. Rows that belong to one user stand behind row-level security.

Money is paise, quantities are units, both 64-bit integers. ``account`` is an account of the ledger, ``account_id`` the
broker account whose money and shares the row is part of. No foreign keys on the hot tables: ids come from the same
transaction that checked them, and a key check per row would cost a lock per row.
"""

from datetime import date, datetime
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
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from portfolio_service.domain.ledger import CONTRA_ACCOUNTS, USER_ACCOUNTS
from portfolio_service.domain.orders import Status
from saras_common.inbox import add_inbox_table
from saras_common.outbox import add_outbox_table

SCHEMA = "portfolio_service"
DB_ROLE = "portfolio_service"


def one_of(column: str, values: tuple[str, ...]) -> str:
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
        list[int]: ARRAY(BigInteger),
        list[Any]: JSONB,
    }


class ClientRow(Base):
    """What the book must know of a user. Its row lock is the user's: whoever moves a user's things takes it first."""

    __tablename__ = "clients"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'disabled')", name="clients_status"),
        CheckConstraint("open_orders >= 0", name="clients_open_orders"),
    )

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[str]
    version: Mapped[int]
    status: Mapped[str]
    kyc_status: Mapped[str]
    default_portfolio_id: Mapped[UUID]
    open_orders: Mapped[int] = mapped_column(server_default="0")
    day: Mapped[date | None]
    """The trading day the two below count."""
    day_orders: Mapped[int] = mapped_column(server_default="0")
    day_paise: Mapped[int] = mapped_column(server_default="0")


class PortfolioRow(Base):
    """A user's portfolios; every user has a default one."""

    __tablename__ = "portfolios"
    __table_args__ = (Index("portfolios_name_key", "user_id", "name", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    name: Mapped[str]
    benchmark: Mapped[str | None]
    created_at: Mapped[datetime]


class InstrumentRow(Base):
    """What may be traded, as the broker lists it."""

    __tablename__ = "instruments"
    __table_args__ = (CheckConstraint("tick_paise > 0 AND lot_size > 0", name="instruments_steps"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[int]
    title: Mapped[str]
    tick_paise: Mapped[int]
    lot_size: Mapped[int]
    kind: Mapped[str]


class BlockRow(Base):
    """Instruments a broker account may not buy for the moment."""

    __tablename__ = "blocked_instruments"

    instrument: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True)


class MarkRow(Base):
    """Last prices."""

    __tablename__ = "marks"
    __table_args__ = (CheckConstraint("last_paise > 0", name="marks_positive"),)

    instrument: Mapped[str] = mapped_column(primary_key=True)
    last_paise: Mapped[int]
    close_paise: Mapped[int | None]
    at: Mapped[datetime]


class OrderRow(Base):
    """Orders. ``timeline`` holds [at, status, note] of each move after acceptance, ``hold_…`` what is reserved."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("side IN ('BUY', 'SELL')", name="orders_side"),
        CheckConstraint(one_of("status", tuple(Status)), name="orders_status"),
        CheckConstraint("quantity > 0 AND filled_quantity BETWEEN 0 AND quantity", name="orders_quantity"),
        CheckConstraint("hold_paise >= 0 AND hold_quantity >= 0", name="orders_hold"),
        CheckConstraint("cardinality(charges) = 7", name="orders_charges"),
        Index("orders_by_user", "user_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    account_id: Mapped[str]
    portfolio_id: Mapped[UUID]
    instrument: Mapped[str]
    side: Mapped[str]
    order_type: Mapped[str]
    product: Mapped[str]
    validity: Mapped[str]
    quantity: Mapped[int]
    price_paise: Mapped[int | None]
    trigger_price_paise: Mapped[int | None]
    status: Mapped[str] = mapped_column(server_default="ACCEPTED")
    status_reason: Mapped[str | None]
    filled_quantity: Mapped[int] = mapped_column(server_default="0")
    filled_paise: Mapped[int] = mapped_column(server_default="0")
    charges: Mapped[list[int]] = mapped_column(server_default=text("'{0,0,0,0,0,0,0}'::bigint[]"))
    hold_paise: Mapped[int]
    hold_quantity: Mapped[int]
    basket_id: Mapped[UUID | None]
    batch_id: Mapped[UUID | None]
    settled_block_id: Mapped[UUID | None]
    cancel_requested_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    timeline: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))


class EntryRow(Base):
    """The ledger: only ever added to, by statements whose journals each sum to zero (see the trigger)."""

    __tablename__ = "entries"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="entries_amount"),
        CheckConstraint(one_of("account", USER_ACCOUNTS + CONTRA_ACCOUNTS), name="entries_account"),
        Index(
            "entries_statement",
            "owner_id",
            "id",
            postgresql_where=text("kind NOT IN ('reserve', 'release')"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    journal_id: Mapped[UUID]
    owner_id: Mapped[UUID]
    account: Mapped[str] = mapped_column(Text(collation="C"))
    account_id: Mapped[str] = mapped_column(Text(collation="C"))
    asset: Mapped[str] = mapped_column(Text(collation="C"))
    amount: Mapped[int]
    kind: Mapped[str]
    order_id: Mapped[UUID | None]
    value_paise: Mapped[int]
    charges_paise: Mapped[int]
    at: Mapped[datetime]


class BalanceRow(Base):
    """Sums of the entries, kept by the trigger alone. ``change`` is the last one applied, ``version`` counts them."""

    __tablename__ = "balances"
    __table_args__ = (
        CheckConstraint(f"amount >= 0 OR {one_of('account', CONTRA_ACCOUNTS)}", name="balances_not_negative"),
    )

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    asset: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    account_id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    amount: Mapped[int]
    change: Mapped[int]
    version: Mapped[int] = mapped_column(server_default="1")


class MovementRow(Base):
    """Deposits and withdrawals, and where they stand."""

    __tablename__ = "movements"
    __table_args__ = (
        CheckConstraint("kind IN ('deposit', 'withdrawal')", name="movements_kind"),
        CheckConstraint("status IN ('pending', 'completed', 'rejected')", name="movements_status"),
        CheckConstraint("amount_paise > 0", name="movements_amount"),
        Index("movements_by_user", "user_id", "id"),
        Index("movements_pending", "id", postgresql_where=text("status = 'pending'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    account_id: Mapped[str]
    kind: Mapped[str]
    amount_paise: Mapped[int]
    status: Mapped[str]
    created_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None]


class PositionRow(Base):
    """Shares by portfolio, instrument and product: cost two ways, and the turnover of the last day traded."""

    __tablename__ = "positions"
    __table_args__ = (CheckConstraint("quantity >= 0 AND reserved <= quantity", name="positions_reserved"),)

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    portfolio_id: Mapped[UUID] = mapped_column(primary_key=True)
    instrument: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    product: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    quantity: Mapped[int]
    reserved: Mapped[int]
    cost_paise: Mapped[int]
    realised_paise: Mapped[int]
    fifo_realised_paise: Mapped[int]
    charges_paise: Mapped[int]
    day: Mapped[date | None]
    day_bought: Mapped[int]
    day_bought_paise: Mapped[int]
    day_sold: Mapped[int]
    day_sold_paise: Mapped[int]


class LotRow(Base):
    """FIFO lots, one for each order that brought shares in; ``cost_paise`` is of what remains."""

    __tablename__ = "lots"
    __table_args__ = (
        CheckConstraint("remaining BETWEEN 0 AND quantity AND is_open = (remaining > 0)", name="lots_remaining"),
        # is_open stands in for remaining, so that a growing lot can be updated without touching the index
        Index("lots_open", "user_id", "instrument", "product", "portfolio_id", postgresql_where=text("is_open")),
    )

    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    portfolio_id: Mapped[UUID]
    instrument: Mapped[str] = mapped_column(Text(collation="C"))
    product: Mapped[str] = mapped_column(Text(collation="C"))
    opened_at: Mapped[datetime]
    quantity: Mapped[int]
    remaining: Mapped[int]
    cost_paise: Mapped[int]
    is_open: Mapped[bool]


class RecordedTradeRow(Base):
    """Trades done elsewhere, as their user wrote them down: never part of the ledger, only ever added to."""

    __tablename__ = "recorded_trades"
    __table_args__ = (
        CheckConstraint("side IN ('BUY', 'SELL')", name="recorded_trades_side"),
        CheckConstraint("quantity > 0 AND price_paise > 0", name="recorded_trades_positive"),
        Index("recorded_trades_by_user", "user_id", "traded_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    instrument: Mapped[str]
    side: Mapped[str]
    quantity: Mapped[int]
    price_paise: Mapped[int]
    traded_at: Mapped[datetime]
    recorded_at: Mapped[datetime]


class IdempotencyKeyRow(Base):
    """What was answered to a key: a small body as it was, or the orders an entry made, to be shown as accepted."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("idempotency_keys_by_age", "created_at"),)

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    fingerprint: Mapped[bytes]
    status: Mapped[int] = mapped_column(SmallInteger)
    body: Mapped[bytes]
    created_at: Mapped[datetime]


add_outbox_table(Base.metadata, SCHEMA)
add_inbox_table(Base.metadata, SCHEMA)
