"""Cutting a block's broker orders to what is still wanted: decided afresh from the present state, again and again.

Level-triggered: whatever was asked before, if the orders alive could fill more than anybody wants, the latest of them
is made smaller, or cancelled when nothing of it is left. Asking again waits until the last answer could have shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trade_executor.domain import BrokerOrder

MAX_MODIFICATIONS = 24
"""The broker takes 25 for an order; past these only a cancellation helps."""

ASK_AGAIN = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Cut:
    """Make ``order`` stand for ``quantity`` lots in all; ``None`` cancels the rest of it."""

    order: BrokerOrder
    quantity: int | None


def decide(excess: int, orders: Sequence[BrokerOrder], now: datetime) -> list[Cut]:
    """Cuts that take ``excess`` lots off the orders alive, newest first."""
    cuts: list[Cut] = []
    for order in sorted(orders, key=lambda order: order.broker_order_id, reverse=True):
        open_lots = order.quantity - order.filled
        if excess <= 0:
            break
        if order.end is not None or open_lots <= 0:
            continue
        taken = min(excess, open_lots)
        excess -= taken
        target = order.quantity - taken
        asked_lately = order.cut_at is not None and now - order.cut_at < ASK_AGAIN
        if asked_lately and order.cut_to is not None and order.cut_to <= target:
            continue
        if target <= order.filled:
            cuts.append(Cut(order, None))
        elif order.modifications < MAX_MODIFICATIONS:
            cuts.append(Cut(order, target))
    return cuts
