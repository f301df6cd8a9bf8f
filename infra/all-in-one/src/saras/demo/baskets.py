"""The demo's baskets: sixty users invest in the smallcases that ship, one is repaired, one rebalanced by drift."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from saras.client import Api
from saras.commands import reconcile
from saras.demo.market import paise
from saras.demo.oracle import broker_totals
from saras.demo.people import Person
from saras.demo.proof import Check, shares_of
from saras.demo.story import POLL_S, SETTLE_S, Story
from saras.errors import CommandFailed
from saras.tables import plain_table

INVESTORS = 60
SAMPLES = 10
DRIFTING = "Builders of Things"
"""The smallcase whose band is crossed; it has no cooldown, so that nobody waits a week."""
RISE_PERCENT = 40
ACTIVE = frozenset({"QUEUED", "SELLING", "BUYING"})

Run = dict[str, Any]


@dataclass
class Baskets:
    """Investors by number, the smallcase each chose, and what was done."""

    story: Story
    cases: list[dict[str, Any]]
    people: Sequence[Person]

    def case_of(self, person: Person) -> dict[str, Any]:
        """Ten smallcases in turn."""
        return self.cases[person.number % len(self.cases)]

    def each(self, act: Callable[[Api, Person], Any], people: Sequence[Person] | None = None) -> list[Any]:
        """``act`` as every investor."""
        return self.story.people.each(act, self.people if people is None else people)

    def invest(self) -> dict[int, Run]:
        """Everybody invests half as much again as the minimum; the runs by person."""

        def buy(api: Api, person: Person) -> Run:
            case = self.case_of(person)
            amount = paise(case["min_investment"]) * 3 // 200
            path = f"/smallcase/{case['id']}/invest"
            run: Run = api.post(path, {"amount": str(amount)}, key=f"basket-{person.number}")
            return run

        return {person.number: run for person, run in zip(self.people, self.each(buy), strict=True)}

    def settle(self, runs: Mapping[int, Run], *, cancel_rest: bool = False) -> dict[int, Run]:
        """Close windows until the runs are over; ``cancel_rest``: their users cancel what stays partly filled."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            self.story.admin.post("/admin/execution/run")
            people = [self.story.people.people[number] for number in runs]
            states = self.each(lambda api, person: api.get(run_path(runs[person.number])), people)
            if all(state["status"] not in ACTIVE for state in states):
                return dict(zip(runs, states, strict=True))
            if cancel_rest:
                self._cancel_partly_filled(dict(zip(runs, states, strict=True)))
            if time.monotonic() > deadline:
                raise CommandFailed(f"waited {SETTLE_S:.0f} s for the baskets' runs, in vain")
            time.sleep(POLL_S)

    def _cancel_partly_filled(self, states: Mapping[int, Run]) -> None:
        acts = [
            (number, _cancel(leg["order_id"]))
            for number, state in states.items()
            for leg in state["legs"]
            if leg["status"] == "PARTIALLY_FILLED"
        ]
        self.story.people.all(acts)

    def repair_one(self, ended: Mapping[int, Run]) -> tuple[int, Run]:
        """The first whose basket was only partly filled tries the rest again."""
        number = next(number for number, state in ended.items() if state["status"] == "COMPLETED_ADJUSTED")
        return number, self._act(number, "repair")

    def rebalance_one(self, runs: Mapping[int, Run]) -> tuple[int, Run, dict[str, Any]]:
        """A share rises, a weight leaves its band, the rebalance is offered, and its user agrees."""
        number = next(person.number for person in self.people if self.case_of(person)["name"] == DRIFTING)
        basket = f"/investments/{runs[number]['basket_id']}"
        share = self.case_of(self.story.people.people[number])["constituents"][-1]
        risen = paise(share["last_price"]) * (100 + RISE_PERCENT) // 100
        self.story.sandbox.prices({share["instrument"]: f"{risen // 100}.{risen % 100:02d}"})
        offer = self._wait_offer(number, basket)
        return number, self._act(number, "rebalance", {"full": True}), offer

    def _wait_offer(self, number: int, basket: str) -> dict[str, Any]:
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            offer = self._ask(number, lambda api, _person: api.get(basket)["rebalance_offer"])
            if offer is not None:
                return dict(offer)
            time.sleep(POLL_S)
        raise CommandFailed(f"waited {SETTLE_S:.0f} s for a rebalance to be offered, in vain")

    def _act(self, number: int, what: str, body: Any = None) -> Run:
        case = self.case_of(self.story.people.people[number])
        path = f"/smallcase/{case['id']}/{what}"
        started = self._ask(number, lambda api, _person: api.post(path, body, key=f"{what}-{number}"))
        return self.settle({number: started})[number]

    def _ask(self, number: int, act: Callable[[Api, Person], Any]) -> Any:
        return self.each(act, [self.story.people.people[number]])[0]


def run_path(run: Run) -> str:
    """Where a run is looked at."""
    return f"/investments/{run['basket_id']}/runs/{run['run_id']}"


def play_baskets(console: Console, story: Story) -> list[Check]:
    """Play it, print it, and check that the books still balance."""
    baskets = Baskets(story, _samples(story), story.people.people[:INVESTORS])
    before = _money(story)
    story.sandbox.fault("place_order", "partial:0.5", count=1)
    runs = baskets.invest()
    ended = baskets.settle(runs, cancel_rest=True)
    story.sandbox.clear_faults()
    mended, repair = baskets.repair_one(ended)
    drifted, rebalance, offer = baskets.rebalance_one(runs)
    held = baskets.each(lambda api, _person: api.get("/investments")["items"])
    _print(console, baskets, ended, held)
    people = story.people.people
    console.print(f"Repaired: {people[mended].name}, {_legs(repair)}; {repair['status']}, ₹{repair['unspent']} left")
    console.print(
        f"Rebalanced by drift ({offer['drift']} off): {people[drifted].name}, {_legs(rebalance)};"
        f" {rebalance['status']}, ₹{rebalance['unspent']} left\n"
    )
    return list(_checks(baskets, ended, repair, rebalance, held, before))


def _samples(story: Story) -> list[dict[str, Any]]:
    """The smallcases that ship, once they are there."""
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        found = [case for case in story.admin.get("/smallcases")["items"] if case["min_investment"] is not None]
        if len(found) >= SAMPLES:
            return sorted(found, key=lambda case: str(case["name"]))
        time.sleep(POLL_S)
    raise CommandFailed("the smallcases that ship did not come")


def _cancel(order_id: str) -> Callable[[Api, Person], Any]:
    return lambda api, _person: api.call("DELETE", f"/orders/{order_id}")


def _legs(run: Run) -> str:
    return ", ".join(f"{leg['side'].lower()} {leg['filled_quantity']} {leg['instrument']}" for leg in run["legs"])


def _print(console: Console, baskets: Baskets, ended: Mapping[int, Run], held: Sequence[Any]) -> None:
    rows = []
    for case in baskets.cases:
        numbers = [person.number for person in baskets.people if baskets.case_of(person) is case]
        own = [ended[number] for number in numbers]
        worth = sum(paise(held[number][0]["value"]) for number in numbers)
        states = Counter(state["status"] for state in own)
        rows.append(
            (
                case["name"],
                len(case["constituents"]),
                case["min_investment"],
                len(numbers),
                f"{sum(paise(state['spent']) for state in own) / 100:,.2f}",
                f"{worth / 100:,.2f}",
                ", ".join(f"{count} {state.lower()}" for state, count in sorted(states.items())),
            )
        )
    columns = ("smallcase", "shares", "₹ minimum", "users", "₹ invested", "₹ worth", "runs")
    console.print(plain_table("Smallcases: what sixty users did with the ten that ship", columns, rows, right=1))


def _checks(
    baskets: Baskets,
    ended: Mapping[int, Run],
    repair: Run,
    rebalance: Run,
    held: Sequence[Sequence[Mapping[str, Any]]],
    before: tuple[int, int],
) -> Iterator[Check]:
    story = baskets.story
    over = [n for n, state in ended.items() if paise(state["spent"]) + paise(state["unspent"]) != _amount(baskets, n)]
    yield Check("baskets: what was spent and what is left is the amount", not over, f"{len(ended)} runs")
    yield Check("a basket was repaired", repair["status"] == "COMPLETED", repair["status"])
    yield Check("a basket was rebalanced by drift", rebalance["status"] == "COMPLETED", rebalance["status"])
    shares = story.people.each(shares_of)
    loose = [
        row
        for own, account in zip(held, shares, strict=False)
        for basket in own
        for row in basket["holdings"]
        if row["quantity"] > account.get(row["instrument"], 0)
    ]
    yield Check("no basket holds more than its user", not loose, f"{len(held)} users, {len(loose)} holdings over")
    broker = broker_totals(story.sandbox.journal())
    users: Counter[str] = Counter()
    for account in shares:
        users.update(account)
    sums = {name: count for name, count in sorted(users.items()) if count}
    yield Check("with baskets, shares: Σ users = broker", sums == broker.net(), f"{len(sums)} instruments")
    moved, paid = (now - then for now, then in zip(_money(story), before, strict=True))
    yield Check("with baskets, cash: Σ users moved as the broker's", moved == paid, f"{moved} and {paid} paise")
    report = reconcile(story.admin)
    yield Check("with baskets, reconciliation says balanced", bool(report["balanced"]), f"at {report['at']}")


def _money(story: Story) -> tuple[int, int]:
    """Paise of all users together, and paise the broker's journal says came in by fills."""
    funds = story.people.each(lambda api, _person: api.get("/funds"))
    return sum(paise(fund["cash"]) for fund in funds), broker_totals(story.sandbox.journal()).cash_paise


def _amount(baskets: Baskets, number: int) -> int:
    """Paise the person invested: whole rupees of one and a half minimums."""
    case = baskets.case_of(baskets.story.people.people[number])
    return paise(case["min_investment"]) * 3 // 200 * 100
