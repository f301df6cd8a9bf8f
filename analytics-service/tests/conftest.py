import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import orjson
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from analytics_service.app import create_app, wire
from analytics_service.consumer import handler
from analytics_service.settings import Settings
from saras_common.auth import Identity, InternalTokens
from saras_common.clock import ManualClock
from saras_common.errors import Unavailable
from saras_common.events import (
    Allocation,
    AllocationPosted,
    Event,
    FundsMoved,
    InstrumentsListed,
    Listing,
    Mark,
    MarksChanged,
    TradeRecorded,
    UserChanged,
    unpack,
)
from saras_common.events import Message as BusMessage
from saras_common.ids import new_id
from saras_common.testing.databases import MigratedDatabase, PostgresForTests

INTERNAL_KEY = "internal-key-of-the-tests-32-bytes-long"
INFY, TCS, WIPRO = "NSE:INFY", "NSE:TCS", "NSE:WIPRO"
LISTED = {INFY: 150_000, TCS: 350_000, WIPRO: 25_000}
NO_CHARGES = (0, 0, 0, 0, 0, 0, 0)


class BookOfTests:
    """Answers as portfolio-service does, from a dict: user → cash, deposited, withdrawn, shelves."""

    def __init__(self) -> None:
        self.tokens: InternalTokens
        self.users: dict[str, dict[str, Any]] = {}
        self.is_down = False

    def put(
        self,
        user_id: UUID,
        *,
        cash: int = 0,
        deposited: int = 0,
        withdrawn: int = 0,
        shelves: Mapping[str, tuple[int, int, int | None]] | None = None,
        portfolio_id: UUID | None = None,
    ) -> None:
        """``shelves``: instrument → quantity, cost, last price."""
        default = self.users.get(str(user_id), {}).get("default_portfolio_id", str(portfolio_id or new_id()))
        self.users[str(user_id)] = {
            "user_id": str(user_id),
            "default_portfolio_id": default,
            "cash": cash,
            "deposited": deposited,
            "withdrawn": withdrawn,
            "positions": [
                [default, instrument, "CNC", quantity, cost, 0, 0, last]
                for instrument, (quantity, cost, last) in (shelves or {}).items()
            ],
        }

    def ask(self, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if self.is_down:
            raise Unavailable("down")
        assert self.tokens.verify(headers["X-Internal-Token"], "portfolio-service").is_service
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert parts.path == "/internal/books"
        limit = int(query["limit"])
        if "user_id" in query:
            names = [query["user_id"]] if query["user_id"] in self.users else []
        else:
            names = sorted(name for name in self.users if name > query.get("after", ""))[:limit]
        following = names[-1] if len(names) == limit else None
        return 200, orjson.dumps({"items": [self.users[name] for name in names], "next": following})


class ServiceOfTests:
    """The service below HTTP: every call is a transaction of its own."""

    def __init__(self, settings: Settings, clock: ManualClock, book: BookOfTests) -> None:
        self.settings = settings
        self.clock = clock
        self.book = book
        book.tokens = InternalTokens(INTERNAL_KEY.encode(), clock)
        self.context = wire(settings, clock=clock, ask_book=book.ask)
        self.database = self.context.database
        self.counted: list[tuple[int, int]] = []
        self._handle = handler(
            clock,
            new_id,
            self.context.outbox,
            band_percent=settings.price_band_percent,
            count=lambda *both: self.counted.append(both),
        )

    def tell(self, *events: Event) -> None:
        with self.database.for_service() as session:
            self._handle(session, list(events))

    def list_market(self, prices: Mapping[str, int] = LISTED) -> None:
        now = self.clock.now()
        listings = [
            Listing(instrument=name, token=number, name=name, tick_paise=5, lot_size=1)
            for number, name in enumerate(prices)
        ]
        self.tell(InstrumentsListed(at=now, listings=listings))
        self.mark(prices)

    def mark(self, prices: Mapping[str, int]) -> None:
        marks = [Mark(instrument=name, last_paise=last) for name, last in prices.items()]
        self.tell(MarksChanged(at=self.clock.now(), marks=marks))

    def user(self, **book: Any) -> UUID:
        user_id = new_id()
        self.tell(
            UserChanged(
                at=self.clock.now(), user_id=user_id, version=1, email=f"{user_id}@saras.example.com",
                full_name="Asha Rao", status="active", roles=["user"], kyc_status="approved",
            )
        )  # fmt: skip
        self.book.put(user_id, **book)
        return user_id

    def posting(
        self, user_id: UUID, side: str = "BUY", quantity: int = 10, value: int = 1_500_000, **more: Any
    ) -> AllocationPosted:
        order_id = more.pop("order_id", None) or new_id()
        charges = more.pop("charges", NO_CHARGES)
        values: dict[str, Any] = {
            "at": self.clock.now(),
            "account_id": "main",
            "batch_id": new_id(),
            "block_id": new_id(),
            "instrument": INFY,
            "side": side,
            "product": "CNC",
            "kind": "fill",
            "traded_at": self.clock.now(),
            "allocations": [
                Allocation(order_id=order_id, user_id=user_id, quantity=quantity, value_paise=value, charges=charges)
            ],
            **more,
        }
        return AllocationPosted(**values)

    def fill(self, user_id: UUID, side: str = "BUY", quantity: int = 10, value: int = 1_500_000, **more: Any) -> None:
        self.tell(self.posting(user_id, side, quantity, value, **more))

    def record(self, user_id: UUID, **more: Any) -> TradeRecorded:
        values = {
            "at": self.clock.now(),
            "trade_id": new_id(),
            "user_id": user_id,
            "instrument": INFY,
            "side": "BUY",
            "quantity": 5,
            "price_paise": 150_000,
            "traded_at": self.clock.now(),
            **more,
        }
        event = TradeRecorded(**values)
        self.tell(event)
        return event

    def move(self, user_id: UUID, paise: int) -> None:
        self.tell(
            FundsMoved(
                at=self.clock.now(), movement_id=new_id(), user_id=user_id, account_id="main", amount_paise=paise
            )
        )

    def rows(self, query: str, **values: Any) -> list[Any]:
        with self.database.for_service() as session:
            return list(session.execute(text(query), values).all())

    def scalar(self, query: str, **values: Any) -> Any:
        (row,) = self.rows(query, **values)
        return row[0]

    def told(self, kind: type[Event]) -> list[Any]:
        """Events of that kind in the outbox, in order."""
        rows = self.rows("SELECT id, type, body, count FROM outbox WHERE type = :type ORDER BY seq", type=kind.type)
        return [event for row in rows for event in unpack(BusMessage(row.id, row.type, bytes(row.body), row.count))]

    def close(self) -> None:
        self.database.dispose()


class Caller:
    """A signed-in person, as the gateway vouches for it."""

    def __init__(self, door: "DoorOfTests", user_id: UUID, roles: frozenset[str] = frozenset({"user"})) -> None:
        self.user_id = user_id
        self._door = door
        self._roles = roles

    def call(self, method: str, path: str, **options: Any) -> Any:
        expires_at = self._door.service.clock.now().timestamp() + 60
        identity = Identity(self.user_id, self.user_id, self._roles, 1, expires_at)
        headers = {
            "X-Internal-Token": self._door.service.book.tokens.mint(identity, "analytics-service"),
            **options.pop("headers", {}),
        }
        return self._door.client.request(method, path, headers=headers, **options)

    def get(self, path: str, **params: Any) -> Any:
        return self.call("GET", path, params=params)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, json=body)


class DoorOfTests:
    """Stands where the gateway stands."""

    def __init__(self, client: TestClient, service: ServiceOfTests) -> None:
        self.client = client
        self.service = service

    def somebody(self, **book: Any) -> Caller:
        return Caller(self, self.service.user(**book))

    def newcomer(self) -> Caller:
        """Signed in, but nobody has told of it yet."""
        return Caller(self, new_id())

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
def service(database_for: Callable[..., MigratedDatabase], manual_clock: ManualClock) -> Iterator[ServiceOfTests]:
    """The service with three instruments listed, each with a mark."""
    made = ServiceOfTests(settings_for(database_for("analytics_service")), manual_clock, BookOfTests())
    made.list_market()
    yield made
    made.close()


@pytest.fixture(scope="module")
def door(postgres: PostgresForTests) -> Iterator[DoorOfTests]:
    """One service for a module; tests make their own users."""
    database = postgres.database_for("analytics_service")
    clock = ManualClock(datetime(2026, 3, 2, 5, tzinfo=UTC))
    service = ServiceOfTests(settings_for(database), clock, BookOfTests())
    service.list_market()
    app = create_app(service.settings, clock=clock, ask_book=service.book.ask)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield DoorOfTests(client, service)
    service.close()
    postgres.drop(database)


@pytest.fixture
def dice() -> random.Random:
    return random.Random(20260302)
