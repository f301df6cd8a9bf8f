"""The usual demo, as a baseline: FastAPI, an ORM session a request, one Celery task an order, one broker call an order.

Written the way tutorials write it, without tricks for or against. The broker call is free here (an immediate paper
fill), which flatters it. Environment: BASELINE_DATABASE (a SQLAlchemy URL), BASELINE_BROKER (a Celery broker URL).
"""

import os
from collections.abc import Iterator
from decimal import Decimal

from celery import Celery
from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import ForeignKey, Numeric, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(os.environ["BASELINE_DATABASE"], pool_size=10)
Sessions = sessionmaker(engine)
celery = Celery("celery_shop", broker=os.environ["BASELINE_BROKER"])
celery.conf.task_ignore_result = True
celery.conf.task_acks_late = True
celery.conf.broker_connection_retry_on_startup = True
app = FastAPI()
PRICE = Decimal("1500.00")


class Base(DeclarativeBase):
    """Tables of the baseline."""


class Account(Base):
    """A user's cash."""

    __tablename__ = "shop_accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    cash: Mapped[Decimal] = mapped_column(Numeric(18, 2))


class Order(Base):
    """A user's order."""

    __tablename__ = "shop_orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("shop_accounts.id"), index=True)
    symbol: Mapped[str]
    quantity: Mapped[int]
    status: Mapped[str] = mapped_column(index=True)
    price: Mapped[Decimal | None] = mapped_column(Numeric(18, 2))


class Holding(Base):
    """Shares a user holds."""

    __tablename__ = "shop_holdings"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("shop_accounts.id"), index=True)
    symbol: Mapped[str]
    quantity: Mapped[int]


class Entry(Base):
    """A line of the ledger."""

    __tablename__ = "shop_entries"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("shop_accounts.id"), index=True)
    amount: Mapped[Decimal] = mapped_column(Numeric(18, 2))


class Body(BaseModel):
    """What a client sends."""

    account_id: int
    symbol: str
    quantity: int


def create() -> None:
    """Tables, and a hundred accounts with plenty of cash."""
    Base.metadata.create_all(engine)
    with Sessions() as db:
        db.add_all([Account(id=number + 1, cash=Decimal(10**9)) for number in range(100)])
        db.commit()


def session() -> Iterator[Session]:
    """A session a request."""
    with Sessions() as opened:
        yield opened


@app.post("/orders", status_code=202)
def create_order(body: Body, db: Session = Depends(session)) -> dict[str, int]:  # noqa: B008, FAST002 - as tutorials do
    """Check, store, hand to the worker."""
    account = db.get(Account, body.account_id, with_for_update=True)
    assert account is not None
    assert account.cash >= body.quantity * PRICE
    order = Order(account_id=body.account_id, symbol=body.symbol, quantity=body.quantity, status="PENDING")
    db.add(order)
    db.commit()
    process_order.delay(order.id)
    return {"id": order.id}


@celery.task  # type: ignore[untyped-decorator] # celery publishes no types
def process_order(order_id: int) -> None:
    """Fill one order at the paper price and book it."""
    with Sessions() as db:
        order = db.get(Order, order_id, with_for_update=True)
        assert order is not None
        if order.status != "PENDING":
            return
        account = db.get(Account, order.account_id, with_for_update=True)
        assert account is not None
        order.status, order.price = "FILLED", PRICE
        account.cash -= PRICE * order.quantity
        db.add(Entry(account_id=account.id, amount=-PRICE * order.quantity))
        holding = db.scalar(select(Holding).where(Holding.account_id == account.id, Holding.symbol == order.symbol))
        if holding is None:
            db.add(Holding(account_id=account.id, symbol=order.symbol, quantity=order.quantity))
        else:
            holding.quantity += order.quantity
        db.commit()
