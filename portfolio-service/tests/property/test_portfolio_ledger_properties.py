"""Whatever happens, in whatever order: the books balance, nothing goes below nought, no paisa is lost."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saras_common.clock import ManualClock
from saras_common.errors import SarasError
from saras_common.money import split
from saras_common.testing.databases import PostgresForTests

INFY, TCS = "NSE:INFY", "NSE:TCS"
LAST = {INFY: 150_000, TCS: 350_000}


@pytest.fixture(scope="module")
def shared_book(postgres: PostgresForTests, book_over) -> Iterator:
    database = postgres.database_for("portfolio_service")
    book = book_over(database, ManualClock(datetime(2026, 3, 2, 5, tzinfo=UTC)))
    book.list_market()
    yield book
    book.close()
    postgres.drop(database)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["deposit", "withdraw", "buy", "sell", "fill", "fill", "true_up", "bust", "cancel", "expire"]),
        st.integers(0, 10**6),
    ),
    min_size=5,
    max_size=40,
)


class Drama:
    """A few users, and a broker that does what the dice say."""

    def __init__(self, book, dice: random.Random) -> None:
        self.book = book
        self.dice = dice
        self.users = [book.user(rupees=dice.choice([0, 2_000, 20_000])) for _ in range(3)]
        self.orders = []
        self.filled: dict[str, int] = {}
        self.value: dict[str, int] = {}

    def step(self, verb: str, seed: int) -> None:
        self.dice.seed(seed)
        getattr(self, verb)()
        self.book.clock.advance(self.dice.choice([0.5, 5000.0]))

    def deposit(self) -> None:
        self.book.deposit(self.dice.choice(self.users), self.dice.randint(1, 500_000))

    def withdraw(self) -> None:
        user = self.dice.choice(self.users)
        try:
            self.book.withdraw(user, self.dice.randint(1, 500_000))
        except SarasError:
            assert self.book.balance(user, "cash") < 500_000

    def buy(self) -> None:
        self._order("BUY")

    def sell(self) -> None:
        self._order("SELL")

    def _order(self, side: str) -> None:
        made = self.book.order(
            self.dice.choice(self.users), side, self.dice.choice([INFY, TCS]), self.dice.randint(1, 4)
        )
        if not isinstance(made, SarasError):
            self.orders.append(made)

    def fill(self) -> None:
        if not self.orders:
            return
        order = self.dice.choice(self.orders)
        left = order.quantity - self.filled.get(order.id, 0)
        quantity = self.dice.randint(0, left)
        if quantity == 0:
            return
        # now and then far beyond the cap, so that suspense has to step in
        price = LAST[order.instrument] * self.dice.choice([90, 100, 101, 103, 140]) // 100
        value = quantity * price + self.dice.randint(0, 3)
        charges = split(self.dice.randint(0, 3000), [1, 5, 2, 1, 3, 1, 0 if order.side == "BUY" else 9])
        self.filled[order.id] = self.filled.get(order.id, 0) + quantity
        self.value[order.id] = self.value.get(order.id, 0) + value
        self.book.fill(order, quantity, value, charges)

    def true_up(self) -> None:
        if self.orders:
            order = self.dice.choice(self.orders)
            change = self.dice.randint(-50, 50) if self.filled.get(order.id) else 0
            self.value[order.id] = self.value.get(order.id, 0) + change
            self.book.true_up(order, change)

    def bust(self) -> None:
        done = [order for order in self.orders if self.filled.get(order.id)]
        if done:
            order = self.dice.choice(done)
            quantity = self.dice.randint(1, self.filled[order.id])
            value = self.value[order.id] * quantity // self.filled[order.id]
            self.filled[order.id] -= quantity
            self.value[order.id] -= value
            self.book.bust(order, quantity, value)

    def cancel(self) -> None:
        if self.orders:
            self.book.progress("CANCELLED", self.dice.choice(self.orders))

    def expire(self) -> None:
        if self.orders:
            self.book.progress("EXPIRED", *self.dice.sample(self.orders, min(2, len(self.orders))))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_every_rule_of_the_book_holds_after_any_story(shared_book, steps):
    drama = Drama(shared_book, random.Random(0))
    for verb, seed in steps:
        drama.step(verb, seed)
    shared_book.check()
    for order in drama.orders:
        stored = shared_book.stored(order)
        assert stored.filled_quantity == drama.filled.get(order.id, 0)
        assert stored.filled_paise == drama.value.get(order.id, 0)
        if stored.status in ("CANCELLED", "EXPIRED"):
            assert stored.hold_paise == stored.hold_quantity == 0
    for user in drama.users:
        for row in shared_book.rows("SELECT * FROM positions WHERE user_id = :u", u=user):
            assert row.quantity or row.cost_paise == 0, "an empty shelf costs nothing"
            assert 0 <= row.reserved <= row.quantity


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_all_that_was_paid_is_cost_or_realised_whatever_the_rounding(shared_book, seed):
    """Buys, sells and true-ups of one shelf: paid out - brought in = cost held - realised, by both methods."""
    dice, book = random.Random(seed), shared_book
    user = book.user(rupees=1_000_000)
    net = 0
    held = 0
    bought = []
    for _ in range(8):
        kind = dice.choice(["buy", "buy", "sell", "true_up"])
        quantity = dice.randint(1, 7)
        if kind == "buy":
            order, value = book.buy(user, INFY, quantity), quantity * 150_000 - dice.randint(0, 999)
            book.fill(order, quantity, value)
            book.true_up(order)
            bought.append(order)
            net, held = net + value, held + quantity
        elif kind == "sell" and held >= quantity:
            order, value = book.sell(user, INFY, quantity), quantity * 150_000 + dice.randint(0, 999)
            book.fill(order, quantity, value)
            book.true_up(order)
            net, held = net - value, held - quantity
        elif kind == "true_up" and bought:
            change = dice.randint(-7, 7)
            book.true_up(dice.choice(bought), change)
            net += change
    if bought:
        position = book.position(user)
        lots = book.scalar("SELECT coalesce(sum(cost_paise), 0) FROM lots WHERE user_id = :u", u=user)
        assert position.quantity == held
        assert position.cost_paise - position.realised_paise == net
        assert lots - position.fifo_realised_paise == net
        assert 1_000_000_00 - book.balance(user, "cash") == net
