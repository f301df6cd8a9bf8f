"""What an event means to a user: facts and the source that keeps them one, not yet words.

News of one source is one message. Orders of one basket run, or of one executor batch, share a source, so forty fills
are one message that grows; `fold` gives the same facts in whatever order its parts arrive.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from notification_service.domain.kinds import Kind
from saras_common.events import (
    AllocationPosted,
    BasketRunChanged,
    Event,
    ExecutionStateChanged,
    FundsMoved,
    OrderAccepted,
    OrderUpdated,
    RebalanceOffered,
    ReconciliationCompleted,
    SipSkipped,
    UserChanged,
    UserLoggedIn,
)

Facts = dict[str, Any]


@dataclass(slots=True)
class News:
    """``at`` is the event's instant; ``data`` JSON, of the shape `fold` knows."""

    user_id: UUID
    kind: Kind
    source: str
    at: datetime
    data: Facts


_ORDER_KIND: Mapping[str, Kind] = {
    "PARTIALLY_FILLED": Kind.ORDER_FILLED,
    "FILLED": Kind.ORDER_FILLED,
    "REJECTED": Kind.ORDER_REJECTED,
    "CANCELLED": Kind.ORDER_CANCELLED,
    "EXPIRED": Kind.ORDER_CANCELLED,
}
_RUN_ENDS = frozenset({"COMPLETED", "COMPLETED_ADJUSTED", "FAILED", "CANCELLED"})


def news_of(event: Event, admins: Sequence[UUID]) -> list[News]:
    """The news in ``event``; ``admins`` are told of what only they can mend."""
    if isinstance(event, ReconciliationCompleted | ExecutionStateChanged):
        return _operations(event, admins)
    tell = _TELLERS.get(type(event))
    return [] if tell is None else tell(event)


def kyc_news(event: UserChanged) -> News:
    """A user's KYC status became another."""
    return _one(event, event.user_id, Kind.KYC, f"kyc:{event.version}", {"status": event.kyc_status})


def _one(event: Event, user_id: UUID, kind: Kind, source: str, data: Facts) -> News:
    return News(user_id, kind, source, event.at, {"at": event.at.isoformat(), **data})


def _order_updated(event: OrderUpdated) -> list[News]:
    kind = _ORDER_KIND.get(event.status)
    if kind is None:
        return []
    order = {
        "at": event.at.isoformat(),
        "instrument": event.instrument,
        "side": event.side,
        "status": event.status,
        "quantity": event.quantity,
        "filled": event.filled_quantity,
        "value_paise": event.filled_value_paise,
        "charges_paise": event.charges_paise,
        "reason": event.status_reason,
    }
    source = f"{kind}:{event.basket_id or event.batch_id or event.order_id}"
    return [News(event.user_id, kind, source, event.at, {"orders": {str(event.order_id): order}})]


def _order_accepted(event: OrderAccepted) -> list[News]:
    order = {
        "at": event.at.isoformat(),
        "instrument": event.instrument,
        "side": event.side,
        "status": "ACCEPTED",
        "quantity": event.quantity,
        "filled": 0,
        "value_paise": 0,
        "charges_paise": 0,
        "reason": None,
    }
    # orders of one request carry one instant
    source = f"{Kind.ORDER_ACCEPTED}:{event.at.isoformat()}"
    return [News(event.user_id, Kind.ORDER_ACCEPTED, source, event.at, {"orders": {str(event.order_id): order}})]


def _allocated(event: AllocationPosted) -> list[News]:
    name = f"{event.side} {event.instrument}"
    found: dict[UUID, News] = {}
    for part in event.allocations:
        line = {"quantity": part.quantity, "value_paise": part.value_paise, "charges_paise": sum(part.charges)}
        news = News(
            part.user_id, Kind.ALLOCATION, f"{Kind.ALLOCATION}:{event.batch_id}", event.at, {"lines": {name: line}}
        )
        known = found.get(part.user_id)
        if known is None:
            found[part.user_id] = news
        else:
            known.data = fold(known.data, news.data)
    return list(found.values())


def _logged_in(event: UserLoggedIn) -> list[News]:
    if not event.new_device:
        return []
    data = {"address": event.address, "agent": event.agent}
    return [_one(event, event.user_id, Kind.NEW_DEVICE, f"login:{event.session_id}", data)]


def _funds_moved(event: FundsMoved) -> list[News]:
    data = {"amount_paise": event.amount_paise}
    return [_one(event, event.user_id, Kind.FUNDS, f"funds:{event.movement_id}", data)]


def _run_changed(event: BasketRunChanged) -> list[News]:
    if event.status not in _RUN_ENDS:
        return []
    data = {
        "name": event.name,
        "smallcase_id": str(event.smallcase_id),
        "run": event.kind,
        "status": event.status,
        "reason": event.reason,
        "spent_paise": event.spent_paise,
        "received_paise": event.received_paise,
        "unspent_paise": event.unspent_paise,
    }
    return [_one(event, event.user_id, Kind.BASKET, f"run:{event.run_id}", data)]


def _rebalance_offered(event: RebalanceOffered) -> list[News]:
    data = {
        "name": event.name,
        "smallcase_id": str(event.smallcase_id),
        "cause": event.cause,
        "version": event.version,
        "drift": event.drift,
    }
    return [_one(event, event.user_id, Kind.REBALANCE_OFFERED, f"rebalance:{event.id}", data)]


def _sip_skipped(event: SipSkipped) -> list[News]:
    data = {
        "name": event.name,
        "smallcase_id": str(event.smallcase_id),
        "due_on": event.due_on.isoformat(),
        "reason": event.reason,
    }
    return [_one(event, event.user_id, Kind.SIP_SKIPPED, f"sip:{event.sip_id}:{event.due_on}", data)]


def _operations(event: ReconciliationCompleted | ExecutionStateChanged, admins: Iterable[UUID]) -> list[News]:
    if isinstance(event, ReconciliationCompleted):
        if event.balanced:
            return []
        kind, source, data = Kind.RECONCILIATION, f"reconciliation:{event.reconciliation_id}", {"state": "broken"}
    else:
        kind = Kind.BROKER_LOGIN if event.state in {"login_needed", "logged_in"} else Kind.EXECUTION
        source, data = f"execution:{event.id}", {"state": event.state, "reason": event.reason or ""}
    return [_one(event, admin, kind, source, {"account_id": event.account_id, **data}) for admin in admins]


_TELLERS: Mapping[type[Event], Callable[[Any], list[News]]] = {
    OrderUpdated: _order_updated,
    OrderAccepted: _order_accepted,
    AllocationPosted: _allocated,
    FundsMoved: _funds_moved,
    UserLoggedIn: _logged_in,
    BasketRunChanged: _run_changed,
    RebalanceOffered: _rebalance_offered,
    SipSkipped: _sip_skipped,
}

_RANK = {
    status: rank
    for rank, status in enumerate(("ACCEPTED", "PARTIALLY_FILLED", "CANCELLED", "EXPIRED", "REJECTED", "FILLED"))
}


def fold(known: Facts, more: Facts) -> Facts:
    """The facts of both, whichever came first: orders by their newest state, lines summed, else the newer."""
    if "orders" in known and "orders" in more:
        return {"orders": _newest(known["orders"], more["orders"])}
    if "lines" in known and "lines" in more:
        return {"lines": _summed(known["lines"], more["lines"])}
    return max(known, more, key=lambda facts: str(facts.get("at", "")))


def size(data: Facts) -> int:
    """How many things a message is about."""
    return len(data.get("orders") or data.get("lines") or (1,))


def _newest(known: Facts, more: Facts) -> Facts:
    result = dict(known)
    for order_id, order in more.items():
        old = result.get(order_id)
        if old is None or _age(order) > _age(old):
            result[order_id] = order
    return result


def _age(order: Facts) -> tuple[int, str, int]:
    """Filled quantity never falls; where it says nothing, time and the way of an order do."""
    return order["filled"], order["at"], _RANK[order["status"]]


def _summed(known: Facts, more: Facts) -> Facts:
    result = dict(known)
    for name, line in more.items():
        old = result.get(name)
        result[name] = line if old is None else {key: old[key] + line[key] for key in line}
    return result
