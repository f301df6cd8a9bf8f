"""What the book tells of orders: fills of our own legs move baskets; a user's own sales raise a check."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from saras_common.clock import trading_day
from saras_common.events import OrderUpdated
from smallcase_service.store import checks, investments, runs
from smallcase_service.store.investments import Move
from smallcase_service.store.runs import Told, ToldLeg


def update_orders(session: Session, events: Sequence[OrderUpdated]) -> None:
    """Apply order updates, delivered in any order and any number of times: of each order the latest counts."""
    latest: dict[UUID, OrderUpdated] = {}
    for event in events:
        known = latest.get(event.order_id)
        if known is None or known.id < event.id:
            latest[event.order_id] = event
    ours = {order_id: event for order_id, event in latest.items() if event.basket_id is not None}
    if ours:
        _tell(session, ours)
    sold = [
        (event.user_id, event.instrument)
        for event in latest.values()
        if event.basket_id is None and event.side == "SELL" and event.product == "CNC" and event.filled_quantity
    ]
    if sold:
        checks.suspect(session, sold)


def _tell(session: Session, events: dict[UUID, OrderUpdated]) -> None:
    baskets = {event.basket_id for event in events.values() if event.basket_id is not None}
    legs = runs.lock_told(session, events, baskets)
    by_order = {leg.order_id: leg for leg in legs if leg.order_id is not None}
    # an order's first news may come before the book's answer to its placement was written down
    by_place = {(leg.investment_id, leg.instrument, leg.side): leg for leg in legs if leg.order_id is None}
    told: list[Told] = []
    moves: list[Move] = []
    for order_id, event in events.items():
        leg = by_order.get(order_id)
        if leg is None and event.basket_id is not None:
            leg = by_place.get((event.basket_id, event.instrument, event.side))
        if leg is None or (leg.told_by is not None and leg.told_by >= event.id):
            continue
        told.append(_told(leg, event))
        change = event.filled_quantity - leg.filled_quantity
        if change:
            signed = change if leg.side == "BUY" else -change
            moves.append(Move(leg.investment_id, leg.user_id, leg.instrument, signed))
    if told:
        runs.tell(session, told)
        investments.move(session, moves)


def _told(leg: ToldLeg, event: OrderUpdated) -> Told:
    return Told(
        leg,
        event.order_id,
        event.status,
        event.status_reason,
        event.filled_quantity,
        event.filled_value_paise,
        event.charges_paise,
        event.id,
        trading_day(event.at),
    )
