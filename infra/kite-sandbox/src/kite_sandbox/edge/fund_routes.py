"""Mutual funds: the account has none and this sandbox trades none."""

from typing import Any

from starlette.responses import Response

from kite_sandbox.edge.routing import Call, KiteRoute
from kite_sandbox.errors import not_found, permission_error

COLUMNS = (
    "tradingsymbol,amc,name,purchase_allowed,redemption_allowed,minimum_purchase_amount,purchase_amount_multiplier,"
    "minimum_additional_purchase_amount,minimum_redemption_quantity,redemption_quantity_multiplier,dividend_type,"
    "scheme_type,plan,settlement_type,last_price,last_price_date"
)


def nothing(_call: Call) -> list[Any]:
    """An empty list."""
    return []


def no_such_order(_call: Call) -> object:
    """404."""
    raise not_found("Couldn't find that order.")


def not_traded(_call: Call) -> object:
    """403."""
    raise permission_error("Mutual funds are not traded in this sandbox.")


def instruments(_call: Call) -> Response:
    """The column names of Kite's list, and no rows."""
    return Response(f"{COLUMNS}\n", media_type="text/csv")


def _routes() -> list[KiteRoute]:
    routes = [KiteRoute("mutual_funds", "GET", f"/mf/{name}", nothing) for name in ("orders", "sips", "holdings")]
    routes.append(KiteRoute("mutual_funds", "GET", "/mf/instruments", instruments))
    for name in ("orders", "sips"):
        routes.append(KiteRoute("mutual_funds", "POST", f"/mf/{name}", not_traded))
        one = f"/mf/{name}/{{order_id}}"
        routes.append(KiteRoute("mutual_funds", "GET", one, no_such_order))
        routes.extend(KiteRoute("mutual_funds", method, one, not_traded) for method in ("PUT", "DELETE"))
    return routes


ROUTES = tuple(_routes())
