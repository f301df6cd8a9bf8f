"""The vocabulary of the ledger: accounts, kinds of entry, assets.

An entry moves ``amount`` (paise, or units of an instrument) of one asset into (> 0) or out of (< 0) one account of one
owner. A journal is the entries that belong together; for each asset they sum to zero. Cash the users hold is therefore
always what came from outside less what the broker and the exchange took: ``broker + charges + external`` with the
sign turned.
"""

from datetime import datetime
from typing import NamedTuple

CASH_ASSET = "INR"

HOUSE = "00000000-0000-0000-0000-000000000000"
"""Owner of the accounts that are nobody's: the broker's side, charges, suspense."""

CASH = "cash"
HELD = "held"
SECURITIES = "securities"
SECURITIES_HELD = "securities_held"
BROKER = "broker"
"""Contra of trades: what the broker took and gave."""
CHARGES = "charges"
EXTERNAL = "external"
"""Contra of deposits and withdrawals, kept per user."""
FOUND = "found"
"""Contra of what the broker account turned out to hold without an order of ours."""
SUSPENSE = "suspense"
"""What belongs to nobody yet."""

USER_ACCOUNTS = (CASH, HELD, SECURITIES, SECURITIES_HELD)
"""Never below zero."""
CONTRA_ACCOUNTS = (BROKER, CHARGES, EXTERNAL, FOUND, SUSPENSE)

MOVES_WITHIN = ("reserve", "release")
"""Kinds that only move an asset between a user's available and held accounts: not part of a statement."""


class Entry(NamedTuple):
    """One line of a journal. ``value_paise`` and ``charges_paise`` tell what a trade's line is made of."""

    journal_id: str
    owner_id: str
    account: str
    account_id: str
    asset: str
    amount: int
    kind: str
    order_id: str | None
    value_paise: int
    charges_paise: int
    at: datetime


def asset_of(instrument: str, product: str) -> str:
    """The asset that shares of ``instrument`` held as ``product`` are."""
    return f"{instrument}|{product}"


def instrument_of(asset: str) -> tuple[str, str]:
    """Instrument and product of a securities asset."""
    instrument, _, product = asset.rpartition("|")
    return instrument, product


def move(
    journal_id: str,
    owner_id: str,
    account_id: str,
    asset: str,
    amount: int,
    route: tuple[str, str],
    kind: str,
    order_id: str | None,
    at: datetime,
) -> tuple[Entry, Entry]:
    """``amount`` of an asset from one account of an owner to another: ``route`` is (source, target)."""
    source, target = route
    return (
        Entry(journal_id, owner_id, source, account_id, asset, -amount, kind, order_id, 0, 0, at),
        Entry(journal_id, owner_id, target, account_id, asset, amount, kind, order_id, 0, 0, at),
    )
