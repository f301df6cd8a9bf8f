"""Requests of the administrator that wait for somebody: a reconciliation, a login, a price."""

import time
from typing import Any
from uuid import UUID

from saras_common.errors import NotFound
from trade_executor.broker import Quote
from trade_executor.domain import Intent, IntentState
from trade_executor.market import NotInSandbox, tell_marks
from trade_executor.store.postgres import PostgresStore
from trade_executor.usecases import control, viewing
from trade_executor.usecases.context import BookSilent, Context

WAIT_S = 15.0
LOOK_EVERY_S = 0.05


def run_reconciliation(context: Context, account_id: str) -> dict[str, Any]:
    """Ask the leader for a reconciliation and wait for its report; `BookSilent` when it does not come."""
    with context.transactions() as store:
        last = store.find_last_reconciliation(account_id)
        store.request_reconciliation(account_id)
        store.wake(account_id)
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
        with context.transactions() as store:
            found = store.find_last_reconciliation(account_id)
        if found is not None and found.report is not None and (last is None or found.id != last.id):
            return viewing.view_report(found.report, found.at, account_id)
    raise BookSilent(retry_after_s=2)


def log_in(context: Context, account_id: str | None, request_token: str) -> None:
    """Exchange a request token and keep the session; what waited for it is sent."""
    door = context.get_door(account_id)
    sealed = door.log_in(request_token)
    now = context.clock.now()
    with context.transactions() as store:
        control.log_in(store, door.account_id, sealed, expires_at=context.session_ends_at(now), now=now)


def set_mark(context: Context, instrument: str, price_paise: int) -> None:
    """Set the sandbox's price of an instrument and tell the platform at once."""
    if context.set_price is None:
        raise NotInSandbox
    with context.transactions() as store:
        if store.find_instrument(instrument) is None:
            raise NotFound("No such instrument")
        before = store.find_quotes([instrument]).get(instrument)
    context.set_price(instrument, price_paise)
    with context.transactions() as store:
        tell_marks(store, {instrument: Quote(price_paise, before[1] if before else None)}, context.clock)
        for account_id in context.doors:
            store.hint(account_id)


def take_postback(context: Context, order_id: str, timestamp: str, checksum: str) -> bool:
    """Whether a postback is genuine; if so its account's leader reads the broker. Nothing else of it is believed."""
    genuine = [door for door in context.doors.values() if door.is_genuine(order_id, timestamp, checksum)]
    if genuine:
        with context.transactions() as store:
            for door in genuine:
                store.hint(door.account_id)
    return bool(genuine)


def resolve_by_hand(context: Context, tag: str, *, placed: bool) -> Intent:
    """An operator's verdict on an order left to a person.

    Not placed: it is planned again under another tag. Placed: it stays in doubt until the order book shows it, and
    nothing is sent for it meanwhile.
    """
    with context.transactions() as store:
        intent = _get_by_tag(store, tag)
        if intent.state is not IntentState.OPERATOR:
            raise NotFound("No order with this tag waits for a person")
        if placed:
            return intent
        absent = intent.moved(IntentState.ABSENT_CONFIRMED, reason="declared absent by an operator")
        store.save_intent(absent)
        control.plan_again(store, absent, new_id=context.new_id)
        store.wake(intent.account_id)
        return absent


def _get_by_tag(store: PostgresStore, tag: str) -> Intent:
    intent_id: UUID | None = store.find_intent_id(tag)
    if intent_id is None:
        raise NotFound("No order with this tag waits for a person")
    return store.get_intent(intent_id)
