"""The service on a fresh database: called as the gateway calls it, with a book that fills when told to."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from saras_common.auth import Identity, InternalTokens
from saras_common.clock import ManualClock
from saras_common.errors import Unavailable
from saras_common.events import (
    DayPrice,
    DayPricesRecorded,
    Event,
    InstrumentFacts,
    InstrumentsDescribed,
    InstrumentsListed,
    Listing,
    Mark,
    MarksChanged,
    Message,
    OrderUpdated,
    unpack,
)
from saras_common.ids import new_id
from saras_common.testing.databases import MigratedDatabase, PostgresForTests
from smallcase_service.app import create_app
from smallcase_service.book import Call, Reply
from smallcase_service.consumer import market_handler, orders_handler
from smallcase_service.settings import Settings
from smallcase_service.usecases import running

INTERNAL_KEY = "internal-key-of-the-tests-32-bytes-long"
PRICES = {"NSE:INFY": 150_000, "NSE:TCS": 350_000, "NSE:ITC": 42_000, "NSE:SBIN": 78_000, "NSE:LT": 360_000}
ENDED = {"FILLED", "CANCELLED", "REJECTED", "EXPIRED"}


@dataclass
class PaperOrder:
    """An order as the paper book keeps it."""

    id: UUID
    user_id: UUID
    basket_id: UUID | None
    instrument: str
    side: str
    quantity: int
    status: str = "ACCEPTED"
    filled: int = 0
    value: int = 0
    charges: int = 0
    limit: int | None = None


@dataclass
class PaperBook:
    """The book's routes, without a book: takes orders once a key, holds shares, fills and cancels what a test does."""

    door: "Baskets | None" = None
    cash: int = 10**12
    orders: dict[UUID, PaperOrder] = field(default_factory=dict)
    answers: dict[str, Reply] = field(default_factory=dict)
    shares: dict[tuple[UUID, str], int] = field(default_factory=dict)
    down: bool = False
    loses_answers: bool = False
    refuses: dict[str, Any] | None = None
    calls: list[Call] = field(default_factory=list)
    cancels: list[UUID] = field(default_factory=list)

    def send(self, calls: Sequence[Call]) -> list[Reply | Unavailable]:
        return [self._one(call) for call in calls]

    async def start(self) -> None: ...

    def close(self) -> None: ...

    def _one(self, call: Call) -> Reply | Unavailable:
        self.calls.append(call)
        if self.down:
            return Unavailable("down")
        if call.method == "GET":
            return self._holdings(call)
        if call.method == "DELETE":
            self.cancels.append(UUID(call.path.rpartition("/")[2]))
            return Reply(202, b"{}")
        key = call.headers["Idempotency-Key"]
        if key not in self.answers:
            self.answers[key] = self._take(json.loads(call.body))
        return Unavailable("lost") if self.loses_answers else self.answers[key]

    def _holdings(self, call: Call) -> Reply:
        tokens = InternalTokens(INTERNAL_KEY.encode(), self.door.clock)
        user_id = tokens.verify(call.headers["X-Internal-Token"], "portfolio-service").user_id
        items = [
            {"instrument": name, "quantity": count, "reserved": 0}
            for (user, name), count in self.shares.items()
            if user == user_id
        ]
        return Reply(200, json.dumps({"items": items}).encode())

    def _take(self, body: dict[str, Any]) -> Reply:
        user_id = UUID(body["user_id"])
        refusal = self.refuses or self._lacking(user_id, body["orders"])
        if refusal is not None:
            return Reply(422, json.dumps(refusal).encode())
        documents = []
        for wanted in body["orders"]:
            order = PaperOrder(
                new_id(), user_id, UUID(body["basket_id"]), wanted["instrument"], wanted["side"], wanted["quantity"]
            )
            if wanted["order_type"] == "LIMIT":
                assert wanted["validity"] == "IOC"
                order.limit = round(float(wanted["price"]) * 100)
            self.orders[order.id] = order
            documents.append({**wanted, "id": str(order.id), "basket_id": body["basket_id"], "status": "ACCEPTED"})
        return Reply(202, json.dumps({"items": documents}).encode())

    def _lacking(self, user_id: UUID, orders: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        short = [
            o for o in orders if o["side"] == "SELL" and self.shares.get((user_id, o["instrument"]), 0) < o["quantity"]
        ]
        problem = {
            "code": "insufficient_holdings",
            "status": 422,
            "title": "Too few",
            "detail": "Too few",
            "errors": [],
        }
        return problem if short else None

    def open(self) -> list[PaperOrder]:
        return [order for order in self.orders.values() if order.status not in ENDED]

    def fill(self, order: PaperOrder, quantity: int | None = None, *, then: str | None = None) -> OrderUpdated:
        """Fill some (all unless told) at the last price; ``then`` ends it."""
        quantity = order.quantity - order.filled if quantity is None else quantity
        price = self.door.prices[order.instrument]
        order.filled += quantity
        order.value += quantity * price
        order.charges = order.value // 900
        sign = 1 if order.side == "BUY" else -1
        key = (order.user_id, order.instrument)
        self.shares[key] = self.shares.get(key, 0) + sign * quantity
        order.status = then or ("FILLED" if order.filled == order.quantity else "PARTIALLY_FILLED")
        return self.told(order)

    def told(self, order: PaperOrder) -> OrderUpdated:
        return OrderUpdated(
            at=self.door.clock.now(),
            order_id=order.id,
            user_id=order.user_id,
            instrument=order.instrument,
            side=order.side,
            product="CNC",
            quantity=order.quantity,
            status=order.status,
            filled_quantity=order.filled,
            filled_value_paise=order.value,
            charges_paise=order.charges,
            basket_id=order.basket_id,
        )

    def fill_all(self) -> list[OrderUpdated]:
        """Everything open, but for what has a limit that the price is over: that is cancelled."""
        return [
            self.fill(order)
            if order.limit is None or order.limit >= self.door.prices[order.instrument]
            else self.end(order, "CANCELLED")
            for order in self.open()
        ]

    def end(self, order: PaperOrder, status: str) -> OrderUpdated:
        """Nothing more of it fills."""
        order.status = status
        return self.told(order)

    def end_cancelled(self) -> list[OrderUpdated]:
        """Every order whose cancel was asked for and that is open."""
        return [self.end(order, "CANCELLED") for order in self.open() if order.id in self.cancels]


class Baskets:
    """The service and its surroundings."""

    def __init__(self, client: TestClient, context: Any, clock: ManualClock, book: PaperBook) -> None:
        self.client = client
        self.context = context
        self.clock = clock
        self.book = book
        book.door = self
        self.prices: dict[str, int] = {}
        self._tokens = InternalTokens(INTERNAL_KEY.encode(), clock)
        self._orders, self._market = orders_handler(), market_handler()
        self._numbers = itertools.count()

    def call(self, user_id: UUID, method: str, path: str, *, key: str | None = None, **options: Any) -> Any:
        expires_at = self.clock.now().timestamp() + 60
        identity = Identity(user_id, user_id, frozenset({"user"}), 1, expires_at)
        headers = {"X-Internal-Token": self._tokens.mint(identity, "smallcase-service")}
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.client.request(method, path, headers=headers, **options)

    def user(self) -> "Person":
        return Person(self, new_id())

    def list_market(self, prices: dict[str, int] = PRICES) -> None:
        now = self.clock.now()
        listings = [
            Listing(instrument=name, token=number, name=name, tick_paise=5, lot_size=1)
            for number, name in enumerate(prices)
        ]
        self.tell_market(InstrumentsListed(at=now, listings=listings))
        self.mark(prices)

    def mark(self, prices: dict[str, int]) -> None:
        self.prices |= prices
        marks = [Mark(instrument=name, last_paise=last) for name, last in prices.items()]
        self.tell_market(MarksChanged(at=self.clock.now(), marks=marks))

    def describe(self, shares: dict[str, int | None]) -> None:
        facts = [InstrumentFacts(instrument=n, sector="Trade", shares_issued=count) for n, count in shares.items()]
        self.tell_market(InstrumentsDescribed(at=self.clock.now(), facts=facts))

    def record(self, closes: dict[str, dict[date, int]], volume: int | None = 10**6) -> None:
        rows = [
            DayPrice(instrument=name, day=day, open_paise=p, high_paise=p, low_paise=p, close_paise=p, volume=volume)
            for name, days in closes.items()
            for day, p in days.items()
        ]
        for start in range(0, len(rows), 1000):
            self.tell_market(DayPricesRecorded(at=self.clock.now(), prices=rows[start : start + 1000]))

    def tell(self, *events: Event) -> None:
        with self.context.database.for_service() as session:
            self._orders(session, list(events))

    def tell_market(self, *events: Event) -> None:
        with self.context.database.for_service() as session:
            self._market(session, list(events))

    def fill_all(self) -> None:
        """Everything open is filled and told, and the runs move on, until nothing is open."""
        for _ in range(10):
            self.tell(*self.book.fill_all())
            running.drive(self.context)
            if not self.book.open():
                return
        raise AssertionError("the runs do not end")

    def drive(self) -> None:
        running.drive(self.context)

    def rows(self, query: str, **values: Any) -> list[Any]:
        with self.context.database.for_service() as session:
            return list(session.execute(text(query), values).all())

    def told(self, kind: type[Event]) -> list[Any]:
        """Events of that kind in the outbox, in order."""
        rows = self.rows("SELECT id, type, body, count FROM outbox WHERE type = :type ORDER BY seq", type=kind.type)
        return [event for row in rows for event in unpack(Message(row.id, row.type, bytes(row.body), row.count))]


@dataclass
class Person:
    """A signed-in caller."""

    door: Baskets
    id: UUID

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        options = {} if body is None else {"json": body}
        return self.door.call(self.id, method, path, key=key, **options)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, *, status: int = 202, key: str | None = None) -> Any:
        answer = self.call("POST", path, body, key=key)
        assert answer.status_code == status, answer.text
        return answer.json()

    def compose(self, weights: dict[str, str], **more: Any) -> Any:
        return self.post("/smallcase", proposal(weights, **more), status=201)

    def holdings(self, basket_id: str) -> dict[str, int]:
        rows = self.get(f"/investments/{basket_id}")["holdings"]
        return {row["instrument"]: row["quantity"] for row in rows if row["quantity"]}

    def run(self, answer: dict[str, Any]) -> Any:
        return self.get(f"/investments/{answer['basket_id']}/runs/{answer['run_id']}")


def proposal(weights: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "name": "A basket",
        "visibility": "public",
        "weighting": "custom",
        "constituents": [{"instrument": name, "weight": weight} for name, weight in weights.items()],
        **more,
    }


def history(names: Sequence[str], last: date, sessions: int, seed: int = 7) -> dict[str, dict[date, int]]:
    """Made-up closes that end near the tests' prices, weekdays only."""
    dice = np.random.default_rng(seed)
    days: list[date] = []
    day = last
    while len(days) < sessions:
        if day.weekday() < 5:
            days.append(day)
        day -= timedelta(days=1)
    days.reverse()
    found = {}
    for name in names:
        path = np.exp(np.cumsum(dice.normal(0.0004, 0.015, sessions)))
        found[name] = {
            one: max(100, round(PRICES.get(name, 50_000) * float(level / path[-1])))
            for one, level in zip(days, path, strict=True)
        }
    return found


def settings_for(database: MigratedDatabase, **changes: Any) -> Settings:
    values = {
        "database_url": database.url,
        "broker_url": database.bus_url,
        "internal_token_key": INTERNAL_KEY,
        **changes,
    }
    return Settings(**values)


@contextmanager
def opened(database: MigratedDatabase, clock: ManualClock, **changes: Any) -> Iterator[Baskets]:
    book = PaperBook()
    app = create_app(settings_for(database, **changes), clock=clock, transport=book)
    with TestClient(app, raise_server_exceptions=False) as client:
        door = Baskets(client, app.state.context, clock, book)
        door.list_market()
        yield door


@pytest.fixture
def basket_database(database_for: Callable[..., MigratedDatabase]) -> MigratedDatabase:
    return database_for("smallcase_service")


@pytest.fixture
def door(basket_database: MigratedDatabase, manual_clock: ManualClock) -> Iterator[Baskets]:
    with opened(basket_database, manual_clock) as made:
        yield made


@pytest.fixture(scope="module")
def shared_door(postgres: PostgresForTests) -> Iterator[Baskets]:
    """One service for cases that make their own users and leave nothing others trip over."""
    database = postgres.database_for("smallcase_service")
    with opened(database, ManualClock(datetime(2026, 3, 2, 5, tzinfo=UTC))) as made:
        yield made
    postgres.drop(database)


@pytest.fixture
def record_history() -> Callable[..., dict[str, dict[date, int]]]:
    """``record_history(door, sessions=300)``: closes of every share, ending yesterday; they are given back."""

    def record(door: Baskets, sessions: int = 300) -> dict[str, dict[date, int]]:
        closes = history(list(door.prices), (door.clock.now() - timedelta(days=1)).date(), sessions)
        door.record(closes)
        return closes

    return record
