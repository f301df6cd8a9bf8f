"""The executor as it runs: PostgreSQL and its bus, its own workers as threads, a sandbox, a book that adds up."""

import base64
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from pydantic import SecretStr

from saras_common.bus import connect_bus
from saras_common.events import (
    BookTotalled,
    BookTotalsRequested,
    Event,
    InstrumentsListed,
    Message,
    OrderAccepted,
    Side,
    pack,
    unpack,
)
from saras_common.testing import MigratedDatabase
from trade_executor import kite
from trade_executor.app import workers
from trade_executor.settings import Settings
from trade_executor.testing.sandbox import SandboxProcess
from trade_executor.testing.world import Book, BookLine
from trade_executor.usecases import control
from trade_executor.wiring import session_ends_at, wire


class Platform:
    """Runs until ``stop``. The book is this process's own, applied from the queue ``portfolio-service``."""

    def __init__(self, database: MigratedDatabase, sandbox: SandboxProcess, **settings: Any) -> None:
        self.sandbox = sandbox
        self.database = database
        self.settings = Settings(
            database_url=SecretStr(database.url),
            broker_url=SecretStr(database.bus_url),
            internal_token_key=SecretStr("k" * 32),
            token_key=SecretStr(base64.b64encode(b"t" * 32).decode()),
            kite_root=sandbox.url,
            **{"window_s": 0.2, "ticker_enabled": False, **settings},
        )
        self._wiring = wire(self.settings)
        self.bus = connect_bus(database.bus_url)
        self.book = Book()
        self.listed = 0
        self.heard_at: dict[UUID, float] = {}
        self._of: dict[UUID, str] = {}
        self._external = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, *, executor: bool = True) -> None:
        """Start the book's consumers and, unless it runs elsewhere, the executor's workers."""
        loops: list[Callable[[threading.Event], None]] = []
        if executor:
            loops += [worker.run for worker in workers(self.settings)]
        loops.append(lambda stop: self.bus.consume("portfolio-service", self._hear, stop))
        loops.append(lambda stop: self.bus.consume("portfolio-service.totals", self._hear, stop))
        loops.append(lambda stop: self.bus.consume("portfolio-service.market", self._hear_market, stop))
        self._threads = [threading.Thread(target=loop, args=(self._stop,), daemon=True) for loop in loops]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End every thread."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=10)
        self.bus.close()
        self._wiring.database.dispose()

    def order(self, instrument: str, quantity: int, side: Side = "BUY", **fields: Any) -> OrderAccepted:
        """An order the book accepted."""
        order = OrderAccepted(
            at=datetime.now(UTC),
            order_id=uuid4(),
            user_id=fields.pop("user_id", None) or uuid4(),
            account_id="main",
            instrument=instrument,
            side=side,
            order_type=fields.pop("order_type", "MARKET"),
            product=fields.pop("product", "CNC"),
            validity=fields.pop("validity", "DAY"),
            quantity=quantity,
            **fields,
        )
        with self._lock:
            self._of[order.order_id] = instrument
            self.book.lines[order.order_id] = BookLine(quantity, side)
        return order

    def publish(self, events: Sequence[Event]) -> None:
        """Put events on the bus as the book's relay would."""
        self.bus.publish(list(pack(events)))

    def keep_logged_in(self) -> None:
        """What the administrator does every morning, here whenever the broker wants a login again."""
        wiring = self._wiring
        account = self.settings.kite_accounts[0]
        with wiring.transactions() as store:
            if store.find_session(account.id) is not None:
                return
        login = wiring.login(account)
        token = kite.log_in(login, kite.sandbox_request_token(login), account.secret.get_secret_value())
        now = wiring.clock.now()
        with wiring.transactions() as store:
            control.log_in(
                store, account.id, wiring.sealer.seal(token, account.id), expires_at=session_ends_at(now), now=now
            )

    def _hear(self, messages: list[Message]) -> None:
        for message in messages:
            for event in unpack(message):
                with self._lock:
                    self.book.apply(event)
                    self.heard_at[event.id] = time.monotonic()
                if isinstance(event, BookTotalsRequested):
                    self._answer(event)

    def _hear_market(self, messages: list[Message]) -> None:
        for message in messages:
            for event in unpack(message):
                if isinstance(event, InstrumentsListed):
                    self.listed += len(event.listings)

    def _answer(self, asked: BookTotalsRequested) -> None:
        with self._lock:
            names = set(self._of.values())
            suspense = dict(self.book.suspense_shares)
            for name, quantity in self.book.found.items():
                suspense[name] = suspense.get(name, 0) + quantity
            totals = BookTotalled(
                at=datetime.now(UTC),
                reconciliation_id=asked.reconciliation_id,
                account_id="main",
                users={name: self.book.users(name, self._of) for name in names},
                suspense=suspense,
                applied=dict(self.book.applied),
                users_cash_paise=self.book.users_cash() + self._external,
                suspense_cash_paise=self.book.suspense_cash,
                applied_cash_paise=self.book.applied_cash,
                external_cash_paise=self._external,
            )
        self.publish([totals])

    def deposit(self, paise: int) -> None:
        """Money that the book booked for its users."""
        self._external += paise

    def wait(self, condition: Callable[[], bool], seconds: float = 15.0) -> None:
        """Until ``condition`` holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)

    def statuses(self, orders: Sequence[OrderAccepted]) -> set[str]:
        """What the book says of these orders."""
        with self._lock:
            return {self.book.lines[order.order_id].status for order in orders}
