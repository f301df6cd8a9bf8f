"""Does everything balance? Each check compares two things that came different ways."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saras.client import Api
from saras.commands import fetch_batch, reconcile
from saras.demo.market import paise
from saras.demo.oracle import ORDER_CAME, BrokerTotals, broker_totals, user_books
from saras.demo.people import Person
from saras.demo.story import DEPOSIT, ENDED, Story, items
from saras.verify import verify_batch

NO_ANSWER = 0
"""Status in the sandbox's log of a call whose connection was cut."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so."""

    what: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything looked at, fetched once. Per user, by id: money in paise, shares by instrument."""

    orders: list[dict[str, Any]]
    batches: list[dict[str, Any]]
    cash_paise: dict[str, int]
    held_paise: dict[str, int]
    shares: dict[str, dict[str, int]]
    journal: list[dict[str, Any]]
    broker: BrokerTotals
    reconciliation: Mapping[str, Any]
    lost: list[dict[str, Any]]


def collect(story: Story) -> Evidence:
    """Ask the platform and the sandbox for everything."""
    ids = [person.id for person in story.people.people]
    funds = dict(zip(ids, story.people.each(lambda api, _person: api.get("/funds")), strict=True))
    journal = story.sandbox.journal()
    return Evidence(
        orders=[order for window in story.windows for order in story.orders_of(window)],
        batches=[story.admin.get(f"/admin/batches/{window.batch_id}") for window in story.windows],
        cash_paise={user: paise(fund["cash"]) for user, fund in funds.items()},
        held_paise={user: paise(fund["held"]) for user, fund in funds.items()},
        shares=dict(zip(ids, story.people.each(shares_of), strict=True)),
        journal=journal,
        broker=broker_totals(journal),
        reconciliation=reconcile(story.admin),
        lost=_lost_orders(story.sandbox.calls("place_order"), journal),
    )


def _lost_orders(calls: Sequence[Mapping[str, Any]], journal: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Orders the broker took without an answer: its n-th call that came in is the book's n-th order."""
    taken = [call["status"] == NO_ANSWER for call in calls if call["status"] in {NO_ANSWER, 200}]
    came = [item for item in journal if item["event"] in ORDER_CAME]
    return [item for is_lost, item in zip(taken, came, strict=False) if is_lost]


def shares_of(api: Api, _person: Person) -> dict[str, int]:
    """A user's shares of every product, by instrument, none at zero."""
    found: Counter[str] = Counter()
    for item in items(api.get("/holdings")):
        found[item["instrument"]] += item["quantity"]
    for item in items(api.get("/positions")):
        if item["product"] != "CNC":
            found[item["instrument"]] += item["quantity"]
    return {name: count for name, count in found.items() if count}


def prove(story: Story, seen: Evidence) -> list[Check]:
    """Every check, good or bad."""
    return [
        *_order_checks(story, seen),
        *_book_checks(seen),
        *_user_checks(seen),
        *_block_checks(seen.batches),
        *_reconciliation_checks(seen.reconciliation),
        *_certificate_checks(story, seen.batches),
    ]


def _order_checks(story: Story, seen: Evidence) -> Iterator[Check]:
    placed = sum(len(window.orders) for window in story.windows)
    yield _same("orders accepted = orders found again", placed, len(seen.orders))
    still = [order["id"] for order in seen.orders if order["status"] not in ENDED]
    yield Check("every order has ended", not still, f"{len(still)} still open")
    wrong = [o["id"] for o in seen.orders if (o["status"] == "FILLED") != (o["filled_quantity"] == o["quantity"])]
    yield Check("filled means all of it, and only that", not wrong, f"{len(wrong)} orders disagree")


def _book_checks(seen: Evidence) -> Iterator[Check]:
    broker = seen.broker
    yield Check("one broker order per tag", not broker.repeated_tags, f"{broker.orders} orders, all tags different")
    known = {order_id for b in seen.batches for block in b["blocks"] for order_id in block["broker_order_ids"]}
    adopted = [item for item in seen.lost if item["order_id"] in known]
    found = f"{len(adopted)} of {len(seen.lost)} found by tag"
    yield Check("orders whose answer was lost are ours again", bool(adopted) and len(adopted) == len(seen.lost), found)
    yield _same("broker orders = those of our batches", broker.orders, sum(b["broker_orders"] for b in seen.batches))
    yield Check("no trade counted twice", not broker.repeated_trades, "trade ids all different")
    for side, filled in (("BUY", broker.bought), ("SELL", broker.sold)):
        ours: Counter[str] = Counter()
        for order in seen.orders:
            if order["side"] == side and order["filled_quantity"]:
                ours[order["instrument"]] += order["filled_quantity"]
        yield Check(
            f"{side} fills: Σ users = broker, every instrument", ours == filled, f"{sum(filled.values())} shares"
        )
    users: Counter[str] = Counter()
    for held in seen.shares.values():
        users.update(held)
    sums = {name: count for name, count in sorted(users.items()) if count}
    yield Check("shares: Σ users = broker, every instrument", sums == broker.net(), f"{len(sums)} instruments")
    expected = len(seen.cash_paise) * paise(DEPOSIT) + broker.cash_paise
    yield _same("cash: Σ users = deposits + broker's money, in paise", expected, sum(seen.cash_paise.values()))
    yield _same("charges: Σ users = the broker's, in paise", broker.charges_paise, _charges(seen.orders))
    yield _same("nothing is held any more", 0, sum(seen.held_paise.values()))


def _user_checks(seen: Evidence) -> Iterator[Check]:
    """Each user's book, recomputed from the broker's journal and what the blocks allocated."""
    books = user_books(seen.journal, seen.batches)
    money = [user for user, cash in seen.cash_paise.items() if cash != paise(DEPOSIT) + books[user].cash_paise]
    yield Check("every user's cash, to the paisa", not money, f"{len(seen.cash_paise)} users, {len(money)} differ")
    shares = [user for user, held in seen.shares.items() if held != {n: c for n, c in books[user].shares.items() if c}]
    yield Check("every user's shares", not shares, f"{len(seen.shares)} users, {len(shares)} differ")


def _charges(orders: Sequence[Mapping[str, Any]]) -> int:
    return sum(paise(order["charges"]["total"]) for order in orders)


def _block_checks(batches: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    blocks = [block for batch in batches for block in batch["blocks"]]
    short = [b["id"] for b in blocks if sum(a["allocated"] for a in b["allocations"]) != b["filled_quantity"]]
    yield Check("every fill is allocated, none twice", not short, f"{len(blocks)} blocks")
    over = [a for b in blocks for a in b["allocations"] if not 0 <= a["allocated"] <= a["requested"]]
    yield Check("nobody got more than asked", not over, f"{len(over)} allocations")


def _reconciliation_checks(report: Mapping[str, Any]) -> Iterator[Check]:
    off = [row["instrument"] for row in report["instruments"] if row["difference"] != 0]
    yield Check("reconciliation, shares", not off, f"{len(report['instruments'])} instruments, {len(off)} differ")
    cash = report["cash"]["difference"]
    yield Check("reconciliation, cash", paise(cash) == 0, f"difference ₹{cash}")
    yield Check("reconciliation says balanced", bool(report["balanced"]), f"at {report['at']}")


def _certificate_checks(story: Story, batches: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    for window, batch in zip(story.windows, batches, strict=True):
        verdicts = verify_batch(*fetch_batch(story.admin, batch["id"]))
        bad = [f"{verdict.instrument}: {verdict.why}" for verdict in verdicts if not verdict.ok]
        detail = bad[0] if bad else f"{len(verdicts)} blocks recomputed"
        yield Check(f"certificates of {window.name}", bool(verdicts) and not bad, detail)


def _same(what: str, expected: int, found: int) -> Check:
    return Check(what, expected == found, f"{found}" if expected == found else f"expected {expected}, found {found}")
