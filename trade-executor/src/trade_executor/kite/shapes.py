"""Between the broker's JSON and ours: exact prices, Indian time, protection bands."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from saras_common.clock import IST
from trade_executor.broker import (
    BookOrder,
    Listed,
    NewOrder,
    Trade,
)

PROTECTED = frozenset({"MARKET", "SL-M"})
AUTOMATIC_PROTECTION = -1


def protection(order: NewOrder) -> Decimal | int | None:
    """Percent, exact; automatic when no band is set. Without it the broker refuses MARKET and SL-M."""
    if order.order_type not in PROTECTED:
        return None
    if not order.protection:
        return AUTOMATIC_PROTECTION
    percent = Decimal(order.protection) / 100
    return int(percent) if percent == int(percent) else percent


def rupees(paise: int | None) -> Decimal | None:
    """Exact rupees, as the form holds them."""
    return None if paise is None else Decimal(paise) / 100


def paise(rupees: Any) -> int:
    """Paise of a price or amount, part paise (averages) rounded half up."""
    return int((Decimal(str(rupees)) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def _at(value: Any) -> datetime:
    """The broker's naive Indian time, which the SDK may have parsed, as an instant."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=IST)).astimezone(UTC)


def book_order(row: Mapping[str, Any]) -> BookOrder:
    """A row of the order book."""
    return BookOrder(
        order_id=str(row["order_id"]),
        instrument=f"{row['exchange']}:{row['tradingsymbol']}",
        side=row["transaction_type"],
        product=row["product"],
        status=row["status"],
        quantity=int(row["quantity"]),
        filled=int(row["filled_quantity"]),
        tag=row.get("tag"),
        tags=tuple(row.get("tags") or ()),
        modified=bool(row.get("modified")),
        message=row.get("status_message"),
    )


def trade(row: Mapping[str, Any]) -> Trade:
    """A row of the trade book."""
    quantity = int(row["quantity"])
    return Trade(
        trade_id=str(row["trade_id"]),
        order_id=str(row["order_id"]),
        instrument=f"{row['exchange']}:{row['tradingsymbol']}",
        side=row["transaction_type"],
        product=row["product"],
        quantity=quantity,
        value_paise=paise(Decimal(str(row["average_price"])) * quantity),
        traded_at=_at(row.get("fill_timestamp") or row["exchange_timestamp"]),
    )


def is_equity(row: Mapping[str, Any]) -> bool:
    """A share of either exchange: indices and derivatives are not traded here."""
    return row["exchange"] in {"NSE", "BSE"} and row.get("segment", row["exchange"]) in {"NSE", "BSE"}


def listed(row: Mapping[str, Any]) -> Listed:
    """A row of the instrument list."""
    return Listed(
        instrument=f"{row['exchange']}:{row['tradingsymbol']}",
        token=int(row["instrument_token"]),
        name=str(row.get("name") or row["tradingsymbol"])[:200],
        tick_paise=max(1, paise(row["tick_size"])),
        lot_size=max(1, int(row["lot_size"])),
        kind=str(row.get("instrument_type") or "EQ"),
    )
