"""What is at the broker: intents, orders, trades."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Identity,
    Index,
    PrimaryKeyConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from trade_executor.domain import IntentState, OrderEnd
from trade_executor.models.base import Base, one_of


class IntentRow(Base):
    """Broker orders we mean to place."""

    __tablename__ = "intents"
    __table_args__ = (
        CheckConstraint(one_of("state", IntentState), name="intents_state"),
        Index("intents_by_block", "block_id"),
        Index("intents_by_tag", "tag", unique=True),
        Index(
            "intents_alive",
            "account_id",
            "seq",
            postgresql_where=text("state IN ('PLANNED', 'SENDING', 'UNKNOWN', 'OPERATOR', 'ABSENT_CONFIRMED')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(Identity(always=True))
    block_id: Mapped[UUID]
    account_id: Mapped[str]
    attempt: Mapped[int]
    tag: Mapped[str]
    quantity: Mapped[int]
    state: Mapped[str]
    epoch: Mapped[int]
    sending_at: Mapped[datetime | None]
    broker_order_id: Mapped[str | None]
    clean_reads: Mapped[int]
    clean_since: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    reason: Mapped[str | None]
    late: Mapped[bool]


class BrokerOrderRow(Base):
    """Orders in the broker's book that are ours."""

    __tablename__ = "broker_orders"
    __table_args__ = (
        PrimaryKeyConstraint("account_id", "broker_order_id", name="broker_orders_pkey"),
        CheckConstraint(f"ended IS NULL OR {one_of('ended', OrderEnd)}", name="broker_orders_ended"),
        Index("broker_orders_by_block", "block_id"),
        Index("broker_orders_unsettled", "account_id", postgresql_where=text("ended IS NULL OR traded < filled")),
    )

    account_id: Mapped[str]
    broker_order_id: Mapped[str]
    intent_id: Mapped[UUID]
    block_id: Mapped[UUID]
    quantity: Mapped[int]
    placed_on: Mapped[date]
    filled: Mapped[int]
    traded: Mapped[int]
    traded_value_paise: Mapped[int]
    status: Mapped[str]
    ended: Mapped[str | None]
    message: Mapped[str | None]
    modifications: Mapped[int]
    cut_to: Mapped[int | None]
    cut_at: Mapped[datetime | None]


class FillRow(Base):
    """Trades, each once. ``block_id`` is null for a trade none of our orders explains."""

    __tablename__ = "fills"
    __table_args__ = (
        PrimaryKeyConstraint("account_id", "exchange", "trade_id", "traded_on", name="fills_pkey"),
        Index("fills_by_block", "block_id"),
    )

    seq: Mapped[int] = mapped_column(Identity(always=True))
    account_id: Mapped[str]
    exchange: Mapped[str]
    trade_id: Mapped[str]
    traded_on: Mapped[date]
    broker_order_id: Mapped[str]
    instrument: Mapped[str]
    side: Mapped[str]
    product: Mapped[str]
    quantity: Mapped[int]
    value_paise: Mapped[int]
    traded_at: Mapped[datetime]
    block_id: Mapped[UUID | None]


class StrangerRow(Base):
    """Orders in the account that none of ours explains."""

    __tablename__ = "strangers"
    __table_args__ = (PrimaryKeyConstraint("account_id", "order_id", name="strangers_pkey"),)

    account_id: Mapped[str]
    order_id: Mapped[str]
    instrument: Mapped[str]
    seen_at: Mapped[datetime]


class DpChargeRow(Base):
    """Which block carries a day's depository fee of an instrument."""

    __tablename__ = "dp_charges"
    __table_args__ = (PrimaryKeyConstraint("account_id", "instrument", "day", name="dp_charges_pkey"),)

    account_id: Mapped[str]
    instrument: Mapped[str]
    day: Mapped[date]
    block_id: Mapped[UUID]
