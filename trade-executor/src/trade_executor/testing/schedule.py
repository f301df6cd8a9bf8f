"""One seeded schedule of trouble, played on the executor's own code, and what must hold after it.

Duplicated and overtaking messages, crashes at every named place, commits in doubt, a second leader, pauses longer than
a lease (also between the last check and the send), timeouts with and without an order, late visibility, fills at any
time, refusals, 429, a dying login, halts, wall-clock steps. Everything is drawn from the seed, so a seed repeats.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from saras_common.clock import ManualClock
from saras_common.errors import Unavailable
from saras_common.events import OrderAccepted, Side
from trade_executor.broker import Answer, Because, Outcome
from trade_executor.core.certificates import verify
from trade_executor.domain import IntentState
from trade_executor.engine.leader import Leader
from trade_executor.failpoints import NAMES
from trade_executor.paper import Fault
from trade_executor.store import Store
from trade_executor.store.memory import MemoryDatabase
from trade_executor.testing.world import TERMINAL, World, in_memory
from trade_executor.usecases import control

START = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
INSTRUMENTS = ("NSE:INFY", "NSE:TCS")
SIDES: tuple[Side, ...] = ("BUY", "BUY", "SELL")
LONG_PAUSE_S = 30.0
"""Stops before the last check may outlast everything."""

SHORT_PAUSE_S = 6.0
"""Stops between the last check and the send: three leases. Only the proof of absence, which is longer, fences these."""

LONGEST_TICK_S = 1.5
"""Shorter than a lease."""

MOMENTS = 10
"""Moments of a schedule; between them time passes."""

EARLY_S, LATE_S = 8.0, 95.0
"""Orders hidden longer than absence takes are a world of their own: the excess goes to suspense there."""

UNSURE = Answer(Outcome.UNKNOWN, message="no answer")


class SimulatedCrash(BaseException):
    """The process ends here."""


@dataclass
class Tally:
    """What a schedule met, so that a campaign can show that it met everything."""

    crashes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    takeovers: int = 0


class Schedule:
    """Plays ``seed``; `violations` says what did not hold."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.tally = Tally()
        self.late = self._chance(10)
        """Whether orders may show later than absence is declared."""
        self._clock = ManualClock(START)
        self._database_clock = ManualClock(START)
        self._database = MemoryDatabase(self._database_clock)
        self.world: World = in_memory(self._clock, self._database)
        self._standby: Leader = self.world.new_leader()
        self._orders: list[OrderAccepted] = []
        self._acting: Leader | None = None
        self._stopped: Leader | None = None
        self._crash_at: str | None = None
        self._pause_s = 0.0
        self._sent_at: list[float] = []
        self._halted_at: float | None = None
        self._wrong: list[str] = []
        self._quiet = False
        self._arm()

    def _chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    # --- playing

    def play(self) -> list[str]:
        """Run the schedule to its quiet end; what was violated."""
        try:
            for _ in range(MOMENTS):
                self._moment()
                self._pass(self.random.choice((0.2, 1.0, 3.0, 11.0)))
            self._calm()
            self._check()
        except AssertionError as error:
            self._wrong.append(f"book: {error}")
        return self._wrong

    def _arm(self) -> None:
        self.world.failpoint = self._reached
        self.world.broker.on_call = self._called
        self.world.broker.on_guarded = self._guarded
        self._database.before_commit = self._before_commit
        self._database.after_commit = self._after_commit

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
            ),
            weights=(6, 3, 5, 2, 4, 3, 1, 0.5, 0.5, 0.5, 1),
        )[0]
        what()

    def _place_orders(self) -> None:
        draw = self.random
        fresh = []
        for _ in range(draw.randint(1, 4)):
            instrument = draw.choice(INSTRUMENTS)
            fields: dict[str, object] = {"product": draw.choice(("CNC", "MIS")), "validity": "DAY"}
            if self._chance(30):
                price = self.world.broker.prices[instrument] + draw.choice((-500, 0, 500))
                fields |= {"order_type": "LIMIT", "price_paise": price}
            if self._chance(10):
                fields["validity"] = "IOC"
            if self._chance(10):
                fields["house"] = True
            if self._chance(30) and self._orders:
                fields["user_id"] = draw.choice(self._orders).user_id
            side: Side = draw.choice(SIDES)
            fresh.append(self.world.order(draw.choice((1, 3, 10, 77)), side=side, instrument=instrument, **fields))
        self._orders += fresh
        self._try(lambda: self.world.take(*fresh))
        self._try(lambda: self.world.take(*fresh[: draw.randint(0, len(fresh))]))

    def _cancel_some(self) -> None:
        draw = self.random
        if self._orders:
            gone = draw.sample(self._orders, draw.randint(1, min(3, len(self._orders))))
            self._try(lambda: self.world.cancel(*gone))
        if self._chance(30):
            early = self.world.order(draw.choice((2, 9)))
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
        self.tally.faults[name] += 1
        waiting = self.world.broker.faults.setdefault("place", [])
        waiting += [Fault()] * draw.randint(0, 1) + [faults[name]]

    def _fault_other(self) -> None:
        draw = self.random
        call = draw.choice(("modify", "cancel", "orders", "trades", "order_trades", "balances"))
        self.tally.faults[call] += 1
        if call in {"modify", "cancel"}:
            fault = Fault(answer=UNSURE, accepted=self._chance(50))
        else:
            fault = Fault(stale=True) if call == "orders" and self._chance(50) else Fault(fails_reading=True)
        self.world.broker.faults.setdefault(call, []).extend([fault] * draw.randint(1, 2))

    def _market_moves(self) -> None:
        draw, broker = self.random, self.world.broker
        if self._chance(40):
            instrument = draw.choice(INSTRUMENTS)
            broker.set_price(instrument, broker.prices[instrument] + draw.randint(-800, 800))
        for order in list(broker.book.values()):
            if self._chance(50) and order.status == "OPEN":
                broker.fill(order.order_id, draw.randint(1, 30), order.price_paise - draw.randint(0, 40))

    def _crash_soon(self) -> None:
        self._crash_at = self.random.choice((*NAMES, "call", "before commit", "after commit"))

    def _pause_soon(self) -> None:
        self._pause_s = self.random.uniform(1.0, LONG_PAUSE_S)

    def _kill_login(self) -> None:
        self.world.broker.logged_in = False
        self._pass(2.0)
        self.world.log_in()

    def _flip_halt(self) -> None:
        now = self._clock.now()
        if self._halted_at is None:
            self._try(lambda: self._commit(lambda store: control.halt(store, "main", "drill", now=now)))
            with self.world.transactions() as store:
                self._halted_at = self._clock.monotonic() if store.get_account("main").halted else None
        else:
            self._halted_at = None
            self._try(lambda: self._commit(lambda store: control.resume(store, "main", now=now)))

    def _step_clock(self) -> None:
        self._clock.step(self._clock.now() + timedelta(seconds=self.random.uniform(-3, 3)))

    def _change_hands(self) -> None:
        """The other process leads from here on if it can; the first goes on as standby."""
        self.tally.takeovers += 1
        self.world.leader, self._standby = self._standby, self.world.leader

    # --- what may happen anywhere

    def _reached(self, name: str) -> None:
        if self._crash_at == name:
            self._crash(name)
        if name == "before_send":
            self._pause(LONG_PAUSE_S)

    def _called(self, name: str) -> None:
        self._sent_at.append(self._clock.monotonic())
        if name == "place" and self._halted_at is not None and self._clock.monotonic() > self._halted_at + 1.0:
            self._wrong.append("an order left while halted")
        if self._crash_at == "call":
            self._crash("call")

    def _guarded(self, _name: str) -> None:
        self._pause(SHORT_PAUSE_S)

    def _before_commit(self) -> None:
        if self._crash_at == "before commit" and not self._quiet:
            self._crash_at = None
            raise Unavailable("the database went away")

    def _after_commit(self) -> None:
        if self._crash_at == "after commit" and not self._quiet:
            self._crash_at = None
            raise Unavailable("the database went away after the commit")

    def _crash(self, name: str) -> None:
        self._crash_at = None
        self.tally.crashes[name] += 1
        raise SimulatedCrash

    def _pause(self, longest_s: float) -> None:
        """This process is stopped; another works meanwhile."""
        if self._pause_s and not self._quiet and self._stopped is None:
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
        """Time passes; the leader works, its standby looks on."""
        left = seconds
        while left > 0:
            wait = self._step(self.world.leader)
            if self._stopped is not None or self._chance(10):
                self._step(self._standby)
            tick = min(left, max(wait, 0.02), LONGEST_TICK_S)
            self._clock.advance(tick)
            self._database_clock.advance(tick)
            left -= tick

    def _step(self, leader: Leader) -> float:
        wait = 0.1
        if leader is self._stopped:
            return wait
        self._acting = leader
        try:
            wait = leader.step()
            leader.desk.leadership.renew()
        except SimulatedCrash:
            if leader is self.world.leader:
                self.world.leader = self.world.new_leader()
            else:
                self._standby = self.world.new_leader()
        except Unavailable:
            leader.desk.leadership.lose()
        quiet, self._quiet = self._quiet, True
        self.world.hear()
        self._quiet = quiet
        return wait

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

    def _check(self) -> None:
        world, broker = self.world, self.world.broker
        for order_id, line in world.book.lines.items():
            if line.status not in TERMINAL:
                self._wrong.append(f"order {order_id} is still {line.status}")
        self._check_money()
        tags = Counter(tag for event, _, tag, _ in broker.journal if event == "placed")
        self._wrong += [f"tag {tag} was placed {count} times" for tag, count in tags.items() if count > 1]
        self._check_rate()
        self._wrong += [
            f"order {each.order_id} is still open" for each in broker.book.values() if each.status == "OPEN"
        ]
        for document in self._database.table("certificates").values():
            plain = {**document, "batch_id": str(document["batch_id"])}
            self._wrong += [f"certificate: {what}" for what in verify(plain)]
        if not self.late:
            self._check_nothing_extra()

    def _check_money(self) -> None:
        world = self.world
        for name in INSTRUMENTS:
            users = world.book.users(name, world.instrument_of)
            total = users + world.book.suspense_shares[name] + world.book.found[name]
            if total != world.broker.shares.get(name, 0):
                self._wrong.append(f"{name}: book {total}, broker {world.broker.shares.get(name, 0)}")
        cash = world.book.users_cash() + world.book.suspense_cash
        if cash != world.broker.cash_paise:
            self._wrong.append(f"cash: book {cash}, broker {world.broker.cash_paise}")

    def _check_rate(self) -> None:
        for first, tenth in zip(self._sent_at, self._sent_at[10:], strict=False):
            if tenth - first < 1.0 - 1e-9:
                self._wrong.append("more than ten calls in a second")
                return

    def _check_nothing_extra(self) -> None:
        """Nobody's shares stay in suspense, and no block was sent for more than its users wanted."""
        for name, quantity in (self.world.book.suspense_shares | self.world.book.found).items():
            if quantity:
                self._wrong.append(f"{quantity} of {name} in suspense")
        wanted: dict[UUID, int] = {block.id: block.quantity for block in self._database.table("blocks").values()}
        filled: dict[UUID, int] = defaultdict(int)
        for intent in self._database.table("intents").values():
            if intent.broker_order_id is not None:
                filled[intent.block_id] += self.world.broker.book[intent.broker_order_id].filled
            if intent.state in {IntentState.UNKNOWN, IntentState.SENDING}:
                self._wrong.append(f"intent {intent.tag} is still {intent.state}")
        self._wrong += [f"block {block} filled {lots}" for block, lots in filled.items() if lots > wanted[block]]


def play(seed: int) -> list[str]:
    """Violations of one schedule, each with its seed."""
    return [f"seed {seed}: {what}" for what in Schedule(seed).play()]
