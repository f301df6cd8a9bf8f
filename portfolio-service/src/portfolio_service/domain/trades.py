"""Trades of one user from two places: what this platform executed, and what the user recorded of elsewhere."""

from collections.abc import Sequence
from datetime import datetime
from heapq import merge
from typing import NamedTuple
from uuid import UUID

PLATFORM = "platform"
ELSEWHERE = "elsewhere"


class TradeView(NamedTuple):
    """A trade. What was done elsewhere has no order, product or charges here."""

    id: str
    order_id: str | None
    instrument: str
    product: str | None
    side: str
    kind: str
    quantity: int
    value_paise: int
    charges_paise: int | None
    traded_at: datetime
    source: str


class Position(NamedTuple):
    """Where a reader goes on: the entry and the record it sees next, each of its own list."""

    entry_id: int
    recorded_id: UUID | None


FIRST = Position(2**63 - 1, None)
"""Before any entry and any record there will ever be."""

_NO_ENTRY = 0
_NO_RECORD = UUID(int=0)


def page_of(
    executed: Sequence[TradeView], recorded: Sequence[TradeView], limit: int
) -> tuple[list[TradeView], Position | None]:
    """The next ``limit`` trades, and where to go on; ``None`` at the end of both lists.

    Each list comes newest first, and one longer than the page where it can be. Going on at the next of each list, and
    not after the last of each, keeps out what is newer than the page but was not there when it was read.
    """
    page = list(merge(executed, recorded, key=lambda trade: trade.traded_at, reverse=True))[:limit]
    here = sum(trade.source == PLATFORM for trade in page)
    next_executed, next_recorded = executed[here : here + 1], recorded[len(page) - here :][:1]
    if not next_executed and not next_recorded:
        return page, None
    return page, Position(
        int(next_executed[0].id) if next_executed else _NO_ENTRY,
        UUID(next_recorded[0].id) if next_recorded else _NO_RECORD,
    )
