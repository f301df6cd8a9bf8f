"""The service over HTTP on a fresh database, called as the gateway calls it."""

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from passlib.hash import argon2

from saras_common.auth import ISSUER, Identity, InternalTokens, PublishedKeys, TokenVerifier, anonymous, service
from saras_common.clock import ManualClock
from saras_common.testing.databases import MigratedDatabase, PostgresForTests
from user_service import usecases
from user_service.app import create_app
from user_service.passwords import PasswordHasher
from user_service.settings import Settings
from user_service.usecases import Context

INTERNAL_KEY = "internal-key-of-the-tests-32-bytes-long"
DATA_KEY = base64.b64encode(b"d" * 32).decode()
PASSWORD = "plum-Orchard-77"
ADMIN = "root@example.com"
QUICK = argon2.using(type="ID", memory_cost=8, time_cost=1, parallelism=1)


@dataclass
class Person:
    """A signed-in caller."""

    door: "Door"
    email: str
    tokens: dict[str, Any]

    @property
    def identity(self) -> Identity:
        return self.door.verifier.verify(self.tokens["access_token"])

    def call(self, method: str, path: str, **options: Any) -> Any:
        return self.door.call(method, path, identity=self.identity, **options)


class Door:
    """Stands where the gateway stands."""

    password = PASSWORD
    admin_email = ADMIN

    def __init__(self, client: TestClient, context: Context, clock: ManualClock) -> None:
        self.client = client
        self.context = context
        self.clock = clock
        self._numbers = itertools.count(1000)
        self.internal = InternalTokens(INTERNAL_KEY.encode(), clock)
        keys = PublishedKeys(clock, lambda: client.get("/.well-known/jwks.json").json(), min_interval_s=0)
        self.verifier = TokenVerifier(keys, clock, issuer=ISSUER, remember_s=0)

    def call(
        self, method: str, path: str, *, identity: Identity | None = None, address: str = "203.0.113.9", **options: Any
    ) -> Any:
        soon = self.clock.now().timestamp() + 60
        token = self.internal.mint(identity or anonymous(soon), "user-service")
        headers = {"X-Internal-Token": token, "X-Client-Address": address, **options.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **options)

    def call_as_service(self, method: str, path: str, **options: Any) -> Any:
        return self.call(method, path, identity=service(self.clock.now().timestamp() + 60), **options)

    def register(self, email: str = "asha@example.com", password: str = PASSWORD) -> dict[str, Any]:
        body = {"email": email, "password": password, "full_name": "Asha Rao"}
        answer = self.call("POST", "/register", json=body)
        assert answer.status_code == 201, answer.text
        return json.loads(answer.text)

    def login(self, email: str = "asha@example.com", password: str = PASSWORD, **extra: Any) -> Person:
        answer = self.call("POST", "/login", json={"email": email, "password": password, **extra})
        assert answer.status_code == 200, answer.text
        return Person(self, email, answer.json())

    def somebody(self) -> Person:
        """A person nobody met before."""
        return self.person(f"user{next(self._numbers)}@example.com")

    def person(self, email: str = "asha@example.com") -> Person:
        self.register(email)
        return self.login(email)

    def admin(self) -> Person:
        usecases.ensure_admin(self.context, email=ADMIN, password=PASSWORD)
        return self.login(ADMIN)

    def revocations(self, since: str | None = None) -> dict[str, Any]:
        answer = self.call_as_service("GET", "/internal/revocations", params={} if since is None else {"since": since})
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text)


@pytest.fixture(scope="module")
def shared_door(postgres: PostgresForTests) -> Iterator[Door]:
    """One service for the many cases of a module that leave nothing behind that another could trip over."""
    database = postgres.database_for("user_service")
    clock = ManualClock(datetime(2026, 3, 2, 5, tzinfo=UTC))
    app = create_app(
        _settings(database, login_address_burst=100_000, login_global_burst=100_000),
        clock=clock,
        hasher=PasswordHasher(QUICK),
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Door(client, app.state.context, clock)
    postgres.drop(database)


@pytest.fixture
def user_database(database_for: Callable[..., MigratedDatabase]) -> MigratedDatabase:
    return database_for("user_service")


@pytest.fixture
def settings_of(user_database: MigratedDatabase) -> Callable[..., Settings]:
    def make(**changes: Any) -> Settings:
        return _settings(user_database, **changes)

    return make


def _settings(database: MigratedDatabase, **changes: Any) -> Settings:
    values = {
        "database_url": database.url,
        "broker_url": database.bus_url,
        "internal_token_key": INTERNAL_KEY,
        "data_keys": DATA_KEY,
        **changes,
    }
    return Settings(**values)


@pytest.fixture
def open_door(settings_of: Callable[..., Settings], manual_clock: ManualClock) -> Iterator[Callable[..., Door]]:
    with ExitStack() as stack:

        def make(**changes: Any) -> Door:
            app = create_app(settings_of(**changes), clock=manual_clock, hasher=PasswordHasher(QUICK))
            client = stack.enter_context(TestClient(app, raise_server_exceptions=False))
            return Door(client, app.state.context, manual_clock)

        yield make


@pytest.fixture
def door(open_door: Callable[..., Door]) -> Door:
    return open_door()
