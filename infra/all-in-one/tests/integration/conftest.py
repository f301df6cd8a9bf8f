"""A whole platform as its own process, and a crowd that acts on it over HTTP alone."""

import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from saras.client import Answer, Api, Http, NotReachable, Sandbox
from saras.commands import fetch_batch, reconcile
from saras.demo.market import list_quotes, paise, wait_tradable
from saras.demo.oracle import ORDER_CAME, broker_totals, user_books
from saras.demo.proof import shares_of
from saras.demo.story import ENDED
from saras.process import ADMIN_EMAIL, ADMIN_PASSWORD, PlatformProcess
from saras.verify import verify_batch
from saras_common.testing import PrivateRabbit, PrivateRedis

DEPOSIT = "3000000.00"
PASSWORD = "nine-lives-of-a-cat"
ENVIRONMENT = {
    "SARAS_MODE": "sandbox",
    "DATABASE_URL": "",
    "BROKER_URL": "",
    "REDIS_URL": "",
    "SANDBOX_PRICES": "fixed",
    "RATE_ADDRESS": "1000000/second",
    "RATE_REGISTER": "100000/minute",
    "RATE_LOGIN": "100000/minute",
    "SARAS_WINDOW_S": "600",
    "PYTHONDONTWRITEBYTECODE": "",  # these tests start it dozens of times
}


@dataclass
class User:
    email: str
    id: str = ""
    api: Api | None = None
    paid_in_paise: int = 0


@dataclass
class Journey:
    """One platform, its users and what they placed."""

    platform: PlatformProcess
    users: list[User] = field(default_factory=list)
    orders: dict[str, User] = field(default_factory=dict)
    batches: list[str] = field(default_factory=list)

    @property
    def sandbox(self) -> Sandbox:
        return Sandbox(self.platform.sandbox_url)

    def admin(self) -> Api:
        api = Api(self.platform.url)
        api.login(ADMIN_EMAIL, ADMIN_PASSWORD)
        return api

    def enrol(self, count: int, *, prefix: str = "user") -> None:
        """Register, sign in and pay in, all over HTTP."""

        def enrol_one(number: int) -> User:
            user = User(f"{prefix}{number:03d}@saras.example.com")
            api = Api(self.platform.url)
            made = api.post("/register", {"email": user.email, "password": PASSWORD, "full_name": f"User {number}"})
            user.id = made["id"]
            user.api = api
            api.login(user.email, PASSWORD)
            self.until(lambda: self.pay_in(user, DEPOSIT).ok, f"{user.email} may pay in")
            return user

        with ThreadPoolExecutor(4) as pool:
            self.users += pool.map(enrol_one, range(len(self.users), len(self.users) + count))
        with self.admin() as admin:
            wait_tradable(self.users[0].api, list_quotes(admin, 45))

    def pay_in(self, user: User, amount: str) -> Answer:
        answer = user.api.call("POST", "/funds/deposit", {"amount": amount}, key=f"in-{user.paid_in_paise}")
        if answer.ok:
            user.paid_in_paise += paise(amount)
        return answer

    def place(
        self, user: User, side: str, instrument: str, quantity: int, *, key: str | None = None, **terms: Any
    ) -> str:
        """One order; its id."""
        body = {"instrument": instrument, "quantity": quantity, "order_type": "MARKET", **terms}
        answer = user.api.call("POST", "/buy" if side == "BUY" else "/sell", body, key=key)
        assert answer.status == 202, answer.describe()
        self.orders[answer.body["id"]] = user
        return answer.body["id"]

    def close_window(self) -> str:
        """The manual trigger, once every order placed is in the window."""
        self.until(lambda: "ACCEPTED" not in self.statuses().values(), "every order is queued")
        with self.admin() as admin:
            batch_id = admin.post("/admin/execution/run")["batch_id"]
        assert batch_id is not None
        self.batches.append(batch_id)
        return batch_id

    def order(self, order_id: str) -> dict[str, Any]:
        return self.orders[order_id].api.get(f"/orders/{order_id}")

    def statuses(self) -> dict[str, str]:
        """Every order's status, by id."""
        found: dict[str, str] = {}
        for user in self.users:
            found |= {order["id"]: order["status"] for order in user.api.pages("/orders")}
        return found

    def ended(self, *order_ids: str) -> bool:
        now = self.statuses()
        return all(now[order_id] in ENDED for order_id in order_ids or self.orders)

    def until(self, is_true: Any, what: str, timeout_s: float = 45.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_true():
            assert time.monotonic() < deadline, f"in vain: {what}; {Counter(self.statuses().values())}"
            assert self.platform.alive, self.platform.output.read_text()[-3000:]
            time.sleep(0.2)

    def until_down(self, timeout_s: float = 45.0) -> None:
        """A failpoint ends the platform as kill -9 does."""
        assert self.platform.wait_dead(timeout_s), "the platform did not reach the failpoint"

    def needs_login(self) -> bool:
        with self.admin() as admin:
            return admin.get("/admin/execution")["broker_session"]["state"] == "login_needed"

    def log_in_at_broker(self) -> None:
        """The administrator's daily login: the broker's page gives a request token, which is handed in."""
        with self.admin() as admin, Http(self.platform.sandbox_url) as broker:
            page = urlsplit(admin.get("/admin/broker/login-url")["url"])
            token = broker.send("GET", f"{page.path}?{page.query}").body["request_token"]
            admin.post("/admin/broker/session", {"request_token": token})

    def batch_documents(self) -> list[dict[str, Any]]:
        with self.admin() as admin:
            return [admin.get(f"/admin/batches/{batch['id']}") for batch in admin.pages("/admin/batches")]

    def assert_books(self, *, attempts: Mapping[str, int] | None = None) -> None:
        """Every user's cash and shares to the paisa, Σ users = broker, nothing sent twice, all certificates hold.

        ``attempts``: broker orders allowed per instrument where a definite absence made a second one right.
        """
        batches = self.batch_documents()
        journal = self.sandbox.journal()
        totals, books = broker_totals(journal), user_books(journal, batches)
        assert totals.repeated_tags == []
        assert totals.repeated_trades == []
        for user in self.users:
            funds = user.api.get("/funds")
            assert paise(funds["cash"]) == user.paid_in_paise + books[user.id].cash_paise, user.email
            held = {name: count for name, count in books[user.id].shares.items() if count}
            assert shares_of(user.api, None) == held, user.email
        users: Counter[str] = Counter()
        for user in self.users:
            users.update(shares_of(user.api, None))
        assert {name: count for name, count in sorted(users.items()) if count} == totals.net()
        blocks = [block for batch in batches for block in batch["blocks"]]
        broker_orders = [order_id for block in blocks for order_id in block["broker_order_ids"]]
        placed = [item["order_id"] for item in journal if item["event"] in ORDER_CAME]
        assert sorted(broker_orders) == sorted(placed)
        for block in blocks:
            assert len(block["broker_order_ids"]) <= (attempts or {}).get(block["instrument"], 1), block["instrument"]
            assert sum(row["allocated"] for row in block["allocations"]) == block["filled_quantity"]
        self._assert_admin_agrees()

    def _assert_admin_agrees(self) -> None:
        with self.admin() as admin:
            report = reconcile(admin)
            assert report["balanced"], report
            assert all(row["difference"] == 0 for row in report["instruments"])
            assert paise(report["cash"]["difference"]) == 0
            for batch_id in self.batches:
                batch, certificates = fetch_batch(admin, batch_id)
                if batch["status"] == "DONE":
                    verdicts = verify_batch(batch, certificates)
                    assert [verdict for verdict in verdicts if not verdict.ok] == []

    def cancel(self, order_id: str) -> Answer:
        return self.orders[order_id].api.call("DELETE", f"/orders/{order_id}")

    def restart(self, **environment: str) -> None:
        """Start again on the same home and ports; users keep their tokens."""
        self.platform.start(extra=environment)

    def reachable(self) -> bool:
        try:
            with Api(self.platform.url) as api:
                return api.call("GET", "/funds").status == 401
        except NotReachable:
            return False


@contextlib.contextmanager
def started_journeys(folder: Path):
    started: list[Journey] = []

    def start(**environment: str) -> Journey:
        platform = PlatformProcess(folder / f"home{len(started)}", {**ENVIRONMENT, **environment})
        started.append(Journey(platform))
        platform.start()
        return started[-1]

    yield start
    for made in started:
        for user in made.users:
            user.api.close()
        made.platform.stop()


@pytest.fixture
def journey(tmp_path: Path):
    """``journey(environment)``: a fresh platform, ended with the test; its logs stay where pytest keeps its folders."""
    with started_journeys(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def journeys(tmp_path_factory: pytest.TempPathFactory):
    """The same, for platforms that the tests of a file share."""
    with started_journeys(tmp_path_factory.mktemp("journeys")) as start:
        yield start


@pytest.fixture(params=["postgres", pytest.param("rabbitmq", marks=pytest.mark.services)])
def bus_environment(request):
    """Settings of each way to run in one process: on the embedded bus, and on RabbitMQ with Redis."""
    if request.param == "postgres":
        yield {}
        return
    for server in (PrivateRabbit, PrivateRedis):
        if reason := server.missing():
            pytest.skip(reason)
    rabbit, redis = PrivateRabbit(), PrivateRedis()
    try:
        yield {"BROKER_URL": rabbit.start(), "REDIS_URL": redis.start()}
    finally:
        rabbit.stop()
        redis.stop()
