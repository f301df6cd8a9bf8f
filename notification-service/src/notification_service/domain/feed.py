"""What a user's open streams are told: one entry an event, in the words of the public API."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from notification_service.domain.kinds import Kind
from saras_common.events import BasketRunChanged, Event, FundsMoved, OrderUpdated, RebalanceOffered, SipSkipped
from saras_common.money import average_price, rupees


class FeedKind(StrEnum):
    """What happened."""

    ORDER = "order.updated"
    FUNDS = "funds.moved"
    NOTIFICATION = "notification"
    BASKET_RUN = "basket.run_changed"
    REBALANCE = "basket.rebalance_offered"
    SIP_SKIPPED = "basket.sip_skipped"


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """Something that happened to one user. ``data`` is JSON as the client reads it: rupees, ids as text."""

    user_id: UUID
    kind: FeedKind
    at: datetime
    data: Mapping[str, Any]


def entries_of(events: Iterable[Event]) -> list[FeedEntry]:
    """The entries of ``events``, in order; what concerns no single user gives none."""
    entries = []
    for event in events:
        match event:
            case OrderUpdated():
                entries.append(FeedEntry(event.user_id, FeedKind.ORDER, event.at, _order(event)))
            case FundsMoved():
                moved = {"id": event.movement_id, "amount": rupees(event.amount_paise)}
                entries.append(FeedEntry(event.user_id, FeedKind.FUNDS, event.at, moved))
            case BasketRunChanged():
                entries.append(FeedEntry(event.user_id, FeedKind.BASKET_RUN, event.at, _run(event)))
            case RebalanceOffered():
                offer = event.model_dump(mode="json", include={"smallcase_id", "name", "cause", "version", "drift"})
                entries.append(FeedEntry(event.user_id, FeedKind.REBALANCE, event.at, offer))
            case SipSkipped():
                skipped = event.model_dump(mode="json", include={"smallcase_id", "name", "due_on", "reason"})
                skipped["id"] = str(event.sip_id)
                entries.append(FeedEntry(event.user_id, FeedKind.SIP_SKIPPED, event.at, skipped))
            case _:
                pass
    return entries


def notified(user_id: UUID, notification_id: UUID, kind: Kind, count: int, at: datetime) -> FeedEntry:
    """A notification was written, or grew: the words are in the inbox."""
    return FeedEntry(user_id, FeedKind.NOTIFICATION, at, {"id": notification_id, "kind": kind.value, "count": count})


def _order(event: OrderUpdated) -> dict[str, Any]:
    return {
        "id": event.order_id,
        "instrument": event.instrument,
        "side": event.side,
        "product": event.product,
        "quantity": event.quantity,
        "status": event.status,
        "status_reason": event.status_reason,
        "filled_quantity": event.filled_quantity,
        "average_price": average_price(event.filled_value_paise, event.filled_quantity),
        "charges_total": rupees(event.charges_paise),
        "basket_id": event.basket_id,
        "batch_id": event.batch_id,
    }


def _run(event: BasketRunChanged) -> dict[str, Any]:
    return {
        "id": event.run_id,
        "smallcase_id": event.smallcase_id,
        "name": event.name,
        "kind": event.kind,
        "status": event.status,
        "reason": event.reason,
        "spent": rupees(event.spent_paise),
        "received": rupees(event.received_paise),
        "unspent": rupees(event.unspent_paise),
    }
