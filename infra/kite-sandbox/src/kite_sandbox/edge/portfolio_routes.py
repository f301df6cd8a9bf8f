"""Positions and holdings."""

import secrets
from typing import Any

from kite_sandbox.edge.routing import Call, KiteRoute
from kite_sandbox.edge.views import holding_view, positions_view
from kite_sandbox.engine.conversions import convert_position
from kite_sandbox.engine.days import advance


def positions(call: Call) -> dict[str, Any]:
    """``GET /portfolio/positions``."""
    advance(call.sandbox.broker, call.now)
    return positions_view(call.account, call.sandbox.state, call.now)


def convert(call: Call) -> bool:
    """``PUT /portfolio/positions``."""
    convert_position(call.sandbox.broker, call.account, call.form, call.now)
    return True


def holdings(call: Call) -> list[dict[str, Any]]:
    """``GET /portfolio/holdings``."""
    advance(call.sandbox.broker, call.now)
    market = call.sandbox.state.market
    return [
        holding_view(call.account, holding, market.get(holding.instrument, call.now), call.now)
        for holding in call.account.holdings.values()
    ]


def auctions(_call: Call) -> list[Any]:
    """``GET /portfolio/holdings/auctions``: none, every delivery arrives."""
    return []


def authorise(_call: Call) -> dict[str, Any]:
    """``POST /portfolio/holdings/authorise``: given at once, nothing needs it."""
    return {"request_id": secrets.token_hex(16)}


ROUTES = (
    KiteRoute("positions", "GET", "/portfolio/positions", positions),
    KiteRoute("convert_position", "PUT", "/portfolio/positions", convert),
    KiteRoute("holdings", "GET", "/portfolio/holdings", holdings),
    KiteRoute("get_auction_instruments", "GET", "/portfolio/holdings/auctions", auctions),
    KiteRoute("authorise_holdings", "POST", "/portfolio/holdings/authorise", authorise),
)
