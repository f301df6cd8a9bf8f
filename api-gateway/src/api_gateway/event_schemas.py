"""The JSON Schema of every event, beside the OpenAPI document: what webhooks, streams and the bus carry."""

from functools import cache

from api_gateway.exchange import Exchange
from api_gateway.health import JSON
from saras_common import jsonio
from saras_common.events import EVENT_TYPES


async def answer(exchange: Exchange) -> None:
    """Event type → its schema, over HTTP."""
    await exchange.answer(200, JSON, _body())


@cache
def _body() -> bytes:
    return jsonio.dumps({kind: cls.model_json_schema() for kind, cls in sorted(EVENT_TYPES.items())})
