"""What the platform answers, as tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text


def plain_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: int = 99) -> Table:
    """A table whose columns from number ``right`` on are figures."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for position, name in enumerate(columns):
        table.add_column(name, justify="right" if position >= right else "left")
    for row in rows:
        table.add_row(*(Text("-" if cell is None else str(cell)) for cell in row))
    return table


def batch_table(batch: Mapping[str, Any]) -> Table:
    """The blocks of one batch."""
    saved = batch.get("saved") or {}
    title = (
        f"Batch {batch['id']}: {batch['status']} ({batch['reason']}), {batch['user_orders']} orders in, "
        f"{batch['broker_orders']} broker orders out"
        + (f", saved {saved['orders']} orders, ₹{saved['rupees']}, {saved['seconds']} s" if saved else "")
    )
    columns = ("instrument", "side", "orders", "quantity", "filled", "average", "value", "charges", "broker orders")
    rows = [
        (
            block["instrument"],
            block["side"],
            len(block.get("allocations") or ()),
            block["quantity"],
            block["filled_quantity"],
            block["average_price"],
            block["value"],
            _total(block["charges"]),
            ", ".join(block["broker_order_ids"]),
        )
        for block in batch["blocks"]
    ]
    return plain_table(title, columns, rows, right=2)


def reconciliation_tables(report: Mapping[str, Any]) -> list[Table]:
    """Instruments and cash, users against broker."""
    columns = ("users", "unallocated", "broker", "difference")
    instruments = [(row["instrument"], *(row[name] for name in columns)) for row in report["instruments"]]
    cash = report["cash"]
    word = "balanced" if report["balanced"] else "NOT BALANCED"
    return [
        plain_table(f"Shares, {report['at']}: {word}", ("instrument", *columns), instruments, right=1),
        plain_table("Cash, ₹", columns, [tuple(cash[name] for name in columns)], right=0),
    ]


def execution_tables(state: Mapping[str, Any]) -> list[Table]:
    """The state of the executor, field by field, a table a broker account."""
    platform = [(name.replace("_", " "), state[name]) for name in ("mode", "market_open")]
    return [
        plain_table(f"Broker account {account['id']}", ("what", "now"), [*platform, *_flat(account)])
        for account in state["accounts"]
    ]


def _flat(state: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in state.items():
        label = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, list):
            value = ", ".join(map(str, value)) or None  # noqa: PLW2901 - the same figure, readable
        rows += _flat(value, f"{label} ") if isinstance(value, dict) else [(label, value)]
    return rows


def _total(charges: Any) -> Any:
    return charges.get("total") if isinstance(charges, dict) else charges
