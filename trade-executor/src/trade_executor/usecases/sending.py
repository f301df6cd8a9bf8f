"""Sending a block's broker order: written ahead, checked against what was approved, and its answer recorded."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np

from saras_common.clock import day_start, trading_day
from saras_common.events import ExecutionStateChanged
from saras_common.ids import NewId
from trade_executor.broker import Answer, Because, NewOrder, Outcome
from trade_executor.core.blocks import NEEDS_PROTECTION, beyond_hold, find_protection
from trade_executor.core.book import FROZEN, REFUSED, wanted_now
from trade_executor.core.intents import committed, slices
from trade_executor.domain import BrokerOrder, Intent, IntentState
from trade_executor.store import Book, Store
from trade_executor.usecases.cancelling import settle_frozen
from trade_executor.usecases.control import plan_again
from trade_executor.usecases.posting import OVER_LIMIT, end_if_over, tell_working

BACK_OFF = timedelta(seconds=1)
"""Before a call that surely did nothing is tried again."""

LEAST_ROOM = 25
"""A hold with less than this above the price (hundredths of a percent) keeps its order out rather than narrow all."""


@dataclass(frozen=True, slots=True)
class SendRules:
    """``protection`` in hundredths of a percent, the band sent with MARKET and SL-M; limits of all users together."""

    protection: int = 300
    max_order_paise: int = 10**12
    """Of one broker order."""
    max_day_paise: int = 10**13
    """Of everything an account sends on one trading day, whatever becomes of it."""


def begin_sending(store: Store, intent_id: UUID, *, epoch: int, now: datetime, rules: SendRules) -> NewOrder | None:
    """Commit to sending an intent: SENDING with tag and epoch, before the call; ``None`` when it may not be sent.

    In this same transaction: the account may send, and what all broker orders of the block may fill stays within what
    its users still stand for.
    """
    intent = store.get_intent(intent_id)
    account = store.get_account(intent.account_id)
    if intent.state is not IntentState.PLANNED or not account.may_send or (intent.not_before or now) > now:
        return None
    book = store.get_book(intent.block_id)
    marks = store.find_marks([book.block.key.instrument])
    book = _keep_out(store, book, marks.get(book.block.key.instrument), blocked=account.blocked)
    orders = {order.intent_id: order.committed for order in store.list_broker_orders(book.block.id)}
    others = [other for other in store.list_intents(book.block.id) if other.id != intent.id]
    wanted = int(wanted_now(book.statement, book.shares).sum())
    quantity = min(min(wanted, book.block.quantity) - committed(others, orders), intent.quantity)
    if quantity <= 0:
        store.save_intent(intent.moved(IntentState.WITHDRAWN, reason="nothing left to send"))
        end_if_over(store, settle_frozen(store, book, now=now), now=now)
        return None
    value = quantity * _price(book, marks.get(book.block.key.instrument))
    if value > rules.max_order_paise or value + store.sum_calls(account.id, day_start(now)) > rules.max_day_paise:
        store.save_intent(intent.moved(IntentState.WITHDRAWN, reason=OVER_LIMIT))
        end_if_over(store, book, now=now)
        return None
    sending = intent.moved(IntentState.SENDING, quantity=quantity, epoch=epoch, sending_at=now, not_before=None)
    store.save_intent(sending)
    store.log_call(intent.account_id, now, value)
    return _new_order(book, sending, marks.get(book.block.key.instrument), rules)


def _price(book: Book, mark: int | None) -> int:
    """Paise a lot may cost, for limits: the block's own price, else what its users' holds allow, else the last one."""
    key = book.block.key
    return key.price_paise or int(book.statement.caps_paise.max()) or max(mark or 0, key.trigger_price_paise or 0)


def _keep_out(store: Store, book: Book, mark: int | None, *, blocked: frozenset[str]) -> Book:
    """Freeze orders whose hold no longer covers the price, and all buys of a blocked instrument."""
    block = book.block
    out = beyond_hold(block.key, book.statement, mark, LEAST_ROOM)
    if block.is_buy and block.key.instrument in blocked and not block.filled:
        out = np.ones(len(book.statement), np.bool_)
    rows = np.flatnonzero(out & ~book.shares.has(FROZEN))
    if len(rows) == 0:
        return book
    shares = book.shares.flagged(rows, FROZEN | REFUSED)
    store.save_shares(block.id, shares)
    return replace(book, shares=shares)


def _new_order(book: Book, intent: Intent, mark: int | None, rules: SendRules) -> NewOrder:
    key = book.block.key
    protection = None
    if key.order_type in NEEDS_PROTECTION:
        protection = find_protection(book.block, book.statement, ~book.shares.has(FROZEN), mark, rules.protection)
    return NewOrder(
        tag=intent.tag,
        instrument=key.instrument,
        side=key.side,
        product=key.product,
        order_type=key.order_type,
        validity=key.validity,
        quantity=intent.quantity,
        price_paise=key.price_paise,
        trigger_price_paise=key.trigger_price_paise,
        protection=protection,
    )


def record_answer(
    store: Store, intent_id: UUID, answer: Answer, *, epoch: int, now: datetime, new_id: NewId
) -> IntentState:
    """What the call came to; the intent's state afterwards.

    What was too large for one order at the exchange is planned again in slices. Does nothing when somebody else has
    resolved the intent meanwhile.
    """
    intent = store.get_intent(intent_id)
    if intent.state is not IntentState.SENDING or intent.epoch != epoch:
        return intent.state
    if answer.outcome is Outcome.REGISTERED and answer.order_id is not None:
        return place_in_book(store, intent, answer.order_id, IntentState.SENT, now=now).state
    if answer.outcome is Outcome.NO and answer.because is Because.REFUSED:
        intent = intent.moved(IntentState.REFUSED, reason=answer.message)
        store.save_intent(intent)
        if smaller := slices(intent.quantity, answer.message or ""):
            plan_again(store, intent, smaller, new_id=new_id)
        end_if_over(store, store.get_book(intent.block_id), now=now)
        return intent.state
    if answer.outcome in {Outcome.NO, Outcome.NOT_SENT}:
        intent = intent.moved(IntentState.PLANNED, not_before=now + BACK_OFF, reason=answer.message)
        store.save_intent(intent)
        return intent.state
    intent = intent.moved(IntentState.UNKNOWN, reason=answer.message)
    store.save_intent(intent)
    return intent.state


def place_in_book(store: Store, intent: Intent, order_id: str, state: IntentState, *, now: datetime) -> Intent:
    """The broker has the order: join its id to the intent and tell its users that it works."""
    placed = intent.moved(state, broker_order_id=order_id)
    store.save_intent(placed)
    store.add_broker_order(
        BrokerOrder(intent.account_id, order_id, intent.id, intent.block_id, intent.quantity, trading_day(now))
    )
    book = store.get_book(intent.block_id)
    tell_working(store, book, now=now)
    batch = store.get_batch(book.block.batch_id)
    store.save_batch(replace(batch, broker_orders=batch.broker_orders + 1))
    return placed


def note_login_needed(store: Store, account_id: str, version: int, *, now: datetime) -> None:
    """The broker refuses the login: everything not sent stays planned until somebody logs in again."""
    if store.end_session(account_id, version):
        store.emit([ExecutionStateChanged(at=now, account_id=account_id, state="login_needed")])
