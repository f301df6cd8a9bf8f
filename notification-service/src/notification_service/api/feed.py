"""The feed, for the gateways alone."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from notification_service.api.edge import id_in_path
from notification_service.usecases.feed import FeedPart, FeedReader
from saras_common.jsonio import dumps
from saras_common.web import ServiceCaller

router = APIRouter(prefix="/internal/feed", include_in_schema=False)

MOST_ROWS = 5000
LONGEST_WAIT_S = 10

Position = Annotated[int, Query(ge=0, lt=2**63)]
Rows = Annotated[int, Query(ge=1, le=MOST_ROWS)]


def _reader(request: Request) -> FeedReader:
    reader: FeedReader = request.app.state.feed
    return reader


Reader = Annotated[FeedReader, Depends(_reader)]


@router.get("")
def read_feed(
    _caller: ServiceCaller,
    reader: Reader,
    after: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
    limit: Rows = 1000,
    wait_s: Annotated[float, Query(ge=0, le=LONGEST_WAIT_S)] = 0,
) -> Response:
    """Everybody's rows after a position, at once or as soon as there are any; without one only the ends."""
    return _answer(reader.head() if after is None else reader.after(after, limit=limit, wait_s=wait_s))


@router.get("/{user_id}")
def read_feed_of_user(
    user_id: str, _caller: ServiceCaller, reader: Reader, after: Position, until: Position, limit: Rows = 1000
) -> Response:
    """One user's rows after one position and up to another."""
    return _answer(reader.of_user(id_in_path(user_id), after=after, until=until, limit=limit))


def _answer(part: FeedPart) -> Response:
    document = {"head": part.ends.head, "floor": part.ends.floor, "items": part.rows}
    return Response(dumps(document), media_type="application/json")
