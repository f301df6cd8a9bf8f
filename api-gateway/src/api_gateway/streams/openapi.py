"""How the platform's OpenAPI document describes the streams; messages of a WebSocket are told in words there."""

from typing import Any

from api_gateway.streams.feed import RESET

_EVENT: dict[str, Any] = {
    "type": "object",
    "description": "One event of the caller's own.",
    "required": ["id", "kind", "at", "data"],
    "properties": {
        "id": {"type": "string", "description": "Opaque; the last one seen is where a stream goes on."},
        "kind": {
            "type": "string",
            "description": (
                "`order.updated`, `funds.moved`, `notification`, `basket.run_changed`, `basket.rebalance_offered`,"
                f" `basket.sip_skipped`; or `{RESET}`: what happened since the given id is no longer known, read"
                " afresh. More kinds may come."
            ),
        },
        "at": {"type": "string", "format": "date-time"},
        "data": {"type": "object", "description": "The order, movement, notification or run as it now is."},
    },
}
_LAST_EVENT_ID = "Go on after this event: nothing since is lost, nothing comes twice."
_PARAMETERS = [
    {
        "name": "Last-Event-ID",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": _LAST_EVENT_ID,
    },
    {
        "name": "last_event_id",
        "in": "query",
        "required": False,
        "schema": {"type": "string"},
        "description": "The same, for clients that cannot set the header.",
    },
]
_WS = (
    "The events of `GET /events` and quotes, as JSON messages. The token comes in `Authorization`, as"
    ' `Sec-WebSocket-Protocol: bearer, <token>`, or as the first message `{"type": "auth", "token": …}`; the same'
    ' message later replaces a token that is about to expire. `{"type": "subscribe" | "unsubscribe",'
    ' "instruments": […]}` chooses quotes, up to 500 instruments. The server sends messages of type `ready`,'
    " `event`, `quotes`, `subscribed` and `error`. It closes with 4401 when the session is over, 1013 when the reader"
    " was too slow or should come back, 1012 when it restarts."
)


def document() -> dict[str, Any]:
    """OpenAPI of the two routes, paths without the base path."""
    stream = {
        "description": "An endless stream; comments keep it alive.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string", "description": "`id`, `event` (the kind) and `data` (a StreamEvent)."}
            }
        },
    }
    return {
        "openapi": "3.1.0",
        "paths": {
            "/events": {
                "get": {
                    "operationId": "events",
                    "summary": "Server-sent events of the caller's own orders, funds, notifications and baskets",
                    "parameters": _PARAMETERS,
                    "responses": {"200": stream, "405": {"description": "A `HEAD` would wait for its end"}},
                }
            },
            "/ws": {
                "get": {
                    "operationId": "ws",
                    "summary": "The same events and quotes over WebSocket",
                    "description": _WS,
                    "parameters": _PARAMETERS,
                    "responses": {
                        "101": {"description": "Messages from now on"},
                        "426": {"description": "Not a WebSocket handshake"},
                    },
                }
            },
        },
        "components": {"schemas": {"StreamEvent": _EVENT}},
    }
