"""The sandbox's own routes: what tests and demos turn, and what they read. No session, no envelope on success."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from kite_sandbox.clock import utc_text
from kite_sandbox.edge.envelope import failure, plain
from kite_sandbox.edge.routing import json_body, read_body
from kite_sandbox.edge.views import journal_view
from kite_sandbox.engine.model import Account
from kite_sandbox.engine.ticks import move_prices
from kite_sandbox.errors import KiteError, input_error
from kite_sandbox.faults import parse_fault
from kite_sandbox.sandbox import Sandbox
from saras_common.money import paise_from, rupees

MAX_REF = 200
MAX_SHARES = 10**9

Handler = Callable[[Sandbox, Request, dict[str, Any]], Awaitable[object]]


def paise(name: str, value: object) -> int:
    """Exact paise of a decimal string or JSON number, or 400."""
    try:
        return paise_from(value)  # type: ignore[arg-type]  # it refuses every other type itself
    except ValueError as error:
        raise input_error(f"Invalid `{name}`: {error}.") from None


def account_of(sandbox: Sandbox, body: dict[str, Any]) -> Account:
    """The account a body names; the first one when it names none."""
    api_key = body.get("api_key", sandbox.settings.accounts[0].api_key)
    account = sandbox.state.accounts.get(api_key) if isinstance(api_key, str) else None
    if account is None:
        raise input_error("Invalid `api_key`.")
    return account


def ref_of(body: dict[str, Any]) -> str:
    """The caller's reference that makes a movement happen once."""
    ref = body.get("ref")
    if not isinstance(ref, str) or not 0 < len(ref) <= MAX_REF:
        raise input_error("Missing or invalid `ref`.")
    return ref


async def set_prices(sandbox: Sandbox, _request: Request, body: dict[str, Any]) -> object:
    """``POST /sandbox/prices``: all or none; orders the prices reach trade before the answer."""
    prices = {}
    for key, value in body.items():
        if sandbox.catalogue.find(key) is None:
            raise input_error(f"Unknown instrument in `prices`: {key[:40]}")
        prices[key] = paise(key, value)
        if prices[key] <= 0:
            raise input_error(f"Invalid `{key}`: a price is above zero.")
    move_prices(sandbox.broker, prices, sandbox.clock.now(), is_kept=True)
    await sandbox.commit()
    await sandbox.publish_ticks()
    return {"prices": {key: rupees(price) for key, price in prices.items()}}


async def add_fault(sandbox: Sandbox, _request: Request, body: dict[str, Any]) -> object:
    """``POST /sandbox/faults``."""
    unknown = set(body) - {"route", "kind", "count", "after"}
    if unknown:
        raise input_error("Unknown field; a fault has `route`, `kind`, `count` and `after`.")
    fault = parse_fault(body.get("route"), body.get("kind"), body.get("count", 1), body.get("after", 0))
    sandbox.faults.add(fault)
    return fault.as_dict()


async def list_faults(sandbox: Sandbox, _request: Request, _body: dict[str, Any]) -> object:
    """``GET /sandbox/faults``: those with calls left."""
    return {"items": [fault.as_dict() for fault in sandbox.faults.pending()]}


async def clear_faults(sandbox: Sandbox, _request: Request, _body: dict[str, Any]) -> object:
    """``DELETE /sandbox/faults``."""
    sandbox.faults.clear()
    return {"items": []}


async def reset(sandbox: Sandbox, _request: Request, body: dict[str, Any]) -> object:
    """``POST /sandbox/reset`` ``{cash?}``."""
    cash = body.get("cash")
    await sandbox.reset(None if cash is None else paise("cash", cash))
    await sandbox.publish_ticks()
    return {"reset": True}


async def set_clock(sandbox: Sandbox, _request: Request, body: dict[str, Any]) -> object:
    """``POST /sandbox/clock`` ``{now}``: RFC 3339 with an offset, or null for the machine's clock."""
    text = body.get("now")
    moment = None
    if text is not None:
        try:
            moment = datetime.fromisoformat(text)
        except (TypeError, ValueError):
            raise input_error("Invalid `now`.") from None
        if moment.tzinfo is None:
            raise input_error("`now` needs an offset, as in 2026-03-02T09:15:00+05:30.")
        moment = moment.astimezone(UTC)
    return {"now": utc_text(sandbox.set_clock(moment))}


async def get_clock(sandbox: Sandbox, _request: Request, _body: dict[str, Any]) -> object:
    """``GET /sandbox/clock``."""
    return {"now": utc_text(sandbox.clock.now())}


async def move_funds(sandbox: Sandbox, _request: Request, body: dict[str, Any]) -> object:
    """``POST /sandbox/funds`` ``{amount, ref, api_key?}``: done once per ``ref``."""
    account = account_of(sandbox, body)
    is_done = sandbox.move_funds(account.api_key, paise("amount", body.get("amount")), ref_of(body))
    return {"applied": is_done, "cash": rupees(account.cash_paise)}


async def add_holding(sandbox: Sandbox, _request: Request, body: dict[str, Any]) -> object:
    """``POST /sandbox/holdings`` ``{instrument, quantity, average_price, ref, api_key?}``: done once per ``ref``."""
    account = account_of(sandbox, body)
    key, quantity = body.get("instrument"), body.get("quantity")
    instrument = sandbox.catalogue.find(key) if isinstance(key, str) else None
    if instrument is None or not instrument.is_traded:
        raise input_error("Invalid `instrument`.")
    if type(quantity) is not int or quantity == 0 or abs(quantity) > MAX_SHARES:
        raise input_error("Invalid `quantity`.")
    average = paise("average_price", body.get("average_price"))
    is_done = sandbox.add_holding(account.api_key, instrument.key, quantity, average, ref_of(body))
    return {"applied": is_done, "quantity": account.held_quantity(instrument.key)}


async def journal(sandbox: Sandbox, request: Request, _body: dict[str, Any]) -> object:
    """``GET /sandbox/journal``: everything since the reset, in order; ``?after=`` a seq."""
    after = request.query_params.get("after", "0")
    if not after.isdecimal():
        raise input_error("Invalid `after`.")
    return {"items": [journal_view(item) for item in sandbox.state.items[int(after) :]]}


async def request_log(sandbox: Sandbox, _request: Request, _body: dict[str, Any]) -> object:
    """``GET /sandbox/log``: the calls of Kite's routes in real time; status 0 is a call left without an answer."""
    return {"items": list(sandbox.request_log)}


def endpoint(sandbox: Sandbox, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A handler with its body read, its effects durable and its refusals in Kite's envelope."""

    async def run(request: Request) -> Response:
        try:
            raw = await read_body(request)
            body = json_body(raw) if raw else {}
            if not isinstance(body, dict):
                raise input_error("The request body must be a JSON object.")
            answer = plain(await handler(sandbox, request, body))
        except KiteError as error:
            answer = failure(error)
        await sandbox.commit()
        return answer

    return run


async def redirected(_request: Request) -> Response:
    """Where the ``redirect`` fault leads: a page that says nothing about the order."""
    return HTMLResponse("<html><body>Temporarily moved for maintenance.</body></html>")


HANDLERS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/sandbox/prices", set_prices),
    ("POST", "/sandbox/faults", add_fault),
    ("GET", "/sandbox/faults", list_faults),
    ("DELETE", "/sandbox/faults", clear_faults),
    ("POST", "/sandbox/reset", reset),
    ("POST", "/sandbox/clock", set_clock),
    ("GET", "/sandbox/clock", get_clock),
    ("POST", "/sandbox/funds", move_funds),
    ("POST", "/sandbox/holdings", add_holding),
    ("GET", "/sandbox/journal", journal),
    ("GET", "/sandbox/log", request_log),
)


def sandbox_routes(sandbox: Sandbox) -> list[Route]:
    """All of them, for the app."""
    routes = [Route(path, endpoint(sandbox, handler), methods=[method]) for method, path, handler in HANDLERS]
    return [*routes, Route("/sandbox/redirected", redirected, methods=["GET", "POST", "PUT", "DELETE"])]
