"""For the platform's own processes; the gateway routes nothing here."""

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Response

from portfolio_service.api.edge import Ctx, answer
from portfolio_service.store import reports
from saras_common.web import ServiceCaller, StrictRoute

router = APIRouter(route_class=StrictRoute, include_in_schema=False)


@router.get("/internal/books")
def list_books(
    _caller: ServiceCaller,
    ctx: Ctx,
    user_id: UUID | None = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> Response:
    """Cash, positions on marks and money ever put in and taken out, a user an item, each of one instant."""
    with ctx.database.for_service() as session:
        books = reports.list_books(session, user_id, after, limit)
    items = [book._asdict() | {"positions": orjson.Fragment(book.positions)} for book in books]
    return answer({"items": items, "next": items[-1]["user_id"] if len(items) == limit else None})
