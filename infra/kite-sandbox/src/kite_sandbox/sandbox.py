"""The running sandbox: the broker, its journal, its clock and the clients that are told what happens."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, date, datetime, timedelta
from typing import Any

from kite_sandbox.clock import SandboxClock, day_of
from kite_sandbox.engine import records as r
from kite_sandbox.engine.broker import Broker, OrderUpdate, Rules
from kite_sandbox.engine.days import advance
from kite_sandbox.engine.state import State
from kite_sandbox.errors import KiteError
from kite_sandbox.faults import Faults
from kite_sandbox.history import History
from kite_sandbox.instruments import Catalogue, load_instruments, shipped_instruments
from kite_sandbox.journal import Journal, JournalError
from kite_sandbox.limits import RateLimits
from kite_sandbox.logins import Logins
from kite_sandbox.market_hours import MarketHours
from kite_sandbox.prices import RandomWalk, Replay, keep_prices, price_source
from kite_sandbox.settings import Settings
from saras_common.metrics import Metrics

log = logging.getLogger(__name__)

LOG_LENGTH = 100_000
HEARTBEAT_S = 0.5
KEEP_PRICES_S = 300.0
"""Prices that move by themselves are journalled this often, so that a restart goes on near where it was."""


UpdateListener = Callable[[OrderUpdate], Awaitable[None]]
TickListener = Callable[[set[str]], Awaitable[None]]


class Sandbox:
    """Commands go to ``broker``; `commit` makes them durable and tells the listeners, in order."""

    def __init__(self, settings: Settings, clock: SandboxClock) -> None:
        self.settings = settings
        self.clock = clock
        self.catalogue = Catalogue(
            load_instruments(settings.instruments) if settings.instruments else shipped_instruments(),
        )
        self.hours = MarketHours(settings.market_hours)
        self.limits = RateLimits(time.monotonic, is_strict=settings.rate_limits == "strict")
        self.faults = Faults()
        self.request_log: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self.metrics = Metrics()
        self.calls = self.metrics.counter(
            "kite_sandbox_calls_total",
            "Calls of Kite's routes by status; 0 is a connection cut on purpose",
            ("route", "status"),
        )
        self.update_listeners: list[UpdateListener] = []
        self.tick_listeners: list[TickListener] = []
        self.journal = Journal(settings.home)
        self._updates: asyncio.Queue[tuple[int, OrderUpdate]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self.broker = self._restore()
        self.logins = Logins(settings.accounts, self.broker)
        self.prices: RandomWalk | Replay | None = self._new_prices()
        self.history = self._new_history()

    def _new_prices(self) -> RandomWalk | Replay | None:
        since, played = self.settings.replay_from, self.state.replayed_to
        if played is not None:
            since = max(since or played, played + timedelta(days=1))
        return price_source(self.settings.prices, self.catalogue, since)

    def _new_history(self) -> History:
        candles = self.prices.candles if isinstance(self.prices, Replay) else None
        return History(self.hours, self.state.opened_on or day_of(self.clock.now()), candles)

    @property
    def replayed_to(self) -> date | None:
        """The last day of the replayed file that is over; the day before the file while none is."""
        if not isinstance(self.prices, Replay):
            return None
        return self.prices.reached or date.min

    def _restore(self) -> Broker:
        state = State(self.catalogue, self.hours)
        is_new = True
        for values in self.journal.read():
            is_new = False
            record = r.from_dict(values)
            try:
                state.apply(record)
            except LookupError as error:
                raise JournalError(f"{self.journal.path}: {error}; set another SANDBOX_HOME, or that list") from error
        self.clock.offset = state.clock_offset
        broker = self._new_broker(state)
        if is_new:
            broker.emit(r.JournalOpened(at=self.clock.now(), last_order_id=0, last_trade_id=0))
        self._open_accounts(broker, self.settings.cash_paise)
        return broker

    def _new_broker(self, state: State) -> Broker:
        rules = Rules(
            is_protection_strict=self.settings.market_protection == "strict",
            fill_delay_s=self.settings.fill_delay_s,
            freeze_quantity=self.settings.freeze_quantity,
        )
        return Broker(state, rules)

    def _open_accounts(self, broker: Broker, cash_paise: int) -> None:
        for account in self.settings.accounts:
            if account.api_key not in broker.state.accounts:
                broker.emit(
                    r.AccountOpened(
                        at=self.clock.now(),
                        api_key=account.api_key,
                        user_id=account.user_id,
                        cash_paise=cash_paise,
                    ),
                )

    @property
    def state(self) -> State:
        """The broker's state, for reading."""
        return self.broker.state

    async def start(self) -> None:
        """Catch up with the clock and begin the background work."""
        advance(self.broker, self.clock.now())
        await self.commit()
        if self.settings.fill_delay_s:
            self.broker.due = [order_id for book in self.state.resting.values() for order_id in book]
            self._schedule_due()
        for work in (self._dispatch(), self._run_clock(), self._run_prices()):
            self._spawn(work)

    async def stop(self) -> None:
        """End the background work and release the journal."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.prices is not None:
            keep_prices(self.broker, self.clock.now())
        with contextlib.suppress(JournalError):
            await self.commit()
        self.journal.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work failed", exc_info=task.exception())

    async def commit(self) -> None:
        """Write what the broker decided, wait until it is durable; listeners are told after that, in order."""
        broker = self.broker
        records, broker.records = broker.records, []
        updates, broker.updates = broker.updates, []
        position = self.journal.append(r.to_dict(record) for record in records)
        for update in updates:
            self._updates.put_nowait((position, update))
        if broker.due:
            self._schedule_due()
        await self.journal.durable()

    def _schedule_due(self) -> None:
        due, self.broker.due = self.broker.due, []
        loop = asyncio.get_running_loop()
        for order_id in due:
            loop.call_later(self.settings.fill_delay_s, self._start_fill, order_id)

    def _start_fill(self, order_id: str) -> None:
        self._spawn(self._fill_due(order_id))

    async def _fill_due(self, order_id: str) -> None:
        self.broker.match_due(order_id, self.clock.now())
        await self.commit()

    async def _dispatch(self) -> None:
        while True:
            position, update = await self._updates.get()
            await self.journal.durable(position)
            for listener in self.update_listeners:
                await listener(update)

    async def _run_clock(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            advance(self.broker, self.clock.now())
            await self.commit()
            await self.publish_ticks()

    async def _run_prices(self) -> None:
        kept_at = time.monotonic()
        while self.prices is not None:
            await asyncio.sleep(self.settings.tick_s)
            now = self.clock.now()
            self.prices.step(self.broker, now)
            if time.monotonic() - kept_at > KEEP_PRICES_S:
                keep_prices(self.broker, now)
                kept_at = time.monotonic()
            await self.commit()
            await self.publish_ticks()

    async def publish_ticks(self) -> None:
        """Tell the listeners which quotes changed since the last time."""
        changed = self.state.market.drain_changed()
        if changed:
            for listener in self.tick_listeners:
                await listener(changed)

    # -- the sandbox's own commands ------------------------------------------------------------------------------

    def set_clock(self, moment: datetime | None) -> datetime:
        """Move the clock (``None``: back to the machine's); days and sessions that pass are lived through."""
        offset = self.clock.offset_to(moment) if moment else timedelta()
        self.broker.emit(r.ClockSet(at=datetime.now(UTC) + offset, offset_us=offset // timedelta(microseconds=1)))
        self.clock.offset = offset
        now = self.clock.now()
        advance(self.broker, now)
        return now

    async def reset(self, cash_paise: int | None = None) -> None:
        """Begin again in a new journal file. Logins go on; ids never repeat; everything else is as at first start."""
        await self.commit()
        old = self.broker.state
        await self.journal.start_new_file()
        self.clock.offset = timedelta()
        now = self.clock.now()
        self.broker = self._new_broker(State(self.catalogue, self.hours))
        self.broker.emit(
            r.JournalOpened(at=now, last_order_id=old.last_order_id, last_trade_id=old.last_trade_id),
        )
        self._open_accounts(self.broker, self.settings.cash_paise if cash_paise is None else cash_paise)
        for account in old.accounts.values():
            for session in account.sessions.values():
                self.broker.emit(
                    r.SessionStarted(
                        at=session.login_at,
                        api_key=session.api_key,
                        access_token=session.access_token,
                        refresh_token=session.refresh_token,
                        public_token=session.public_token,
                        expires_at=session.expires_at,
                    ),
                )
        advance(self.broker, now)
        self.logins.broker = self.broker
        self.prices = self._new_prices()
        self.history = self._new_history()
        self.faults.clear()
        self.limits.reset()
        self.request_log.clear()
        self.state.market.changed.update(old.market.touched())
        await self.commit()

    def move_funds(self, api_key: str, amount_paise: int, ref: str) -> bool:
        """Pay cash in or out once per ``ref``; whether it was done now."""
        now = self.clock.now()
        advance(self.broker, now)
        ref = f"funds:{ref}"
        if ref in self.state.accounts[api_key].refs:
            return False
        self.broker.emit(r.FundsMoved(at=now, api_key=api_key, amount_paise=amount_paise, ref=ref))
        return True

    def add_holding(self, api_key: str, key: str, quantity: int, average_price_paise: int, ref: str) -> bool:
        """Put delivered shares into an account once per ``ref`` (negative: take them out)."""
        now = self.clock.now()
        advance(self.broker, now)
        account = self.state.accounts[api_key]
        ref = f"holding:{ref}"
        if ref in account.refs:
            return False
        if quantity < 0 and -quantity > min(account.held_quantity(key), account.sellable_quantity(key)):
            raise KiteError(400, "HoldingException", "Not that many shares are free.")
        self.broker.emit(
            r.HoldingAdded(
                at=now,
                api_key=api_key,
                instrument=key,
                quantity=quantity,
                average_price_paise=average_price_paise,
                ref=ref,
            ),
        )
        return True
