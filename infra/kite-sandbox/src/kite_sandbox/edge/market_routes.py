"""Instruments, quotes and candles."""

from typing import Any

from starlette.responses import Response

from kite_sandbox.clock import ist_text
from kite_sandbox.edge.routing import Call, KiteRoute
from kite_sandbox.edge.views import number
from kite_sandbox.engine.days import advance
from kite_sandbox.engine.market import Quote
from kite_sandbox.errors import input_error

MAX_INSTRUMENTS = 500


def instruments(call: Call) -> Response:
    """``GET /instruments`` and ``/instruments/{exchange}``: CSV."""
    exchange = call.path.get("exchange")
    if exchange is not None and exchange not in call.sandbox.catalogue.exchanges():
        raise input_error("Invalid `exchange`.")
    return Response(call.sandbox.catalogue.as_csv(exchange), media_type="text/csv")


def _quotes(call: Call) -> dict[str, Quote]:
    keys = call.request.query_params.getlist("i")
    if not keys:
        raise input_error("Missing or empty field `i`")
    if len(keys) > MAX_INSTRUMENTS:
        raise input_error(f"More than {MAX_INSTRUMENTS} instruments in one call.")
    advance(call.sandbox.broker, call.now)
    found = {key: call.sandbox.state.market.find(key, call.now) for key in keys}
    return {key: quote for key, quote in found.items() if quote is not None}


def ltp(call: Call) -> dict[str, Any]:
    """``GET /quote/ltp``. Unknown instruments are left out, as Kite does."""
    return {
        key: {"instrument_token": quote.instrument.token, "last_price": number(quote.last_paise)}
        for key, quote in _quotes(call).items()
    }


def _ohlc_view(quote: Quote) -> dict[str, Any]:
    return {
        "open": number(quote.open_paise),
        "high": number(quote.high_paise),
        "low": number(quote.low_paise),
        "close": number(quote.close_paise),
    }


def ohlc(call: Call) -> dict[str, Any]:
    """``GET /quote/ohlc``."""
    return {
        key: {
            "instrument_token": quote.instrument.token,
            "last_price": number(quote.last_paise),
            "ohlc": _ohlc_view(quote),
        }
        for key, quote in _quotes(call).items()
    }


def full_quote(call: Call) -> dict[str, Any]:
    """``GET /quote``."""
    return {key: _quote_view(quote) for key, quote in _quotes(call).items()}


def _quote_view(quote: Quote) -> dict[str, Any]:
    bids, offers = quote.depth()
    lower, upper = quote.circuit_limits
    change = quote.last_paise - quote.close_paise
    return {
        "instrument_token": quote.instrument.token,
        "timestamp": ist_text(quote.updated_at),
        "last_trade_time": ist_text(quote.last_trade_at or quote.updated_at),
        "last_price": number(quote.last_paise),
        "last_quantity": quote.last_quantity,
        "buy_quantity": sum(quantity for _, quantity, _ in bids),
        "sell_quantity": sum(quantity for _, quantity, _ in offers),
        "volume": quote.volume,
        "average_price": number(quote.average_paise),
        "oi": 0,
        "oi_day_high": 0,
        "oi_day_low": 0,
        "net_change": number(change),
        "lower_circuit_limit": number(lower),
        "upper_circuit_limit": number(upper),
        "ohlc": _ohlc_view(quote),
        "depth": {"buy": [_level_view(level) for level in bids], "sell": [_level_view(level) for level in offers]},
    }


def _level_view(level: tuple[int, int, int]) -> dict[str, Any]:
    price, quantity, orders = level
    return {"price": number(price), "quantity": quantity, "orders": orders}


ROUTES = (
    KiteRoute("instruments", "GET", "/instruments", instruments),
    KiteRoute("instruments", "GET", "/instruments/{exchange}", instruments),
    KiteRoute("quote", "GET", "/quote", full_quote, "quotes"),
    KiteRoute("ohlc", "GET", "/quote/ohlc", ohlc, "quotes"),
    KiteRoute("ltp", "GET", "/quote/ltp", ltp, "quotes"),
)
