"""The book on a fresh database: over HTTP as the gateway calls it, and told things as the bus tells them."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from portfolio_service.app import create_app, placing, wire
from portfolio_service.consumer import book_handler, market_handler
from portfolio_service.domain.requests import EntryRequest, Outcome
from portfolio_service.schemas import OrderIn
from portfolio_service.settings import Settings
from portfolio_service.telemetry import BookMetrics
from portfolio_service.usecases import books, funds
from saras_common.auth import Identity, InternalTokens, service
from saras_common.clock import ManualClock
from saras_common.events import (
    Allocation,
    AllocationPosted,
    Event,
    InstrumentsListed,
    Listing,
    Mark,
    MarksChanged,
    Message,
    OrderProgressed,
    unpack,
)
from saras_common.ids import new_id
from saras_common.metrics import Metrics
from saras_common.testing.databases import MigratedDatabase, PostgresForTests

INTERNAL_KEY = "internal-key-of-the-tests-32-bytes-long"
INFY, TCS, WIPRO = "NSE:INFY", "NSE:TCS", "NSE:WIPRO"
LISTED = {INFY: 150_000, TCS: 350_000, WIPRO: 25_000}
NO_CHARGES = (0, 0, 0, 0, 0, 0, 0)


class BookOfTests:
    """What tests do with the book below HTTP: every call is a transaction of its own."""

    def __init__(self, settings: Settings, clock: ManualClock, metrics: Metrics | None = None) -> None:
        self.clock = clock
        self.context = wire(settings, clock=clock)
        self.database = self.context.database
        self.metrics = metrics or Metrics()
        self._place = placing(self.context, BookMetrics(self.metrics))
        self._book = book_handler(clock, new_id, BookMetrics(self.metrics))
        self._market = market_handler()

    def list_market(self) -> None:
        now = self.clock.now()
        listings = [
            Listing(instrument=name, token=number, name=name, tick_paise=5, lot_size=1)
            for number, name in enumerate(LISTED)
        ]
        marks = [Mark(instrument=name, last_paise=last, close_paise=last) for name, last in LISTED.items()]
        self.tell_market(InstrumentsListed(at=now, listings=listings), MarksChanged(at=now, marks=marks))

    def tell(self, *events: Event) -> None:
        with self.database.for_service() as session:
            self._book(session, list(events))

    def tell_market(self, *events: Event) -> None:
        with self.database.for_service() as session:
            self._market(session, list(events))

    def user(self, rupees: int = 0) -> UUID:
        user_id = new_id()
        if rupees:
            self.deposit(user_id, rupees * 100)
        return user_id

    def deposit(self, user_id: UUID, paise: int) -> None:
        with self.database.for_users(user_id) as session:
            funds.deposit(session, user_id, paise, instant=True, now=self.clock.now(), new_id=new_id)

    def withdraw(self, user_id: UUID, paise: int) -> None:
        with self.database.for_users(user_id) as session:
            funds.withdraw(session, user_id, paise, instant=True, now=self.clock.now(), new_id=new_id)

    def place(self, *requests: EntryRequest) -> list[Outcome]:
        return self._place(requests)

    def order(self, user_id: UUID, side: str, instrument: str = INFY, quantity: int = 1, **terms: Any) -> Any:
        """The order's view, or the refusal."""
        body = {"side": side, "instrument": instrument, "quantity": quantity, "order_type": "MARKET", **terms}
        (outcome,) = self.place(EntryRequest(str(user_id), [OrderIn.model_validate(body)], atomic=False))
        return outcome.error or outcome.items[0]

    def buy(self, user_id: UUID, instrument: str = INFY, quantity: int = 1, **terms: Any) -> Any:
        return self.order(user_id, "BUY", instrument, quantity, **terms)

    def sell(self, user_id: UUID, instrument: str = INFY, quantity: int = 1, **terms: Any) -> Any:
        return self.order(user_id, "SELL", instrument, quantity, **terms)

    def posting(self, kind: str, parts: Sequence[tuple[Any, int, int, Sequence[int]]], **more: Any) -> AllocationPosted:
        """A posting for orders of one block: (order view, quantity, value in paise, charges)."""
        first = parts[0][0]
        values = {
            "at": self.clock.now(),
            "account_id": "main",
            "batch_id": new_id(),
            "block_id": UUID(int=7),
            "instrument": first.instrument,
            "side": first.side,
            "product": first.product,
            "kind": kind,
            "traded_at": self.clock.now(),
            "allocations": [
                Allocation(
                    order_id=order.id, user_id=order.user_id, quantity=quantity, value_paise=value, charges=charges
                )
                for order, quantity, value, charges in parts
            ],
            **more,
        }
        return AllocationPosted(**values)

    def fill(self, order: Any, quantity: int, value: int, charges: Sequence[int] = NO_CHARGES, **more: Any) -> None:
        self.tell(self.posting("fill", [(order, quantity, value, charges)], **more))

    def true_up(self, order: Any, value: int = 0, charges: Sequence[int] = NO_CHARGES, **more: Any) -> None:
        self.tell(self.posting("true_up", [(order, 0, value, charges)], **more))

    def bust(self, order: Any, quantity: int, value: int, charges: Sequence[int] = NO_CHARGES) -> None:
        self.tell(self.posting("bust", [(order, -quantity, -value, [-charge for charge in charges])]))

    def progress(self, status: str, *orders: Any, reason: str | None = None) -> None:
        ids = [UUID(order.id) for order in orders]
        self.tell(OrderProgressed(at=self.clock.now(), order_ids=ids, status=status, reason=reason))

    def holder(self, instrument: str = INFY, quantity: int = 10, price: int = 150_000, rupees: int = 0) -> UUID:
        """A user with ``quantity`` shares bought at ``price`` paise, and ``rupees`` in cash."""
        user_id = self.user(rupees=quantity * price // 50 + 1000)
        order = self.buy(user_id, instrument, quantity)
        self.fill(order, quantity, quantity * price)
        self.true_up(order)
        self.withdraw(user_id, self.balance(user_id, "cash"))
        if rupees:
            self.deposit(user_id, rupees * 100)
        return user_id

    def balance(self, owner: UUID, account: str, asset: str = "INR") -> int:
        query = "SELECT coalesce(sum(amount), 0) FROM balances WHERE owner_id = :o AND account = :a AND asset = :s"
        return int(self.scalar(query, o=owner, a=account, s=asset))

    def scalar(self, query: str, **values: Any) -> Any:
        with self.database.for_service() as session:
            return session.execute(text(query), values).scalar_one()

    def rows(self, query: str, **values: Any) -> list[Any]:
        with self.database.for_service() as session:
            return list(session.execute(text(query), values).all())

    def stored(self, order: Any) -> Any:
        (row,) = self.rows("SELECT * FROM orders WHERE id = :id", id=order.id)
        return row

    def position(self, user_id: UUID) -> Any:
        (row,) = self.rows("SELECT * FROM positions WHERE user_id = :user", user=user_id)
        return row

    def told(self, kind: type[Event]) -> list[Any]:
        """Events of that kind in the outbox, in order."""
        rows = self.rows("SELECT id, type, body, count FROM outbox WHERE type = :type ORDER BY seq", type=kind.type)
        return [event for row in rows for event in unpack(Message(row.id, row.type, bytes(row.body), row.count))]

    def check(self) -> None:
        """The book is sound."""
        with self.database.for_service() as session:
            assert books.check_books(session) == {}

    def snapshot(self) -> dict[str, list[Any]]:
        """All that must be the same whatever the order and number of deliveries."""
        balances = "SELECT owner_id, account, asset, amount FROM balances WHERE amount <> 0 ORDER BY 1, 2, 3"
        orders = "SELECT id, filled_quantity, filled_paise, charges, hold_paise, hold_quantity FROM orders ORDER BY id"
        positions = "SELECT user_id, instrument, product, quantity, reserved FROM positions ORDER BY 1, 2, 3"
        return {query: self.rows(query) for query in (balances, orders, positions)}

    def close(self) -> None:
        self.database.dispose()
        self.context.entry.dispose()


class Caller:
    """A signed-in person, as the gateway vouches for it."""

    def __init__(self, door: "BookDoor", user_id: UUID, roles: frozenset[str] = frozenset({"user"})) -> None:
        self.door = door
        self.user_id = user_id
        self._roles = roles

    def call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> Any:
        expires_at = self.door.clock.now().timestamp() + 60
        identity = Identity(self.user_id, self.user_id, self._roles, 1, expires_at)
        return self.door.call(identity, method, path, key=key, **options)

    def get(self, path: str, **options: Any) -> Any:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        return self.call("POST", path, key=key, json=body)

    def buy(self, instrument: str = INFY, quantity: int = 1, *, key: str | None = None, **terms: Any) -> Any:
        body = {"instrument": instrument, "quantity": quantity, "order_type": "MARKET", **terms}
        return self.post("/buy", body, key=key)

    def sell(self, instrument: str = INFY, quantity: int = 1, *, key: str | None = None, **terms: Any) -> Any:
        body = {"instrument": instrument, "quantity": quantity, "order_type": "MARKET", **terms}
        return self.post("/sell", body, key=key)


class BookDoor:
    """Stands where the gateway stands."""

    def __init__(self, client: TestClient, book: BookOfTests) -> None:
        self.client = client
        self.book = book
        self.clock = book.clock
        self._tokens = InternalTokens(INTERNAL_KEY.encode(), book.clock)

    def call(self, identity: Identity, method: str, path: str, *, key: str | None = None, **options: Any) -> Any:
        headers = {"X-Internal-Token": self._tokens.mint(identity, "portfolio-service"), **options.pop("headers", {})}
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.client.request(method, path, headers=headers, **options)

    def as_service(self, method: str, path: str, **options: Any) -> Any:
        return self.call(service(self.clock.now().timestamp() + 60), method, path, **options)

    def somebody(self, rupees: int = 0) -> Caller:
        return Caller(self, self.book.user(rupees))

    def admin(self) -> Caller:
        return Caller(self, new_id(), frozenset({"user", "admin"}))


def settings_for(database: MigratedDatabase, **changes: Any) -> Settings:
    values = {
        "database_url": database.url,
        "broker_url": database.bus_url,
        "internal_token_key": INTERNAL_KEY,
        **changes,
    }
    return Settings(**values)


@pytest.fixture
def book_database(database_for: Callable[..., MigratedDatabase]) -> MigratedDatabase:
    return database_for("portfolio_service")


@pytest.fixture
def book(book_database: MigratedDatabase, manual_clock: ManualClock) -> Iterator[BookOfTests]:
    """The book with three instruments listed."""
    made = BookOfTests(settings_for(book_database), manual_clock)
    made.list_market()
    yield made
    made.close()


@pytest.fixture
def settings_of(book_database: MigratedDatabase) -> Callable[..., Settings]:
    """The service's settings for this test's database."""
    return lambda **changes: settings_for(book_database, **changes)


@pytest.fixture(scope="module")
def book_over() -> Callable[[MigratedDatabase, ManualClock], BookOfTests]:
    """A book over a database a module shares."""
    return lambda database, clock: BookOfTests(settings_for(database), clock)


@pytest.fixture
def book_over_settings() -> Iterator[Callable[[Settings, ManualClock], BookOfTests]]:
    """A book with settings of the test's own, its instruments listed."""
    made: list[BookOfTests] = []

    def over(settings: Settings, clock: ManualClock) -> BookOfTests:
        made.append(BookOfTests(settings, clock))
        made[-1].list_market()
        return made[-1]

    yield over
    for book in made:
        book.close()


@contextmanager
def opened(database: MigratedDatabase, clock: ManualClock, **changes: Any) -> Iterator[BookDoor]:
    settings = settings_for(database, **changes)
    metrics = Metrics()
    book = BookOfTests(settings, clock, metrics)
    book.list_market()
    with TestClient(create_app(settings, clock=clock, metrics=metrics), raise_server_exceptions=False) as client:
        yield BookDoor(client, book)
    book.close()


@pytest.fixture
def door_with(book_database: MigratedDatabase, manual_clock: ManualClock) -> Callable[..., Any]:
    """``with door_with(require_kyc=True) as door:`` a service with its own settings."""
    return lambda **changes: opened(book_database, manual_clock, **changes)


@pytest.fixture(scope="module")
def door(postgres: PostgresForTests) -> Iterator[BookDoor]:
    """One service for a module; tests make their own users."""
    database = postgres.database_for("portfolio_service")
    with opened(database, ManualClock(datetime(2026, 3, 2, 5, tzinfo=UTC))) as made:
        yield made
    postgres.drop(database)


@pytest.fixture
def dice() -> random.Random:
    return random.Random(20260302)
