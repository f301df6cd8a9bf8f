"""A whole platform to campaign against: customers who order over HTTP, and what is compared to see nothing lost.

Two oracles stand outside and are never killed: the receipts of the customers, a line on the disk for each order that
was answered 202, and the sandbox broker's journal, on the disk before the broker answers.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prove.customers import NAMES, Customer, Placed, Receipts

from portfolio_service.usecases.books import check_books
from saras.client import Api, Sandbox
from saras.commands import reconcile
from saras.demo.flow import on_tick, rupees
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
from saras_common.postgres import ADMIN, DATABASE

DEPOSIT = "900000000.00"
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
SETTLE_S = 120.0
POLL_S = 0.1


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
    server: Path | None = None
    """The home of the database's server, unless it is the platform's own."""
    _reader: Database | None = None
    _tags: Counter[str] = field(default_factory=Counter)
    _filled: Counter[tuple[str, str]] = field(default_factory=Counter)
    _seen: int = 0
    _far: dict[str, str] = field(default_factory=dict)

    @property
    def sandbox(self) -> Sandbox:
        """The broker."""
        return Sandbox(self.platform.sandbox_url)

    @property
    def reader(self) -> Database:
        """The book's database, as its administrator."""
        if self._reader is None:
            home = Home(self.platform.home)
            own = (home.services / "postgres", home.postgres)
            server = self.server or next(each for each in own if each.exists())
            login = f"{ADMIN}:{(server / 'admin-password').read_text()}"
            url = f"postgresql://{login}@127.0.0.1:{(server / 'port').read_text()}/{DATABASE}"
            self._reader = Database(url, schema="portfolio_service", pool_size=4, statement_timeout_ms=60_000)
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
        self._far = {quote.instrument: rupees(on_tick(quote.last_paise * 7 // 10, quote)) for quote in quotes}
        people.each(lambda api, _person: wait_tradable(api, quotes), people.people[:1])
        self.people = people.people
        people.close()

    def _pay_in(self, api: Api, _person: Any) -> None:
        deadline = time.monotonic() + SETTLE_S
        while not (answer := api.call("POST", "/funds/deposit", {"amount": DEPOSIT}, key="deposit")).ok:
            if time.monotonic() > deadline:
                raise CommandFailed(f"the deposit is not taken: {answer.describe()}")
            time.sleep(POLL_S)

    def far_price(self, instrument: str) -> str:
        """A limit at which nobody sells."""
        return self._far[instrument]

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
        paid_in = len(self.people) * paise(DEPOSIT) + sum(customer.paid_in_paise for customer in self.customers)
        if cash != paid_in + totals.cash_paise:
            wrong.append(
                f"the users' cash is {cash} paise, payments and the broker's money {paid_in + totals.cash_paise}"
            )
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
    folder: Path,
    *,
    people: int,
    arguments: tuple[str, ...] = (),
    server: Path | None = None,
    **environment: str,
) -> Iterator[Whole]:
    """A platform of its own in ``folder`` with ``people`` who have funds; ended afterwards."""
    platform = PlatformProcess(folder / "home", {**ENVIRONMENT, **environment}, arguments)
    receipts = Receipts(folder / "receipts.jsonl")
    whole = Whole(platform, receipts, server=server)
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
