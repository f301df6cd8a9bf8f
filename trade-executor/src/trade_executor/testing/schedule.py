"""One seeded schedule of trouble, played on the executor's own code, and what must hold after it.

Duplicated and overtaking messages, crashes at every named place, commits in doubt, a second leader, pauses longer than
a lease (also between the last check and the send), timeouts with and without an order, late visibility, fills at any
time, refusals, 429, a dying login, halts, wall-clock steps. Everything is drawn from the seed, so a seed repeats.
"""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from saras_common.clock import ManualClock
from saras_common.errors import Unavailable
from saras_common.events import Event, OrderAccepted, OrderProgressed
from trade_executor.broker import Answer, Because, Outcome
from trade_executor.engine.leader import Leader
from trade_executor.failpoints import NAMES
from trade_executor.paper import Fault
from trade_executor.store import Store
from trade_executor.store.memory import MemoryDatabase
from trade_executor.testing.invariants import breaks_of, check_end
from trade_executor.testing.orders import INSTRUMENTS, chance, draw_dozen, draw_orders, draw_resting
from trade_executor.testing.world import TERMINAL, Book, World, in_memory
from trade_executor.usecases import control

START = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
LONG_PAUSE_S = 30.0
"""Stops before the last check may outlast everything."""

SHORT_PAUSE_S = 6.0
"""Stops between the last check and the send: three leases. Only the proof of absence, which is longer, fences these."""

LONGEST_TICK_S = 1.5
"""Shorter than a lease."""

SEEKING_S = 0.5
"""How often whoever does not lead asks for the lease."""

FEWEST_MOMENTS, MOST_MOMENTS = 3, 9
"""Moments of a schedule; between them time passes. Short ones are many, and fail where one can still follow them."""

EARLY_S, LATE_S = 8.0, 95.0
"""Orders hidden longer than absence takes are a world of their own: the excess goes to suspense there."""

AROUND_THE_SEND = ("after_sending_committed", "before_send", "call", "after_send", "before_answer_committed")
AROUND_COMMITS = ("before commit", "after commit")
"""Where a crash does most harm; beside them every named place has its turn."""

UNSURE = Answer(Outcome.UNKNOWN, message="no answer")


class SimulatedCrash(BaseException):
    """The process ends here."""


class Schedule:
    """Plays ``seed``; `violations` says what did not hold."""

    def __init__(self, seed: int, book: Book | None = None) -> None:
        self.random = random.Random(seed)
        self.met: Counter[str] = Counter()
        """What the schedule met, by name, so that a campaign can show that it met everything."""
        self.late = self._chance(10)
        """Whether orders may show later than absence is declared."""
        self._clock = ManualClock(START)
        self._database_clock = ManualClock(START)
        self._database = MemoryDatabase(self._database_clock)
        self.world: World = in_memory(self._clock, self._database, book)
        self._standby: Leader = self.world.new_leader()
        self._orders: list[OrderAccepted] = []
        self._never: list[OrderAccepted] = []
        """Orders that may not fill: cancelled before they came."""
        self._acting: Leader | None = None
        self._stopped: Leader | None = None
        self._crash_at: str | None = None
        self._pause_s = 0.0
        self._sent_at: list[float] = []
        self._halted_at: float | None = None
        self._wrong: list[str] = []
        self._quiet = False
        self._tell_marks()
        self._arm()

    def _chance(self, percent: int) -> bool:
        return chance(self.random, percent)

    # --- playing

    def play(self) -> list[str]:
        """Run the schedule to its quiet end; what was violated."""
        try:
            for _ in range(self.random.randint(FEWEST_MOMENTS, MOST_MOMENTS)):
                self._moment()
                self._pass(self.random.choice((0.2, 1.0, 3.0, 11.0)))
            self._calm()
            self._wrong += [
                f"order {order.order_id} was cancelled before it came and filled"
                for order in self._never
                if self.world.line(order).filled
            ]
            self._wrong += check_end(
                self.world, self._database, self._orders, INSTRUMENTS, sent_at=self._sent_at, late=self.late
            )
        except AssertionError as error:
            self._wrong.append(f"book: {error}")
        return self._wrong

    def _arm(self) -> None:
        self.world.failpoint = self._reached
        self.world.broker.on_call = self._called
        self.world.broker.on_guarded = self._guarded
        self._database.before_commit = self._before_commit
        self._database.after_commit = self._after_commit
        self._database.on_changes = lambda changes: self._wrong.extend(breaks_of(self._database, changes))
        self.world.again = lambda: self._chance(5)
        self.world.later = lambda event: _may_wait(event) and self._chance(10)

    def _moment(self) -> None:
        """One thing happens."""
        what = self.random.choices(
            (
                self._place_orders,
                self._cancel_some,
                self._fault_placing,
                self._fault_other,
                self._market_moves,
                self._crash_soon,
                self._pause_soon,
                self._kill_login,
                self._flip_halt,
                self._step_clock,
                self._change_hands,
                self._redeliver,
                self._place_a_dozen,
                self._trickle,
            ),
            weights=(6, 3, 5, 3, 5, 6, 2, 0.5, 0.7, 0.5, 1, 1, 0.3, 1),
        )[0]
        what()

    def _place_orders(self) -> None:
        fresh = draw_orders(self.random, self.world, self._orders)
        self._take(fresh)
        self._try(lambda: self.world.take(*fresh[: self.random.randint(0, len(fresh))]))

    def _place_a_dozen(self) -> None:
        self._take(draw_dozen(self.world))

    def _take(self, fresh: list[OrderAccepted]) -> None:
        self._orders += fresh
        self.met["orders"] += len(fresh)
        self._try(lambda: self.world.take(*fresh))

    def _cancel_some(self) -> None:
        draw = self.random
        if self._orders:
            gone = draw.sample(self._orders, draw.randint(1, min(3, len(self._orders))))
            self._try(lambda: self.world.cancel(*gone))
        if self._chance(30):
            early = self.world.order(draw.choice((2, 9)))
            self._never.append(early)
            self.met["orders"] += 1
            self.met["cancellations that overtook their order"] += 1
            self._try(lambda: self.world.cancel(early))
            self._orders.append(early)
            self._try(lambda: self.world.take(early))

    def _fault_placing(self) -> None:
        draw = self.random
        hidden = draw.uniform(0, LATE_S if self.late else EARLY_S)
        no = {because: Answer(Outcome.NO, because=because, message=because.value) for because in Because}
        faults = {
            "timeout after": Fault(answer=UNSURE, hidden_s=hidden),
            "timeout before": Fault(answer=UNSURE, accepted=False),
            "late": Fault(hidden_s=hidden),
            "not sent": Fault(answer=Answer(Outcome.NOT_SENT)),
            "refused": Fault(answer=no[Because.REFUSED], accepted=False),
            "429": Fault(answer=no[Because.TOO_MANY], accepted=False),
            "rejected": Fault(rejected_later=True),
            "partial": Fault(fill_part=(draw.randint(0, 4), 5)),
            "partial timeout": Fault(answer=UNSURE, fill_part=(draw.randint(0, 4), 5), hidden_s=hidden),
        }
        name = draw.choice(list(faults))
        self.met[f"order answers: {name}"] += 1
        waiting = self.world.broker.faults.setdefault("place", [])
        waiting += [Fault()] * draw.randint(0, 1) + [faults[name]]

    def _fault_other(self) -> None:
        draw = self.random
        call = draw.choice(("modify", "cancel", "orders", "orders", "trades", "order_trades", "balances"))
        self.met[f"{call} answered wrongly"] += 1
        waiting = self.world.broker.faults.setdefault(call, [])
        if call in {"modify", "cancel"}:
            waiting += [Fault(answer=UNSURE, accepted=self._chance(50))] * draw.randint(1, 2)
        elif call == "orders" and self._chance(70):
            waiting += [Fault(), Fault(stale=True)] * draw.randint(1, 4)
        else:
            waiting += [Fault(fails_reading=True)] * draw.randint(1, 2)

    def _market_moves(self) -> None:
        draw, broker = self.random, self.world.broker
        if self._chance(40):
            instrument = draw.choice(INSTRUMENTS)
            jump = 12_000 if self._chance(40) else 800
            broker.set_price(instrument, broker.prices[instrument] + draw.randint(-jump, jump))
            self._tell_marks()
        if self._chance(30):  # the order book lags behind its own news
            broker.faults.setdefault("orders", [])[:0] = [Fault(), Fault(stale=True)]
        self._fill_some((1, 2, 5, 30))

    def _trickle(self) -> None:
        """Orders that rest share a block, and it fills lot by lot."""
        self._take(draw_resting(self.random, self.world))
        self._pass(11.0)
        for _ in range(10):
            self._fill_some((1, 1, 2))
            self._pass(0.5)

    def _fill_some(self, lots: tuple[int, ...]) -> None:
        draw, broker = self.random, self.world.broker
        for order in list(broker.book.values()):
            if order.status == "OPEN" and self._chance(60):
                better = draw.randint(0, 40) * (-1 if order.order.side == "BUY" else 1)
                broker.fill(order.order_id, draw.choice(lots), order.price_paise + better)

    def _tell_marks(self) -> None:
        self._database.table("marks").update(self.world.broker.prices)

    def _redeliver(self) -> None:
        """The bus delivers old events again, to the book and to the executor."""
        told = self.world.told
        if self._orders:
            self._try(lambda: self.world.take(*self.random.sample(self._orders, 1)))
        for event in self.random.sample(told, min(3, len(told))):
            self.met["events delivered again"] += 1
            self.world.book.apply(event)

    def _crash_soon(self) -> None:
        self._crash_at = self.random.choice(self.random.choice((NAMES, AROUND_THE_SEND, AROUND_COMMITS)))

    def _pause_soon(self) -> None:
        self._pause_s = self.random.uniform(1.0, LONG_PAUSE_S)

    def _kill_login(self) -> None:
        self.met["logins lost"] += 1
        self.world.broker.logged_in = False
        self._pass(2.0)
        self.world.log_in()

    def _flip_halt(self) -> None:
        now = self._clock.now()
        self.met["halts and resumptions"] += 1
        if self._halted_at is None:
            self._try(lambda: self._commit(lambda store: control.halt(store, "main", "drill", now=now)))
            with self.world.transactions() as store:
                self._halted_at = self._clock.monotonic() if store.get_account("main").halted else None
        else:
            self._halted_at = None
            self._try(lambda: self._commit(lambda store: control.resume(store, "main", now=now)))

    def _step_clock(self) -> None:
        self.met["clock steps"] += 1
        self._clock.step(self._clock.now() + timedelta(seconds=self.random.uniform(-3, 3)))

    def _change_hands(self) -> None:
        """The other process leads from here on if it can; the first goes on as standby."""
        self.met["takeovers"] += 1
        self.world.leader, self._standby = self._standby, self.world.leader

    # --- what may happen anywhere

    def _reached(self, name: str) -> None:
        if self._crash_at == name:
            self._crash()
        if name == "before_send":
            self._pause(LONG_PAUSE_S)

    def _called(self, name: str) -> None:
        self._sent_at.append(self._clock.monotonic())
        if name == "place" and self._halted_at is not None and self._clock.monotonic() > self._halted_at + 1.0:
            self._wrong.append("an order left while halted")
        if self._crash_at == "call":
            self._crash()

    def _guarded(self, _name: str) -> None:
        self._pause(SHORT_PAUSE_S)

    def _before_commit(self) -> None:
        if self._crash_at == "before commit" and not self._quiet:
            self._crash_at = None
            self.met["commits lost"] += 1
            raise Unavailable("the database went away")

    def _after_commit(self) -> None:
        if self._crash_at == "after commit" and not self._quiet:
            self._crash_at = None
            self.met["commits in doubt"] += 1
            raise Unavailable("the database went away after the commit")

    def _crash(self) -> None:
        self._crash_at = None
        self.met["crashes"] += 1
        raise SimulatedCrash

    def _pause(self, longest_s: float) -> None:
        """This process is stopped; another works meanwhile."""
        if self._pause_s and not self._quiet and self._stopped is None:
            self.met["pauses"] += 1
            paused, self._pause_s = min(self._pause_s, longest_s), 0.0
            self._stopped = self._acting
            self._pass(paused)
            self._acting, self._stopped = self._stopped, None

    def _try(self, work: Callable[[], object]) -> None:
        """A delivery that fails is delivered again."""
        for _ in range(5):
            try:
                work()
            except Unavailable:
                continue
            return

    def _commit(self, work: Callable[[Store], object]) -> None:
        with self.world.transactions() as store:
            work(store)

    def _pass(self, seconds: float) -> None:
        """Time passes; the leader works when something is due, its standby looks on."""
        left = seconds
        while left > 0:
            rest = min(left, max(self._step(self.world.leader), 0.02))
            left -= rest
            while rest > 0:
                tick = min(rest, LONGEST_TICK_S)
                if self._stopped is not None or self._chance(10):
                    self._step(self._standby)
                self._clock.advance(tick)
                self._database_clock.advance(tick)
                rest -= tick
                if self.world.leader is not self._stopped:
                    self._renew(self.world.leader)

    def _renew(self, leader: Leader) -> None:
        """What the renewing thread does meanwhile."""
        try:
            leader.desk.leadership.renew()
        except Unavailable:
            leader.desk.leadership.lose()

    def _step(self, leader: Leader) -> float:
        wait = SEEKING_S
        if leader is self._stopped:
            return wait
        self._acting = leader
        try:
            wait = leader.step()
            if leader.desk.leadership.lease is None:
                wait = SEEKING_S
            leader.desk.leadership.renew()
        except SimulatedCrash:
            if leader is self.world.leader:
                self.world.leader = self.world.new_leader()
            else:
                self._standby = self.world.new_leader()
        except Unavailable:
            leader.desk.leadership.lose()
        quiet, self._quiet = self._quiet, True
        answered = self.world.hear()
        self._quiet = quiet
        return 0.0 if answered else wait

    # --- the end

    def _calm(self) -> None:
        """No more trouble: everything that can end, ends."""
        broker = self.world.broker
        self._quiet, self._crash_at, self._pause_s, self._halted_at = True, None, 0.0, None
        broker.faults.clear()
        self.world.log_in()
        self._commit(lambda store: control.resume(store, "main", now=self._clock.now()))
        self._pass(30.0)
        self.world.cancel(*self._orders)
        for _ in range(12 if self.late else 6):
            self._pass(20.0)
            if all(line.status in TERMINAL for line in self.world.book.lines.values()) and not self.late:
                break
        self._pass(3.0)


def _may_wait(event: Event) -> bool:
    """News of a state that ends nothing may be overtaken: other processes of ours tell it."""
    return isinstance(event, OrderProgressed) and event.status in {"QUEUED", "WORKING"}


def play(seed: int) -> list[str]:
    """Violations of one schedule, each with its seed."""
    return [f"seed {seed}: {what}" for what in Schedule(seed).play()]
