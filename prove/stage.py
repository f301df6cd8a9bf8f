"""A real executor to campaign against: PostgreSQL and its bus, a sandbox broker, a book of this process's own.

The sandbox and this process are never killed: its journal and the book here are the oracles.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from saras_common.events import CancelRequested, FundsMoved, OrderAccepted
from saras_common.testing import PostgresForTests
from trade_executor.testing.platform import Platform
from trade_executor.testing.sandbox import SandboxProcess

FUNDS_PAISE = 10**13
ENDED = frozenset({"FILLED", "CANCELLED", "REJECTED", "EXPIRED"})
NAMES = tuple(
    f"NSE:{name}"
    for name in (
        *("INFY", "TCS", "ITC", "SBIN", "RELIANCE", "WIPRO", "HCLTECH", "AXISBANK", "ICICIBANK", "HDFCBANK"),
        *("KOTAKBANK", "LT", "MARUTI", "TITAN", "NTPC", "ONGC", "COALINDIA", "BHARTIARTL", "CIPLA", "SUNPHARMA"),
        *("TATASTEEL", "HINDALCO", "JSWSTEEL", "GRASIM", "POWERGRID", "BPCL", "HEROMOTOCO", "EICHERMOT"),
    )
)
"""Instruments the sandbox lists."""


@contextmanager
def stage(**settings: Any) -> Iterator[Platform]:
    """A platform with funds whose book listens; its executor is not started."""
    with tempfile.TemporaryDirectory(prefix="saras-prove-", ignore_cleanup_errors=True) as folder:
        postgres = PostgresForTests()
        sandbox = SandboxProcess(Path(folder))
        platform = Platform(postgres.database_for("trade_executor"), sandbox, **{"reconcile_every_s": 30, **settings})
        platform.deposit(FUNDS_PAISE)
        platform.publish(
            [
                FundsMoved(
                    at=datetime.now(UTC),
                    movement_id=uuid4(),
                    user_id=uuid4(),
                    account_id="main",
                    amount_paise=FUNDS_PAISE,
                )
            ]
        )
        try:
            yield platform
        finally:
            platform.stop()
            sandbox.stop()
            postgres.stop()


def wish(order: OrderAccepted) -> CancelRequested:
    """The user wants the rest of an order cancelled."""
    return CancelRequested(at=datetime.now(UTC), order_id=order.order_id, account_id=order.account_id)


def find_doubled(journal: list[dict[str, Any]]) -> list[str]:
    """Tags under which the broker accepted more than one order."""
    tags = Counter(item["tag"] for item in journal if item["event"] == "order_accepted")
    return [f"{count} broker orders carry the tag {tag}" for tag, count in tags.items() if count > 1]


def find_unequal(platform: Platform, journal: list[dict[str, Any]], orders: list[OrderAccepted]) -> list[str]:
    """Instruments whose fills at the broker are not what the book shared out, suspense included."""
    filled, booked = _filled(journal), _booked(platform, orders)
    for name, quantity in platform.book.suspense_shares.items():
        booked[name] += quantity
    return [
        f"{name}: the broker filled {filled[name]}, the book has {booked[name]}"
        for name in filled.keys() | booked.keys()
        if filled[name] != booked[name]
    ]


def find_ahead(platform: Platform, orders: list[OrderAccepted]) -> list[str]:
    """Instruments of which the book shared out more than the broker has filled: at no moment may there be any."""
    booked = _booked(platform, orders)
    filled = _filled(platform.sandbox.journal())
    return [
        f"{name}: the broker filled {filled[name]}, the book has {booked[name]}"
        for name in booked
        if booked[name] > filled[name]
    ]


def _filled(journal: list[dict[str, Any]]) -> Counter[str]:
    filled: Counter[str] = Counter()
    for item in journal:
        if item["event"] == "fill":
            filled[f"{item['exchange']}:{item['tradingsymbol']}"] += item["quantity"]
    return filled


def _booked(platform: Platform, orders: list[OrderAccepted]) -> Counter[str]:
    booked: Counter[str] = Counter()
    for order in orders:
        booked[order.instrument] += platform.book.lines[order.order_id].filled
    return booked
