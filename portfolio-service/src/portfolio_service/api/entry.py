"""Order entry. Async, because it is measured: handlers only wait for the group commit that carries their orders."""

from collections.abc import Sequence

from fastapi import APIRouter, Response

from portfolio_service.api.door import EntryRoute
from portfolio_service.api.edge import Entry, answer, fingerprint
from portfolio_service.domain.entry import Terms
from portfolio_service.domain.requests import EntryRequest, Outcome
from portfolio_service.schemas import BasketBatchIn, BatchIn, BatchOut, BuyIn, OrderOut, SellIn, order_document
from saras_common.errors import NotFound, SarasError, problem
from saras_common.ids import find_id
from saras_common.logs import request_id_var
from saras_common.web import CurrentUser, IdempotencyKey, ServiceCaller, StrictRoute, problem_response

router = APIRouter(route_class=EntryRoute, tags=["orders"])
internal = APIRouter(route_class=StrictRoute, include_in_schema=False)

_INTERNAL_KEY = "\x1f"
"""Before the key of another service, where no caller from outside can put it: their keys never meet a user's."""


@router.post("/buy", status_code=202, response_model=OrderOut)
async def buy(body: BuyIn, caller: CurrentUser, entry: Entry, key: IdempotencyKey = None) -> Response:
    """Place a buy order."""
    return await _one(entry, str(caller.user_id), body, key)


@router.post("/sell", status_code=202, response_model=OrderOut)
async def sell(body: SellIn, caller: CurrentUser, entry: Entry, key: IdempotencyKey = None) -> Response:
    """Place a sell order."""
    return await _one(entry, str(caller.user_id), body, key)


@router.post("/orders/batch", status_code=202, response_model=BatchOut)
async def place_batch(body: BatchIn, caller: CurrentUser, entry: Entry, key: IdempotencyKey = None) -> Response:
    """Place up to 1,000 orders in one transaction; with ``atomic`` all of them or none."""
    mark = b"" if key is None else fingerprint("batch", body.model_dump_json().encode())
    request = EntryRequest(str(caller.user_id), body.orders, body.atomic, key, mark, request_id_var.get())
    return _batch_answer(await entry.submit(request))


@internal.post("/internal/orders/batch", status_code=202)
async def place_basket(
    body: BasketBatchIn, _caller: ServiceCaller, entry: Entry, key: IdempotencyKey = None
) -> Response:
    """Place another service's legs for one of its users."""
    user_id, basket_id = find_id(body.user_id), find_id(body.basket_id)
    if user_id is None or basket_id is None:
        raise NotFound
    mark = b"" if key is None else fingerprint("basket", body.model_dump_json().encode())
    own_key = None if key is None else _INTERNAL_KEY + key
    request = EntryRequest(
        str(user_id), body.orders, body.atomic, own_key, mark, request_id_var.get(), basket_id=str(basket_id)
    )
    return _batch_answer(await entry.submit(request))


async def _one(entry: Entry, user_id: str, terms: BuyIn | SellIn, key: str | None) -> Response:
    mark = b"" if key is None else fingerprint(terms.side, terms.model_dump_json().encode())
    orders: Sequence[Terms] = (terms,)
    outcome = await entry.submit(EntryRequest(user_id, orders, False, key, mark, request_id_var.get()))
    if outcome.error is not None:
        return _refusal(outcome.error, replayed=outcome.replayed)
    item = outcome.items[0]
    if isinstance(item, SarasError):
        return _refusal(item, replayed=outcome.replayed)
    return answer(order_document(item), 202, replayed=outcome.replayed)


def _batch_answer(outcome: Outcome) -> Response:
    if outcome.error is not None:
        return _refusal(outcome.error, replayed=outcome.replayed)
    request_id = request_id_var.get() or ""
    items = [
        problem(item, request_id) if isinstance(item, SarasError) else order_document(item) for item in outcome.items
    ]
    return answer({"items": items}, 202, replayed=outcome.replayed)


def _refusal(error: SarasError, *, replayed: bool) -> Response:
    response = problem_response(error)
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response
