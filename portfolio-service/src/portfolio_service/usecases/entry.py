"""Place orders: many requests of many users in one transaction, each with its own answer.

Users' locks first, in order; then read, decide and write, a statement each and two waits for the database in all. A
request that is refused costs its neighbours nothing; an error of the database undoes all of them, and nothing was
answered yet.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from portfolio_service.domain.entry import Desk, Rules, ShelfKey, Wallet
from portfolio_service.domain.placed import Placed
from portfolio_service.domain.repeated import Repeated, document_of
from portfolio_service.domain.requests import EntryRequest, Outcome
from portfolio_service.domain.views import NO_CHARGES, OrderView
from portfolio_service.store import entry, orders, outbox
from portfolio_service.store.entry import Asked
from portfolio_service.store.idempotency import Kept
from saras_common.clock import trading_day
from saras_common.errors import IdempotencyKeyReused, SarasError
from saras_common.events import OrderAccepted
from saras_common.ids import NewId, texts_of


def place_orders(
    session: Session, requests: Sequence[EntryRequest], *, rules: Rules, now: datetime, new_id: NewId
) -> list[Outcome]:
    """Answer every request, in order. Orders in an answer without an error are in the book, with their holds."""
    found = entry.lock_and_read(session, _asked(requests), now, new_id)
    desk = Desk(rules, found.markets, trading_day(now))
    new_text = texts_of(new_id)
    placed: list[Placed] = []
    origins: list[str | None] = []
    answers: list[Kept] = []
    mine: dict[tuple[str, str], tuple[bytes, Outcome]] = {}
    outcomes = []
    for request in requests:
        name = (request.user_id, request.key or "")
        if name in found.kept:
            outcomes.append(_again(session, found.kept[name], request))
        elif name in mine:
            fingerprint, outcome = mine[name]
            same = fingerprint == request.fingerprint
            outcomes.append(replace(outcome, replayed=True) if same else Outcome(error=IdempotencyKeyReused()))
        else:
            outcome, made = _decide(desk, found.wallets[request.user_id], request, now, new_text)
            outcomes.append(outcome)
            placed += made
            origins += [request.request_id] * len(made)
            if request.key is not None:
                mine[name] = (request.fingerprint, outcome)
                answers.append(_kept(request, outcome))
    if placed or answers:
        entry.record(session, placed, _units(placed), answers, now)
        outbox.tell_rows(session, OrderAccepted, map(_told, placed, origins))
    return outcomes


def _asked(requests: Sequence[EntryRequest]) -> Asked:
    users, instruments, sellers, sold, choosers = (set[str]() for _ in range(5))
    for request in requests:
        users.add(request.user_id)
        for order in request.orders:
            instruments.add(order.instrument)
            if order.side == "SELL":
                sellers.add(request.user_id)
                sold.add(order.instrument)
            if order.portfolio_id is not None:
                choosers.add(request.user_id)
    keys = {(request.user_id, request.key) for request in requests if request.key is not None}
    return Asked(sorted(users), instruments, sorted(keys), sellers, sold, choosers)


def _decide(
    desk: Desk, wallet: Wallet, request: EntryRequest, now: datetime, new_text: Callable[[], str]
) -> tuple[Outcome, list[Placed]]:
    before = wallet.copy() if request.atomic else None
    items: list[OrderView | SarasError] = []
    placed: list[Placed] = []
    try:
        desk.check_user(wallet)
    except SarasError as refusal:
        return Outcome(error=refusal), []
    journal_id = new_text()
    for order in request.orders:
        try:
            accepted = desk.accept(wallet, order)
        except SarasError as refusal:
            items.append(refusal)
            continue
        made = Placed(new_text(), wallet.user_id, wallet.account_id, request.basket_id, journal_id, now, accepted)
        placed.append(made)
        items.append(_view(made))
    refusals = [(index, item) for index, item in enumerate(items) if isinstance(item, SarasError)]
    if before is not None and refusals:
        wallet.come_back_to(before)
        return Outcome(error=_of_all(refusals, len(request.orders))), []
    return Outcome(items), placed


def _of_all(refusals: Sequence[tuple[int, SarasError]], orders: int) -> SarasError:
    """One error for a request that is refused as a whole: the first refusal, naming every order at fault."""
    first = refusals[0][1]
    if orders == 1:
        return first
    errors = [{"field": f"orders.{index}", "message": f"{error.code}: {error.detail}"} for index, error in refusals]
    return type(first)(first.detail, errors=errors[:100])


def _view(made: Placed) -> OrderView:
    terms = made.accepted.terms
    return OrderView(
        made.id,
        made.user_id,
        made.accepted.portfolio_id,
        terms.instrument,
        terms.side,
        terms.order_type,
        terms.product,
        terms.quantity,
        terms.price,
        terms.trigger_price,
        terms.validity,
        "ACCEPTED",
        None,
        0,
        0,
        NO_CHARGES,
        made.basket_id,
        None,
        made.created_at,
        made.created_at,
        (),
    )


# --- writing ----------------------------------------------------------------------------------------------------


def _units(placed: Sequence[Placed]) -> dict[tuple[str, ShelfKey], int]:
    """Units that sells hold from now on, by user and shelf."""
    units: dict[tuple[str, ShelfKey], int] = {}
    for order in placed:
        accepted = order.accepted
        if accepted.hold_quantity:
            terms = accepted.terms
            shelf = (order.user_id, (accepted.portfolio_id, terms.instrument, terms.product))
            units[shelf] = units.get(shelf, 0) + accepted.hold_quantity
    return units


def _told(order: Placed, request_id: str | None) -> dict[str, Any]:
    """The fields of `OrderAccepted`."""
    accepted = order.accepted
    terms = accepted.terms
    return {
        "id": order.id,  # an order is accepted once, so its id is the event's too
        "at": order.created_at,
        "request_id": request_id,
        "order_id": order.id,
        "user_id": order.user_id,
        "account_id": order.account_id,
        "instrument": terms.instrument,
        "side": terms.side,
        "order_type": terms.order_type,
        "product": terms.product,
        "validity": terms.validity,
        "quantity": terms.quantity,
        "price_paise": terms.price,
        "trigger_price_paise": terms.trigger_price,
        "cap_price_paise": accepted.cap_price_paise,
        "house": False,
    }


# --- the same key again -----------------------------------------------------------------------------------------


def _kept(request: EntryRequest, outcome: Outcome) -> Kept:
    assert request.key is not None  # noqa: S101 - only requests with a key are kept
    body: Any
    if outcome.error is not None:
        body = document_of(outcome.error)
    else:
        body = [item.id if isinstance(item, OrderView) else document_of(item) for item in outcome.items]
    return Kept(request.user_id, request.key, request.fingerprint, 202, orjson.dumps(body))


def _again(session: Session, kept: Kept, request: EntryRequest) -> Outcome:
    if kept.fingerprint != request.fingerprint:
        return Outcome(error=IdempotencyKeyReused())
    body = orjson.loads(kept.body)
    if isinstance(body, dict):
        return Outcome(error=Repeated(body), replayed=True)
    views = orders.list_views(session, [item for item in body if isinstance(item, str)])
    items = [views[item].as_accepted() if isinstance(item, str) else Repeated(item) for item in body]
    return Outcome(items, replayed=True)
