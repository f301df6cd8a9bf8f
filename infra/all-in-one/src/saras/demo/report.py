"""The demo's findings on the terminal."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from rich.console import Console

from saras.demo.proof import Check, Evidence
from saras.demo.story import Story
from saras.tables import plain_table, reconciliation_tables

STATEMENT_ROWS = 12


def print_batches(console: Console, story: Story, batches: Sequence[Mapping[str, Any]]) -> None:
    """Orders in, broker orders out, and what that saved."""
    rows = [
        (
            window.name,
            batch["user_orders"],
            batch["broker_orders"],
            batch["saved"]["orders"],
            batch["saved"]["rupees"],
            batch["saved"]["seconds"],
            sum(block["quantity"] for block in batch["blocks"]),
            sum(block["filled_quantity"] for block in batch["blocks"]),
        )
        for window, batch in zip(story.windows, batches, strict=True)
    ]
    columns = ("window", "in", "out", "saved", "₹ saved", "s saved", "shares", "filled")
    console.print(
        plain_table("Batches: users' orders in, broker orders out, and what that saved", columns, rows, right=1)
    )


def print_fairness(console: Console, batches: Sequence[Mapping[str, Any]]) -> None:
    """How evenly the partly filled blocks were shared. Whoever cancelled early kept less; credit is what was owed."""
    rows = [
        (block["instrument"], *_spread(block))
        for batch in batches
        for block in batch["blocks"]
        if 0 < block["filled_quantity"] < block["quantity"]
    ]
    columns = ("block", "orders", "asked", "filled", "part", "least", "most", "credit")
    console.print(plain_table("Fairness: each order's part of a partly filled block", columns, rows, right=1))


def _spread(block: Mapping[str, Any]) -> tuple[Any, ...]:
    rows = block["allocations"]
    parts = [Fraction(row["allocated"], row["requested"]) for row in rows]
    owed = [Fraction(row["credit"]) for row in rows]
    return (
        len(rows),
        block["quantity"],
        block["filled_quantity"],
        _percent(Fraction(block["filled_quantity"], block["quantity"])),
        _percent(min(parts)),
        _percent(max(parts)),
        f"{float(min(owed)):+.2f} … {float(max(owed)):+.2f}",
    )


def print_credits(console: Console, batches: Sequence[Mapping[str, Any]]) -> None:
    """What earlier blocks owed when later ones were planned, in shares."""
    owed = [Fraction(row["credit"]) for b in batches for block in b["blocks"] for row in block["allocations"]]
    carried = [credit for credit in owed if credit]
    if carried:
        least, most = float(min(carried)), float(max(carried))
        console.print(
            f"[bold]Credits[/]  {len(carried)} orders went into their block with a credit from an earlier one, "
            f"between {least:+.2f} and {most:+.2f} shares.\n",
            highlight=False,
        )


def print_fault(console: Console, seen: Evidence) -> None:
    """The broker order whose answer never came."""
    for item in seen.lost:
        name = f"{item['exchange']}:{item['tradingsymbol']}"
        console.print(
            f"[bold]Injected fault[/]  The broker took {item['transaction_type']} {item['quantity']} {name} and its "
            f"answer never came. It was not sent again: the executor found its tag {item['tag']} in the broker's "
            f"order book and adopted order {item['order_id']}.\n",
            highlight=False,
        )


def print_statements(console: Console, story: Story, count: int = 3) -> None:
    """The ledger as the first few users see it."""
    for person in story.people.people[:count]:
        lines = story.people.each(lambda api, _person: list(api.pages("/transactions")), [person])[0]
        shown = lines[:STATEMENT_ROWS]
        names = [name for name in (shown[0] if shown else {}) if name not in {"id", "order_id", "portfolio_id"}]
        rows = [tuple(_brief(line.get(name)) for name in names) for line in shown]
        title = f"{person.name}: {len(lines)} entries, the first {len(shown)}"
        console.print(plain_table(title, names, rows))


def print_reconciliation(console: Console, seen: Evidence) -> None:
    """Users against broker."""
    for table in reconciliation_tables(seen.reconciliation):
        console.print(table)


def print_checks(console: Console, checks: Sequence[Check]) -> None:
    """Every check with its verdict."""
    rows = [("ok" if check.ok else "WRONG", check.what, check.detail) for check in checks]
    console.print(plain_table("Does it balance?", ("", "check", "seen"), rows))


def _percent(part: Fraction) -> str:
    return f"{float(part * 100):.1f} %"


def _brief(value: Any) -> Any:
    return value[11:19] if isinstance(value, str) and value.endswith("Z") else value
