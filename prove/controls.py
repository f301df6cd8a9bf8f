"""Campaign 10: what stops orders. Limits of one user and of all, the kill switch, a loop run wild, the broker's rates.

Limits of a user: thousands of orders over each against the book on a real database. Limits of all together, and loops
planted in our own code: the executor in simulated worlds. The kill switch and the rates: the executor as it runs, 200
orders a second over real sockets, judged by the sandbox's own journal.
"""

import random
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

from prove.campaign import Campaign, Outcome, Run
from prove.races import INFY, LAST, RacedBook, raced_book, request, server

from portfolio_service.domain.refusals import LimitBreached
from portfolio_service.domain.requests import EntryRequest
from saras_common.clock import ManualClock
from saras_common.errors import SarasError
from saras_common.events import FundsMoved, OrderAccepted
from saras_common.ids import new_id
from saras_common.testing import PostgresForTests
from trade_executor.domain import Intent
from trade_executor.engine.leader import Leader
from trade_executor.engine.sender import Sender
from trade_executor.store.memory import MemoryDatabase
from trade_executor.testing.platform import Platform
from trade_executor.testing.sandbox import SandboxProcess
from trade_executor.testing.schedule import START
from trade_executor.testing.world import World, in_memory
from trade_executor.usecases import control, planning
from trade_executor.usecases.posting import OVER_LIMIT
from trade_executor.usecases.sending import SendRules
from trade_executor.wiring import wire

BATCH = 250
RULES = {"max_order_quantity": 1_000, "max_order_rupees": 10**5}
"""A share costs 1,500 rupees: 66 of them are as many as the value of one order allows."""

RATE = 200
"""Orders a second while the kill switch is pulled."""

PRICES = 12
LEAST_RATE = 4
"""Orders a second that must leave before a halt, or stopping them says little."""

TOGETHER_PAISE = 10**8
"""What the account may send on a day in the simulated worlds: ₹10 lakh."""

WORLDS = 40
STOPS_WITHIN_S = 1.0
SECOND, MINUTE = (10, 1.0), (400, 60.0)
"""What the broker takes: calls, and the seconds they count in."""

Kind = Callable[[UUID], EntryRequest]

KINDS: dict[str, Kind] = {
    "quantity": lambda user: request(user, "BUY", 1_001, order_type="LIMIT", price="0.05"),
    "value": lambda user: request(user, "BUY", 67),
    "price above the band": lambda user: request(user, "BUY", 1, order_type="LIMIT", price="2250.05"),
    "price below the band": lambda user: request(user, "SELL", 1, order_type="LIMIT", price="749.95"),
    "open orders": lambda user: request(user, "BUY", 1, order_type="LIMIT", price="1000.00"),
    "orders of a day": lambda user: request(user, "BUY", 1, order_type="LIMIT", price="1000.00"),
    "value of a day": lambda user: request(user, "BUY", 60),
}
SPENT: dict[str, tuple[dict[str, Any], int]] = {
    "open orders": ({"max_open_orders": 8}, 8),
    "orders of a day": ({"max_day_orders": 10}, 10),
    "value of a day": ({"max_day_rupees": 10**5}, 1),
}
"""Rules and orders that use a limit up before it is tried."""


# --- one user


def over_user_limits(size: int, seed: int) -> Outcome:
    """``size`` orders over the limits of a user, in batches; each refused by name and nowhere in the book."""
    outcome = Outcome()
    each = -(-size // len(KINDS))
    with server() as on:
        for kind in KINDS:
            outcome.add(over_one_limit(on, kind, each, random.Random(seed)))
    return outcome


def over_one_limit(on: PostgresForTests, kind: str, each: int, draw: random.Random) -> Outcome:
    """``each`` orders over one limit."""
    outcome, make = Outcome(), KINDS[kind]
    rules, spent = SPENT.get(kind, ({}, 0))
    with raced_book(on, **{**RULES, **rules}) as book:
        users = [new_id() for _ in range(20)] if spent else book.holders(20)
        book.deposit(users, 10**9)
        for user in users:
            for _ in range(spent):
                (result,) = book.place([make(user)])
                if result.error or isinstance(result.items[0], SarasError):
                    outcome.violate(f"{kind}: refused below the limit")
        before = _sent(book)
        for start in range(0, each, BATCH):
            tried = [make(draw.choice(users)) for _ in range(min(BATCH, each - start))]
            refusals = [result.error or result.items[0] for result in book.place(tried)]
            passed = sum(not isinstance(refusal, LimitBreached) for refusal in refusals)
            outcome.violate(*[f"{kind}: passed"] * passed)
            outcome.counts[f"orders over the limit: {kind}"] += len(tried)
            outcome.counts["orders over a limit"] += len(tried)
        outcome.violate(*[f"{kind}: told to the executor"] * (_sent(book) - before), *book.faults())
    return outcome


def _sent(book: RacedBook) -> int:
    query = "SELECT coalesce(sum(count), 0) FROM outbox WHERE type = %s"
    return int(book.rows(query, OrderAccepted.type)[0][0])


# --- all together, and loops of our own


@contextmanager
def limited_world(**limits: int) -> Iterator[World]:
    """The executor in memory, with limits of its own."""
    clock = ManualClock(START)
    database = MemoryDatabase(clock)
    world = in_memory(clock, database)
    database.table("marks").update(world.broker.prices)
    world.leader.desk.rules = replace(world.leader.desk.rules, send=SendRules(**limits))
    yield world


def over_account_limits(size: int, seed: int) -> Outcome:
    """Users' orders whose sum is over what one broker order, or one day, may carry."""
    outcome, draw = Outcome(), random.Random(seed)
    with limited_world(max_order_paise=TOGETHER_PAISE // 2, max_day_paise=TOGETHER_PAISE) as world:
        first = world.order(300)
        second = world.order(300, product="MIS")
        for order in (first, second):
            world.take(order)
            world.run(12)
        if world.statuses(first, second) != ["FILLED", "FILLED"]:
            outcome.violate("refused below the limit of all together")
        placed = _lots(world)
        for start in range(0, size, BATCH):
            orders = [
                world.order(draw.randint(40, 90), side=draw.choice(("BUY", "SELL")))
                for _ in range(min(BATCH, size - start))
            ]
            world.take(*orders)
            world.run(12)
            passed = [order for order in orders if world.line(order).reason != OVER_LIMIT]
            outcome.violate(*["an order over the limit of all together was not refused"] * len(passed))
            outcome.counts["orders over the limit: all together"] += len(orders)
            outcome.counts["orders over a limit"] += len(orders)
        if _lots(world) != placed:
            outcome.violate("lots were sent over the limit of all together")
        world.assert_balanced()
    return outcome


def _lots(world: World) -> int:
    return sum(lots for event, _, _, lots in world.broker.journal if event == "placed")


def _sends_again_and_again() -> Any:
    """A round of sending that never knows when to stop."""
    send = Sender.send_planned

    def wrong(self: Sender, planned: list[Intent]) -> Any:
        for _ in range(20):
            done = send(self, planned)
        return done

    return patch.object(Sender, "send_planned", wrong)


def _plans_again_and_again() -> Any:
    """Every step plans one more broker order for every block."""
    work = Leader._work  # noqa: SLF001 - the method the loop is planted in

    def wrong(self: Leader) -> float:
        with self.desk.transaction() as store:
            for block_id in store.list_working(self.desk.account_id):
                intent = store.list_intents(block_id)[0]
                if len(store.list_intents(block_id)) < 30:
                    control.plan_again(store, intent, new_id=self.desk.new_id)
        return work(self)

    return patch.object(Leader, "_work", wrong)


def _doubles_every_order() -> Any:
    """Each block is sent for twice what its users want."""

    def wrong(*args: Any, **more: Any) -> Intent:
        intent = Intent(*args, **more)
        return replace(intent, quantity=2 * intent.quantity)

    return patch.object(planning, "Intent", wrong)


LOOPS = {
    "a round of sending that repeats": _sends_again_and_again,
    "a plan that repeats": _plans_again_and_again,
    "a doubled quantity": _doubles_every_order,
}


def runaway_loops(worlds: int, seed: int) -> Outcome:
    """Loops planted in our own code: what reaches the broker is what users asked for, and not a lot more."""
    outcome = Outcome()
    for number in range(worlds):
        draw = random.Random(seed + number)
        for name, plant in LOOPS.items():
            with limited_world() as world, plant():
                orders = [world.order(draw.randint(1, 50), product=draw.choice(("CNC", "MIS"))) for _ in range(6)]
                world.take(*orders)
                world.run(30)
                asked = sum(order.quantity for order in orders)
                if _lots(world) != asked or set(world.statuses(*orders)) != {"FILLED"}:
                    outcome.violate(f"{name}: {_lots(world)} lots sent of {asked} asked for (seed {seed + number})")
                world.assert_balanced()
                outcome.counts["worlds with a runaway loop"] += 1
                outcome.counts["orders under a runaway loop"] += len(orders)
    return outcome


# --- the kill switch and the broker's rates


@contextmanager
def running_platform() -> Iterator[tuple[Platform, SandboxProcess]]:
    """The executor's workers on their own PostgreSQL, and a sandbox with its limits on."""
    server = PostgresForTests()
    with tempfile.TemporaryDirectory(prefix="saras-controls-") as folder:
        sandbox = SandboxProcess(Path(folder), SANDBOX_RATE_LIMITS="strict")
        platform = Platform(server.database_for("trade_executor"), sandbox, window_s=1.0)
        try:
            platform.start()
            platform.deposit(10**14)
            platform.publish(
                [FundsMoved(at=datetime.now(UTC), movement_id=uuid4(), user_id=uuid4(), account_id="main",
                            amount_paise=10**14)]
            )  # fmt: skip
            platform.wait(lambda: platform.listed > 0, 60)
            first = platform.order(INFY, 1)
            platform.publish([first])
            platform.wait(lambda: platform.statuses([first]) == {"FILLED"}, 60)
            yield platform, sandbox
        finally:
            platform.stop()
            sandbox.stop()
            server.stop()


def _keeps_ordering(platform: Platform, stop: threading.Event, orders: list[OrderAccepted]) -> None:
    """``RATE`` orders a second at a dozen prices: more broker orders a window than the broker's limits let through."""
    started, sent = time.monotonic(), 0
    while not stop.is_set():
        due = int((time.monotonic() - started) * RATE)
        fresh = [
            platform.order(INFY, 1, order_type="LIMIT", price_paise=LAST + 5 * (number % PRICES), cap_price_paise=None)
            for number in range(sent, due)
        ]
        if fresh:
            platform.publish(fresh)
            orders += fresh
            sent = due
        stop.wait(0.1)


def switched_off(rounds: int, working_s: float) -> Outcome:
    """Halts under fire: when the last order left, and how many calls the broker's own journal counts in a window."""
    outcome, orders = Outcome(), list[OrderAccepted]()
    worst = 0.0
    with running_platform() as (platform, sandbox):
        wiring, stop = wire(platform.settings), threading.Event()
        firing = threading.Thread(target=_keeps_ordering, args=(platform, stop, orders), daemon=True)
        firing.start()
        for _ in range(rounds):
            time.sleep(working_s)
            with wiring.transactions() as store:
                control.halt(store, "main", "drill", now=wiring.clock.now())
            halted_at = datetime.now(UTC)
            time.sleep(3.0)
            placed = [datetime.fromisoformat(item["at"]) for item in sandbox.journal("order_accepted")]
            late = [(at - halted_at).total_seconds() for at in placed if at > halted_at]
            worst = max([worst, *late])
            outcome.violate(
                *[f"an order left {after:.2f} s after the halt" for after in late if after > STOPS_WITHIN_S]
            )
            began = halted_at - timedelta(seconds=working_s)
            before = sum(began < at <= halted_at for at in placed)
            if before < LEAST_RATE * working_s:
                outcome.missed.append(f"only {before} orders left in the {working_s:.0f} s before a halt")
            with wiring.transactions() as store:
                control.resume(store, "main", now=wiring.clock.now())
            outcome.counts["halts under fire"] += 1
        stop.set()
        firing.join()
        wiring.database.dispose()
        _check_rates(outcome, sandbox)
    outcome.counts["orders arriving meanwhile"] = len(orders)
    outcome.figures["last order after the halt, worst, s"] = round(worst, 3)
    return outcome


def _check_rates(outcome: Outcome, sandbox: SandboxProcess) -> None:
    calls = ("order_accepted", "order_rejected", "order_modified", "order_cancelled")
    at = sorted(datetime.fromisoformat(item["at"]).timestamp() for item in sandbox.journal() if item["event"] in calls)
    outcome.counts["calls in the sandbox's journal"] = len(at)
    if not at:
        outcome.violate("nothing reached the sandbox")
    for name, (most, seconds) in {"a second": SECOND, "a minute": MINUTE}.items():
        busiest = max(bisect_left(at, first + seconds) - start for start, first in enumerate(at))
        outcome.figures[f"most calls in {name}"] = busiest
        if busiest > most:
            outcome.violate(f"{busiest} calls within {name}")


def play(run: Run) -> Outcome:
    """Three quarters of the orders over limits of users, the rest over those of all together; then the drills."""
    full = run.size >= CAMPAIGN.size
    outcome = over_user_limits(run.size * 3 // 4, run.seed)
    outcome.add(over_account_limits(run.size - outcome.counts["orders over a limit"], run.seed))
    outcome.add(runaway_loops(WORLDS if full else 3, run.seed))
    outcome.add(switched_off(5 if full else 1, 15.0 if full else 6.0))
    return outcome


CAMPAIGN = Campaign(
    number=10,
    target="10,000 orders over a limit (size, value, price band, a user's open orders and day, all users together):"
    " none sent; the last order leaves within 1 s of the kill switch under 200 orders a second; loops planted in our"
    " code: not a lot too many; never above 10 calls a second or 400 a minute in the broker's own journal",
    size=10_000,
    bound_s=600,
    play=play,
)
