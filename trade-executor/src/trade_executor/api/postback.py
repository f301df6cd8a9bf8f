"""The broker's postbacks: open to the world, so nothing in them is believed but that the broker may have news."""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from saras_common import jsonio
from saras_common.errors import Forbidden, InvalidInput
from trade_executor.api.edge import Ctx
from trade_executor.usecases import asking

router = APIRouter(tags=["broker"])

MAX_BYTES = 16_384
MAX_FIELD = 64


@router.post("/broker/postback", status_code=200, response_class=Response)
async def take_postback(request: Request, context: Ctx) -> Response:
    """Checksum over order id, timestamp and our secret; answered at once."""
    fields = _fields(await request.body())
    if not await run_in_threadpool(asking.take_postback, context, *fields):
        raise Forbidden("The checksum does not fit")
    return Response(status_code=200)


def _fields(body: bytes) -> tuple[str, str, str]:
    try:
        document: Any = jsonio.loads(body) if len(body) <= MAX_BYTES else None
    except jsonio.BadJson:
        document = None
    if not isinstance(document, dict):
        raise InvalidInput
    values = [document.get(name) for name in ("order_id", "order_timestamp", "checksum")]
    texts = [value for value in values if isinstance(value, str) and 0 < len(value) <= MAX_FIELD]
    if len(texts) != len(values):
        raise InvalidInput
    return texts[0], texts[1], texts[2]
