"""Broker accounts, their leases, logins and counted calls."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Identity,
    Index,
    PrimaryKeyConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from trade_executor.models.base import Base


class AccountRow(Base):
    """A broker account: its kill switch, what it held before us, what deposits moved it by."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(primary_key=True)
    halted: Mapped[bool] = mapped_column(server_default=text("false"))
    halt_reason: Mapped[str | None]
    opening_cash_paise: Mapped[int | None]
    opening_shares: Mapped[dict[str, Any] | None]
    mirrored_paise: Mapped[int] = mapped_column(server_default=text("0"))
    reconcile_requested: Mapped[bool] = mapped_column(server_default=text("false"))


class BlockedInstrumentRow(Base):
    """Buys stopped until an administrator has looked."""

    __tablename__ = "blocked_instruments"
    __table_args__ = (PrimaryKeyConstraint("account_id", "instrument", name="blocked_instruments_pkey"),)

    account_id: Mapped[str]
    instrument: Mapped[str]


class LeaseRow(Base):
    """Who leads an account; ``epoch`` grows with every change of hands."""

    __tablename__ = "leases"

    account_id: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[UUID]
    epoch: Mapped[int]
    expires_at: Mapped[datetime]


class SessionRow(Base):
    """The day's login at the broker, its token sealed."""

    __tablename__ = "sessions"

    account_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    sealed_token: Mapped[bytes]
    expires_at: Mapped[datetime]
    alive: Mapped[bool]


class OrderCallRow(Base):
    """Every order call made or about to be made, for the broker's limits."""

    __tablename__ = "order_calls"
    __table_args__ = (Index("order_calls_by_account", "account_id", "at"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    account_id: Mapped[str]
    at: Mapped[datetime]
    value_paise: Mapped[int] = mapped_column(server_default="0")
    """What a placing may buy or sell for; 0 for a change or a cancellation."""
