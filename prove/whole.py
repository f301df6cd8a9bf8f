"""A whole platform to campaign against: customers who order over HTTP, and what is compared to see nothing lost.

Two oracles stand outside and are never killed: the receipts of the customers, a line on the disk for each order that
was answered 202, and the sandbox broker's journal, on the disk before the broker answers.
"""

import http.client
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portfolio_service.usecases.books import check_books
from saras.client import Api, NotReachable, Sandbox
from saras.commands import reconcile
from saras.demo.market import list_quotes, paise, wait_tradable
from saras.demo.oracle import broker_totals
from saras.demo.people import make_people
from saras.demo.proof import shares_of
from saras.demo.story import ENDED
from saras.errors import CommandFailed
from saras.home import Home
from saras.process import ADMIN_EMAIL, ADMIN_PASSWORD, PlatformProcess
from saras.seeding import Seeder
from saras_common.db import Database, driver
from saras_common.errors import Unavailable
from saras_common.postgres import EmbeddedPostgres

NAMES = ("NSE:INFY", "NSE:TCS", "NSE:ITC")
"""Few, so that a second's window stays below what the broker takes: ten orders a second, four hundred a minute."""

DEPOSIT = "900000000.00"
REFUSALS = frozenset({"insufficient_holdings"})
"""What a customer may be told: sales are tried by who may have sold it all."""

ENVIRONMENT = {
    "SARAS_MODE": "sandbox",
    "DATABASE_URL": "",
    "BROKER_URL": "",
    "REDIS_URL": "",
    "SANDBOX_PRICES": "fixed",
    "RATE_ADDRESS": "1000000/second",
    "SARAS_WINDOW_S": "1",
    "ACCESS_TTL_S": "3600",
    "LOG_LEVEL": "WARNING",
    "PYTHONDONTWRITEBYTECODE": "",  # processes start hundreds of times
}
ANSWER_TIMEOUT_S = 35.0
TRY_AGAIN_S = 0.2
SETTLE_S = 120.0
POLL_S = 0.1


class Receipts:
    """The customers' journal: what was promised to them, on the disk before they go on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a")
        self._lock = threading.Lock()

    def note(self, **values: str) -> None:
        """A line, durably."""
        with self._lock:
            self._file.write(json.dumps(values) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def read(self) -> list[dict[str, str]]:
        """Every line, from the disk."""
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def close(self) -> None:
        """Write no more."""
        self._file.close()


class NoAnswer(Exception):
    """A request that got none."""


class Line:
    """One kept-alive connection of a client that hides nothing: it repeats no request by itself."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
        self._signed = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, dict[str, Any]]:
        """Status and decoded body; `NoAnswer` when the connection broke."""
        headers = self._signed if key is None else {**self._signed, "Idempotency-Key": key}
        try:
            self._connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), headers)
            answer = self._connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise NoAnswer(type(error).__name__) from error
        is_json = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, json.loads(raw) if raw and is_json else {}

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


@dataclass(slots=True)
class Placed:
    """One order on its way: when it was asked for, and when it was seen in the book as ended (monotonic)."""

    id: str
    asked_at: float
    ended_at: float | None = None


class Customer(threading.Thread):
    """Orders all the time; what got no answer is asked again under the same Idempotency-Key until it has one."""

    def __init__(self, whole: "Whole", number: int, *, seed: int, pause_s: float) -> None:
        super().__init__(daemon=True)
        person = whole.people[number]
        self.user_id = person.id
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._whole = whole
        self._line = Line(whole.platform.port, person.token)
        self._rng = random.Random(seed)
        self._pause_s = pause_s
        self._leave = threading.Event()

    def leave(self) -> None:
        """Order no more, once the order under way is answered."""
        self._leave.set()

    def run(self) -> None:
        """Order after order."""
        number = 0
        while not self._leave.wait(self._pause_s * self._rng.uniform(0.5, 1.5)):
            number += 1
            self._place(f"{self.user_id}-{number}")
        self._line.close()

    def _place(self, key: str) -> None:
        rng = self._rng
        side = "sell" if rng.random() < 0.25 else "buy"
        body = {"instrument": rng.choice(NAMES), "quantity": rng.randint(1, 3), "order_type": "MARKET"}
        asked_at = time.monotonic()
        while True:
            self.counts["requests"] += 1
            try:
                status, answer = self._line.ask("POST", f"/{side}", body, key)
            except NoAnswer:
                status, answer = 0, {}
            if status == http.HTTPStatus.ACCEPTED:
                self._whole.receipts.note(user=self.user_id, key=key, order=answer["id"])
                self._whole.placed(Placed(answer["id"], asked_at))
                self.counts["orders"] += 1
                return
            if status in {0, 429} or status >= 500:
                self.counts["asked again"] += 1
                time.sleep(TRY_AGAIN_S)
                continue
            if answer.get("code") in REFUSALS:
                self.counts["refused"] += 1
            else:
                self.wrong.append(f"{side} was answered {status} {answer.get('code')}")
            return


@dataclass
class Whole:
    """A platform, its people, what they were promised, and a reader of its book that asks no service."""

    platform: PlatformProcess
    receipts: Receipts
    people: Sequence[Any] = ()
    customers: list[Customer] = field(default_factory=list)
    open: dict[str, Placed] = field(default_factory=dict)
    ended: list[Placed] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reader: Database | None = None
    _tags: Counter[str] = field(default_factory=Counter)
    _filled: Counter[tuple[str, str]] = field(default_factory=Counter)
    _seen: int = 0

    @property
    def sandbox(self) -> Sandbox:
        """The broker."""
        return Sandbox(self.platform.sandbox_url)

    @property
    def reader(self) -> Database:
        """The book's database, as its administrator."""
        if self._reader is None:
            spread = Home(self.platform.home).services / "postgres"
            server = EmbeddedPostgres(spread if spread.exists() else Home(self.platform.home).postgres)
            self._reader = Database(
                server.start(), schema="portfolio_service", pool_size=4, statement_timeout_ms=60_000
            )
        return self._reader

    def close_reader(self) -> None:
        """Give its connections back; the next look opens them again, to the server that runs then."""
        if self._reader is not None:
            self._reader.dispose()
            self._reader = None

    def admin(self) -> Api:
        """Signed in as the administrator."""
        api = Api(self.platform.url)
        api.login(ADMIN_EMAIL, ADMIN_PASSWORD)
        return api

    def enrol(self, count: int) -> None:
        """Users with funds, once the book knows them and what there is to trade."""
        seeder = Seeder(self.platform.url, Home(self.platform.home))
        people = make_people(seeder, self.platform.url, count, prefix="customer")
        people.each(self._pay_in)
        with self.admin() as admin:
            quotes = [quote for quote in list_quotes(admin, 45) if quote.instrument in NAMES]
        people.each(lambda api, _person: wait_tradable(api, quotes), people.people[:1])
        self.people = people.people
        people.close()

    def _pay_in(self, api: Api, _person: Any) -> None:
        deadline = time.monotonic() + SETTLE_S
        while not (answer := api.call("POST", "/funds/deposit", {"amount": DEPOSIT}, key="deposit")).ok:
            if time.monotonic() > deadline:
                raise CommandFailed(f"the deposit is not taken: {answer.describe()}")
            time.sleep(POLL_S)

    def open_doors(self, *, seed: int, pause_s: float) -> None:
        """Every person begins to order."""
        customers = [Customer(self, number, seed=seed + number, pause_s=pause_s) for number in range(len(self.people))]
        self.customers += customers
        for customer in customers:
            customer.start()

    def close_doors(self) -> None:
        """Nobody orders any more; each has got the answer it waited for."""
        for customer in self.customers:
            customer.leave()
        for customer in self.customers:
            customer.join()

    def placed(self, order: Placed) -> None:
        """A customer has a promise."""
        with self._lock:
            self.open[order.id] = order

    def look(self) -> None:
        """Note which promised orders have ended by now. `Unavailable` while the database is away."""
        with self._lock:
            waiting = list(self.open)
        if not waiting:
            return
        with self.reader.for_service() as session:
            ended = driver(session).execute(
                "SELECT id::text FROM orders WHERE id = ANY(%s::uuid[]) AND status = ANY(%s)", (waiting, list(ENDED))
            )
            found = [row[0] for row in ended.fetchall()]
        now = time.monotonic()
        with self._lock:
            for order_id in found:
                order = self.open.pop(order_id)
                order.ended_at = now
                self.ended.append(order)

    def first_end_of_a_later_one(self, moment: float) -> float | None:
        """When the first order asked for after ``moment`` was seen to have ended."""
        with self._lock:
            return min((o.ended_at for o in self.ended if o.asked_at > moment and o.ended_at is not None), default=None)

    def faults(self) -> list[str]:
        """What is wrong at this very moment: a rule of the book broken, the book ahead of the broker, a tag twice."""
        with self.reader.for_service() as session:
            wrong = [f"{rule}: {rows[0]}" for rule, rows in check_books(session).items()]
            sums = driver(session).execute(
                "SELECT instrument, side, sum(filled_quantity)::bigint FROM orders GROUP BY 1, 2"
            )
            booked = {(row[0], row[1]): row[2] for row in sums.fetchall()}
        self._read_broker()
        wrong += [f"the broker has {count} orders of tag {tag}" for tag, count in self._tags.items() if count > 1]
        return wrong + [
            f"{name} {side}: booked {count}, filled {self._filled[name, side]}"
            for (name, side), count in booked.items()
            if count > self._filled[name, side]
        ]

    def _read_broker(self) -> None:
        """What the broker's journal has since the last look."""
        for item in self.sandbox.journal(after=self._seen):
            self._seen += 1
            if item["event"] == "order_accepted":
                self._tags[item["tag"]] += 1
            elif item["event"] == "fill":
                name = f"{item['exchange']}:{item['tradingsymbol']}"
                self._filled[name, item["transaction_type"]] += item["quantity"]

    def settle(self) -> bool:
        """Wait until every promised order has ended; false when some do not."""
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            with suppress(Unavailable):
                self.look()
            if not self.open:
                return True
            time.sleep(POLL_S)
        return False

    def audit(self) -> list[str]:
        """Everything compared at the end: receipts, book and broker."""
        wrong = [f"order {order_id} never ended" for order_id in list(self.open)[:5]]
        wrong += [what for customer in self.customers for what in customer.wrong]
        with ThreadPoolExecutor(4) as pool:
            people = list(pool.map(self._person, self.people))
        owed: dict[str, Counter[str]] = {person.id: Counter() for person in self.people}
        for receipt in self.receipts.read():
            owed[receipt["user"]][receipt["order"]] += 1
        cash, shares = 0, Counter[str]()
        for person, (orders, funds, held) in zip(self.people, people, strict=True):
            lost, strange = owed[person.id].keys() - orders, orders - owed[person.id].keys()
            wrong += [f"order {each} was promised and is not in the book" for each in sorted(lost)[:5]]
            wrong += [f"order {each} is in the book and was asked for once only" for each in sorted(strange)[:5]]
            cash += paise(funds["cash"])
            wrong += [f"{person.id} still has {funds['held']} held"] if paise(funds["held"]) else []
            shares.update(held)
        totals = broker_totals(self.sandbox.journal())
        wrong += [f"tag {tag} is at the broker twice" for tag in totals.repeated_tags]
        if cash != len(self.people) * paise(DEPOSIT) + totals.cash_paise:
            wrong.append(f"the users' cash is {cash} paise, the broker's money makes it another")
        if {name: count for name, count in sorted(shares.items()) if count} != totals.net():
            wrong.append(f"the users hold {dict(shares)}, the broker {totals.net()}")
        with self.admin() as admin:
            report = reconcile(admin, wait_s=60)
        return wrong + self.faults() + ([] if report["balanced"] else [f"not reconciled: {report}"])

    def _person(self, person: Any) -> tuple[set[str], Mapping[str, str], Mapping[str, int]]:
        with Api(self.platform.url, token=person.token) as api:
            orders = {order["id"] for order in api.pages("/orders")}
            return orders, api.get("/funds"), shares_of(api, person)


@contextmanager
def whole_platform(
    folder: Path, *, people: int, arguments: tuple[str, ...] = (), **environment: str
) -> Iterator[Whole]:
    """A platform of its own in ``folder`` with ``people`` who have funds; ended afterwards."""
    platform = PlatformProcess(folder / "home", {**ENVIRONMENT, **environment}, arguments)
    receipts = Receipts(folder / "receipts.jsonl")
    whole = Whole(platform, receipts)
    try:
        platform.start(timeout_s=180)
        whole.enrol(people)
        yield whole
    finally:
        for customer in whole.customers:
            customer.leave()
        whole.close_reader()
        platform.stop(timeout_s=120)
        receipts.close()


def is_reachable(whole: Whole) -> bool:
    """Whether the gateway answers at all."""
    try:
        with Api(whole.platform.url) as api:
            return api.call("GET", "/funds").status == http.HTTPStatus.UNAUTHORIZED
    except NotReachable:
        return False
