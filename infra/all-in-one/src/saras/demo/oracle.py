"""What the broker's journal alone says must be in the books: shares, money and charges. Pure, paise and whole shares.

It knows nothing of the executor: it reads fills, charges each broker order over its fills by the dated table, adds the
depository's fee once for each instrument and selling day, and sums up.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from saras.demo.market import paise
from saras_common.charges import has_dp_charge, order_charges
from saras_common.clock import trading_day

ORDER_CAME = frozenset({"order_accepted", "order_rejected"})
"""Journal events by which an order enters the broker's book."""


@dataclass
class BrokerTotals:
    """Sums over a whole journal."""

    bought: Counter[str] = field(default_factory=Counter)
    sold: Counter[str] = field(default_factory=Counter)
    cash_paise: int = 0
    charges_paise: int = 0
    orders: int = 0
    repeated_tags: list[str] = field(default_factory=list)
    repeated_trades: list[str] = field(default_factory=list)

    def net(self) -> dict[str, int]:
        """Shares by instrument, none left out but those at zero."""
        names = self.bought.keys() | self.sold.keys()
        return {name: net for name in sorted(names) if (net := self.bought[name] - self.sold[name])}


@dataclass
class BrokerOrderTotals:
    """One broker order's fills: value in paise, charges by kind in the order of `saras_common.charges.KINDS`."""

    name: str
    side: str
    product: str
    quantity: int
    value_paise: int
    charges: tuple[int, ...]


@dataclass
class UserBook:
    """What one user must have from fills alone: money (< 0 spent) and shares by instrument."""

    cash_paise: int = 0
    charges_paise: int = 0
    shares: Counter[str] = field(default_factory=Counter)


def broker_orders(journal: Iterable[Mapping[str, Any]]) -> dict[str, BrokerOrderTotals]:
    """Every broker order with fills, by id. The depository's fee is on the first sale of an instrument and day."""
    filled: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for item in journal:
        if item["event"] == "fill":
            filled[item["order_id"]].append(item)
    selling_days: set[tuple[str, str]] = set()
    return {order_id: _order_totals(fills, selling_days) for order_id, fills in filled.items()}


def _order_totals(fills: Sequence[Mapping[str, Any]], selling_days: set[tuple[str, str]]) -> BrokerOrderTotals:
    first = fills[0]
    name = f"{first['exchange']}:{first['tradingsymbol']}"
    side, product = first["transaction_type"], first["product"]
    day = trading_day(datetime.fromisoformat(first["at"]))
    value = sum(fill["quantity"] * paise(fill["price"]) for fill in fills)
    pays_depository = has_dp_charge(product, side) and (name, str(day)) not in selling_days
    if pays_depository:
        selling_days.add((name, str(day)))
    charges = order_charges(first["exchange"], product, side, value, day, dp=pays_depository)
    quantity = sum(fill["quantity"] for fill in fills)
    return BrokerOrderTotals(name, side, product, quantity, value, charges.as_tuple())


def broker_totals(journal: Sequence[Mapping[str, Any]]) -> BrokerTotals:
    """The sums of ``journal``, the items of ``GET /sandbox/journal``."""
    tags = Counter(item["tag"] or f"untagged {item['order_id']}" for item in journal if item["event"] in ORDER_CAME)
    trades = Counter(item["trade_id"] for item in journal if item["event"] == "fill")
    totals = BrokerTotals(
        orders=tags.total(),
        repeated_tags=[tag for tag, count in tags.items() if count > 1],
        repeated_trades=[trade for trade, count in trades.items() if count > 1],
    )
    for order in broker_orders(journal).values():
        is_buy, charges = order.side == "BUY", sum(order.charges)
        (totals.bought if is_buy else totals.sold)[order.name] += order.quantity
        totals.charges_paise += charges
        totals.cash_paise += (-order.value_paise if is_buy else order.value_paise) - charges
    return totals


def user_books(
    journal: Sequence[Mapping[str, Any]], batches: Iterable[Mapping[str, Any]]
) -> defaultdict[str, UserBook]:
    """Every user's book to the paisa, from the journal's money and the shares each block allocated.

    Of each block everybody pays one price: the broker's value is shared by shares, each kind of charge by value, both
    by largest remainder, ties in the order in which the block lists its orders.
    """
    totals = broker_orders(journal)
    books: defaultdict[str, UserBook] = defaultdict(UserBook)
    for block in [block for batch in batches for block in batch["blocks"]]:
        orders = [totals[order_id] for order_id in block["broker_order_ids"] if order_id in totals]
        if not orders:
            continue
        rows = block["allocations"]
        lots = [row["allocated"] for row in rows]
        values = largest_remainder(sum(order.value_paise for order in orders), lots)
        kinds = [sum(kind) for kind in zip(*(order.charges for order in orders), strict=True)]
        shared = [largest_remainder(kind, values) for kind in kinds]
        sign = 1 if orders[0].side == "BUY" else -1
        for row, got, value, *charges in zip(rows, lots, values, *shared, strict=True):
            book = books[row["user_id"]]
            book.cash_paise -= sign * value + sum(charges)
            book.charges_paise += sum(charges)
            book.shares[block["instrument"]] += sign * got
    return books


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """``total`` in whole parts by weight: floors, then one each by the largest remainder, the earlier first."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in order[: total - sum(parts)]:
        parts[index] += 1
    return parts
