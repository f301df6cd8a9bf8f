"""Place orders: many requests of many users in one transaction, each with its own answer.

Users' locks first, in order; then read, decide, and write each table in one statement. A request that is refused
costs its neighbours nothing; an error of the database undoes all of them, and nothing was answered yet.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from portfolio_service.domain.entry import Accepted, Desk, Rules, Wallet
from portfolio_service.domain.ledger import (
    CASH,
    CASH_ASSET,
    HELD,
    SECURITIES,
    SECURITIES_HELD,
    Entry,
    asset_of,
    move,
)
from portfolio_service.domain.placed import Placed
from portfolio_service.domain.repeated import Repeated, document_of
from portfolio_service.domain.requests import EntryRequest, Outcome
from portfolio_service.domain.views import NO_CHARGES, OrderView
from portfolio_service.store import clients, entry, idempotency, ledger, orders, outbox
from portfolio_service.store.arrays import streamed, use_indexes
from portfolio_service.store.idempotency import Kept
from saras_common.clock import trading_day
from saras_common.errors import IdempotencyKeyReused, SarasError
from saras_common.events import OrderAccepted
from saras_common.ids import NewId


def place_orders(
    session: Session, requests: Sequence[EntryRequest], *, rules: Rules, now: datetime, new_id: NewId
) -> list[Outcome]:
    """Answer every request, in order. Orders in an answer without an error are in the book, with their holds."""
    use_indexes(session)
    wallets = clients.lock_wallets(session, (request.user_id for request in requests), now, new_id)
    keys = sorted({(request.user_id, request.key) for request in requests if request.key is not None})
    kept = idempotency.find_answers(session, keys)
    fresh = [request for request in requests if (request.user_id, request.key) not in kept]
    desk = Desk(rules, _open(session, wallets, fresh), trading_day(now))
    placed: list[Placed] = []
    placed_for: list[tuple[EntryRequest, list[Placed]]] = []
    answers: list[Kept] = []
    mine: dict[tuple[str, str], tuple[bytes, Outcome]] = {}
    outcomes = []
    for request in requests:
        name = (request.user_id, request.key or "")
        if name in kept:
            outcomes.append(_again(session, kept[name], request))
        elif name in mine:
            fingerprint, outcome = mine[name]
            same = fingerprint == request.fingerprint
            outcomes.append(replace(outcome, replayed=True) if same else Outcome(error=IdempotencyKeyReused()))
        else:
            outcome, made = _decide(desk, wallets[request.user_id], request, now, new_id)
            outcomes.append(outcome)
            placed += made
            placed_for.append((request, made))
            if request.key is not None:
                mine[name] = (request.fingerprint, outcome)
                answers.append(_kept(request, outcome))
    _write(session, placed, placed_for, now, new_id)
    idempotency.add_answers(session, answers, now)
    return outcomes


def _open(session: Session, wallets: dict[str, Wallet], requests: Sequence[EntryRequest]) -> Any:
    """Fill the wallets with what the requests may touch; the markets they name."""
    terms = [order for request in requests for order in request.orders]
    cash = ledger.list_cash(session, wallets)
    for wallet in wallets.values():
        wallet.available_paise = cash.get((wallet.user_id, wallet.account_id), 0)
    sellers = {request.user_id for request in requests if any(order.side == "SELL" for order in request.orders)}
    if sellers:
        sold = {order.instrument for order in terms if order.side == "SELL"}
        for user_id, shares in entry.list_free_shares(session, sellers, sold).items():
            wallets[user_id].shares = shares
    choosers = {request.user_id for request in requests if any(order.portfolio_id for order in request.orders)}
    if choosers:
        for user_id, portfolios in entry.list_portfolio_ids(session, choosers).items():
            wallets[user_id].portfolios = frozenset(portfolios)
    return entry.list_markets(session, {order.instrument for order in terms})


def _decide(
    desk: Desk, wallet: Wallet, request: EntryRequest, now: datetime, new_id: NewId
) -> tuple[Outcome, list[Placed]]:
    before = wallet.copy() if request.atomic else None
    items: list[OrderView | SarasError] = []
    placed: list[Placed] = []
    try:
        desk.check_user(wallet)
    except SarasError as refusal:
        return Outcome(error=refusal), []
    for order in request.orders:
        try:
            accepted = desk.accept(wallet, order)
        except SarasError as refusal:
            items.append(refusal)
            continue
        made = Placed(str(new_id()), wallet.user_id, wallet.account_id, request.basket_id, now, accepted)
        placed.append(made)
        items.append(_view(made))
    refusals = [(index, item) for index, item in enumerate(items) if isinstance(item, SarasError)]
    if before is not None and refusals:
        wallet.available_paise, wallet.shares, wallet.open_orders = (
            before.available_paise,
            before.shares,
            before.open_orders,
        )
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


def _write(
    session: Session,
    placed: Sequence[Placed],
    by_request: Sequence[tuple[EntryRequest, list[Placed]]],
    now: datetime,
    new_id: NewId,
) -> None:
    if not placed:
        return
    opened: dict[str, int] = {}
    units: dict[tuple[str, str, str, str], int] = {}
    entries: list[Entry] = []
    with streamed(session):
        entry.add_orders(session, placed)
        for request, made in by_request:
            if made:
                opened[request.user_id] = opened.get(request.user_id, 0) + len(made)
                entries += _reservations(made, str(new_id()), now, units)
        clients.count_open_orders(session, opened)
        ledger.add_entries(session, entries)
        entry.reserve_shares(session, units)
    outbox.tell(session, [_event(order, request.request_id) for request, made in by_request for order in made])


def _reservations(
    made: Sequence[Placed], journal_id: str, now: datetime, units: dict[tuple[str, str, str, str], int]
) -> list[Entry]:
    """One journal for the request: its cash leaves in one line and is held order by order."""
    user_id, account_id = made[0].user_id, made[0].account_id
    entries: list[Entry] = []
    cash = 0
    for order in made:
        accepted = order.accepted
        if accepted.hold_paise:
            cash += accepted.hold_paise
            entries.append(
                Entry(
                    journal_id,
                    user_id,
                    HELD,
                    account_id,
                    CASH_ASSET,
                    accepted.hold_paise,
                    "reserve",
                    order.id,
                    0,
                    0,
                    now,
                )
            )
        else:
            terms = accepted.terms
            asset = asset_of(terms.instrument, terms.product)
            route = (SECURITIES, SECURITIES_HELD)
            entries += move(journal_id, user_id, account_id, asset, terms.quantity, route, "reserve", order.id, now)
            shelf = (user_id, accepted.portfolio_id, terms.instrument, terms.product)
            units[shelf] = units.get(shelf, 0) + terms.quantity
    if cash:
        entries.append(Entry(journal_id, user_id, CASH, account_id, CASH_ASSET, -cash, "reserve", None, 0, 0, now))
    return entries


def _event(order: Placed, request_id: str | None) -> OrderAccepted:
    accepted: Accepted = order.accepted
    terms = accepted.terms
    return OrderAccepted(
        id=order.id,  # an order is accepted once, so its id is the event's too
        at=order.created_at,
        request_id=request_id,
        order_id=order.id,
        user_id=order.user_id,
        account_id=order.account_id,
        instrument=terms.instrument,
        side=terms.side,
        order_type=terms.order_type,
        product=terms.product,
        validity=terms.validity,
        quantity=terms.quantity,
        price_paise=terms.price,
        trigger_price_paise=terms.trigger_price,
        cap_price_paise=accepted.cap_price_paise,
    )


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
