"""The service on a fresh database, called as the gateway calls it, told as the bus tells it."""

import json
import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fastapi.testclient import TestClient
from receivers import MailServer, Receiver

from notification_service import tasks
from notification_service.app import create_app, post_room
from notification_service.consumer import market_handler, news_handler
from notification_service.settings import Settings
from notification_service.usecases.context import Context
from notification_service.usecases.delivering import PostRoom
from notification_service.usecases.digests import gather_digests
from saras_common.auth import Identity, InternalTokens
from saras_common.clock import ManualClock
from saras_common.events import Event, FundsMoved, OrderUpdated, UserChanged
from saras_common.ids import new_id
from saras_common.metrics import Metrics
from saras_common.testing.databases import MigratedDatabase, PostgresForTests

KEY = "internal-key-of-the-tests-32-bytes-long"


@dataclass
class Desk:
    """One service with its clock; ``tell`` is the bus, ``call`` the gateway."""

    context: Context
    client: TestClient
    clock: ManualClock
    settings: Settings

    def call(self, method: str, path: str, user: UUID, *, roles: tuple[str, ...] = ("user",), **options: Any) -> Any:
        soon = self.clock.now().timestamp() + 60
        identity = Identity(user, new_id(), frozenset(roles), 1, soon)
        token = InternalTokens(KEY.encode(), self.clock).mint(identity, "notification-service")
        headers = {"X-Internal-Token": token, **options.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **options)

    def inbox(self, user: UUID, query: str = "") -> list[dict[str, Any]]:
        answer = self.call("GET", f"/notifications{query}", user)
        assert answer.status_code == 200, answer.text
        return list(json.loads(answer.text)["items"])

    def deliveries(self, user: UUID, notification: str) -> list[dict[str, Any]]:
        answer = self.call("GET", f"/notifications/{notification}/deliveries", user)
        assert answer.status_code == 200, answer.text
        return list(json.loads(answer.text)["items"])

    def choose(self, user: UUID, **body: Any) -> Any:
        answer = self.call("PUT", "/notifications/preferences", user, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send_due(self, *, rounds: int = 1) -> int:
        """Everything due now, sent by one worker; how many were taken."""
        room = post_room(self.settings, self.clock, Metrics())
        steady = PostRoom(room.senders, room.count, random.Random(1))
        with ThreadPoolExecutor(4) as pool:
            return sum(tasks.send_due(self.context, steady, pool, limit=1000) for _ in range(rounds))

    def gather_digests(self) -> int:
        return gather_digests(self.context)

    def hook(self, user: UUID, url: str, *kinds: str) -> dict[str, Any]:
        answer = self.call("POST", "/webhooks", user, json={"url": url, "kinds": list(kinds)})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def tell(self, *events: Event) -> None:
        with self.context.database.for_service() as session:
            news_handler(self.context)(session, list(events))

    def tell_market(self, *events: Event) -> None:
        with self.context.database.for_service() as session:
            market_handler(self.context)(session, list(events))

    def person(self, name: str = "Asha Rao", email: str | None = None, **state: Any) -> UUID:
        user = new_id()
        self.tell(self.user_changed(user, name=name, email=email or f"{user.hex}@example.com", **state))
        return user

    def user_changed(self, user: UUID, *, name: str = "Asha Rao", email: str = "a@b.example", **state: Any) -> Event:
        values = {"version": 1, "status": "active", "roles": ["user"], "kyc_status": "none", **state}
        return UserChanged(at=self.clock.now(), user_id=user, email=email, full_name=name, **values)

    def order(self, user: UUID, status: str = "FILLED", **state: Any) -> OrderUpdated:
        values: dict[str, Any] = {
            "order_id": new_id(),
            "instrument": "NSE:INFY",
            "side": "BUY",
            "product": "CNC",
            "quantity": 5,
            "filled_quantity": 5 if status == "FILLED" else 0,
            "filled_value_paise": 761700 if status == "FILLED" else 0,
            "charges_paise": 812,
            **state,
        }
        return OrderUpdated(at=self.clock.now(), user_id=user, status=status, **values)

    def funds(self, user: UUID, amount_paise: int = 100_000) -> FundsMoved:
        return FundsMoved(
            at=self.clock.now(), movement_id=new_id(), user_id=user, account_id="main", amount_paise=amount_paise
        )


@pytest.fixture
def message_database(database_for: Callable[..., MigratedDatabase]) -> MigratedDatabase:
    return database_for("notification_service")


@pytest.fixture
def settings_of(message_database: MigratedDatabase) -> Callable[..., Settings]:
    def make(**changes: Any) -> Settings:
        return _settings(message_database, **changes)

    return make


def _settings(database: MigratedDatabase, **changes: Any) -> Settings:
    values = {
        "database_url": database.url,
        "broker_url": database.bus_url,
        "internal_token_key": KEY,
        "webhook_key": "webhook-key-of-the-tests-32-bytes-long",
        "smtp_host": "127.0.0.1",
        "smtp_security": "none",
        "allow_loopback": True,
        **changes,
    }
    return Settings(**values)


@pytest.fixture
def open_desk(settings_of: Callable[..., Settings], manual_clock: ManualClock) -> Iterator[Callable[..., Desk]]:
    with ExitStack() as stack:

        def make(**changes: Any) -> Desk:
            settings = settings_of(**changes)
            app = create_app(settings, clock=manual_clock)
            client = stack.enter_context(TestClient(app, raise_server_exceptions=False))
            return Desk(app.state.context, client, manual_clock, settings)

        yield make


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    return open_desk()


@pytest.fixture(scope="module")
def module_desk(postgres: PostgresForTests) -> Iterator[Desk]:
    """For the many cases of a module that leave nothing behind."""
    database = postgres.database_for("notification_service")
    settings = _settings(database)
    clock = ManualClock(datetime(2026, 3, 2, 5, tzinfo=UTC))
    app = create_app(settings, clock=clock)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Desk(app.state.context, client, clock, settings)
    postgres.drop(database)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    yield server
    server.stop()
