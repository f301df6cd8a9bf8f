"""Instruments and quotes, for everybody signed in."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import TypeAdapter, ValidationError

from saras_common.errors import InvalidInput
from saras_common.schemas import InstrumentName, Limit, Page, decode_cursor, encode_cursor
from saras_common.web import CurrentUser, StrictRoute
from trade_executor import schemas
from trade_executor.api.edge import Ctx

router = APIRouter(route_class=StrictRoute, tags=["market data"])

MOST_QUOTES = 500
_NAMES: TypeAdapter[list[str]] = TypeAdapter(list[InstrumentName])


@router.get("/instruments")
def list_instruments(
    context: Ctx,
    _user: CurrentUser,
    q: Annotated[str, Query(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")] = "",
    limit: Limit = 50,
    cursor: str | None = None,
) -> Page[schemas.InstrumentView]:
    """Instruments whose symbol or name holds ``q``."""
    position = decode_cursor(cursor, str)
    with context.transactions() as store:
        rows = store.list_instruments(q, position[0] if position else "", limit + 1)
    items = [
        schemas.InstrumentView(
            instrument=row.instrument, name=row.name, tick_size=row.tick_paise, lot_size=row.lot_size, kind=row.kind
        )
        for row in rows[:limit]
    ]
    return Page(items=items, next_cursor=encode_cursor(items[-1].instrument) if len(rows) > limit else None)


@router.get("/quotes")
def get_quotes(
    context: Ctx, _user: CurrentUser, instruments: Annotated[str, Query(min_length=3, max_length=20_000)]
) -> schemas.QuotesView:
    """Last prices of up to 500 instruments; those without one are left out."""
    names = _names(instruments)
    with context.transactions() as store:
        found = store.find_quotes(names)
    return schemas.QuotesView(
        items=[
            schemas.QuoteView(instrument=name, last_price=found[name][0], close_price=found[name][1], at=found[name][2])
            for name in dict.fromkeys(names)
            if name in found
        ]
    )


def _names(text: str) -> list[str]:
    try:
        names = _NAMES.validate_python(text.split(","))
    except ValidationError as error:
        message = "EXCHANGE:SYMBOL, separated by commas"
        raise InvalidInput(errors=[{"field": "instruments", "message": message}]) from error
    if len(names) > MOST_QUOTES:
        raise InvalidInput(errors=[{"field": "instruments", "message": f"at most {MOST_QUOTES}"}])
    return names
