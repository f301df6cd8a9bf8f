"""Candles, and the trigger range of cover orders."""

from datetime import datetime
from typing import Any

from kite_sandbox.clock import IST, day_of
from kite_sandbox.edge.routing import Call, KiteRoute
from kite_sandbox.edge.views import number
from kite_sandbox.errors import input_error
from kite_sandbox.history import INTERVALS, MOST_DAYS

DAY_ONLY = len("2026-03-02")
RANGE_PERCENT = {"buy": (88, 99), "sell": (101, 112)}


def _moment(call: Call, name: str, *, is_end: bool) -> datetime:
    text = call.query(name) or ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise input_error(f"Invalid `{name}` date.") from None
    if len(text) == DAY_ONLY and is_end:
        moment = moment.replace(hour=23, minute=59, second=59)
    return moment if moment.tzinfo else moment.replace(tzinfo=IST)


def historical(call: Call) -> dict[str, Any]:
    """``GET /instruments/historical/{token}/{interval}``: candles as lists, with open interest (0) when asked for."""
    token, interval = call.path["token"], call.path["interval"]
    instrument = call.sandbox.catalogue.find_token(int(token)) if token.isdecimal() and token.isascii() else None
    if instrument is None:
        raise input_error("Invalid `instrument_token`.")
    if interval not in INTERVALS:
        raise input_error("Invalid `interval`.")
    since, until = _moment(call, "from", is_end=False), _moment(call, "to", is_end=True)
    if since > until:
        raise input_error("`from` date is after `to` date.")
    if (day_of(until) - day_of(since)).days > MOST_DAYS[interval]:
        raise input_error(f"interval exceeds max limit: {MOST_DAYS[interval]} days")
    quote = call.sandbox.state.market.get(instrument, call.now)
    bars = call.sandbox.history.bars(quote, interval, since, until, call.now, call.sandbox.replayed_to)
    interest = [0] if call.query("oi") == "1" else []
    return {
        "candles": [
            [
                bar.at.strftime("%Y-%m-%dT%H:%M:%S%z"),
                number(bar.open_paise),
                number(bar.high_paise),
                number(bar.low_paise),
                number(bar.close_paise),
                bar.volume,
                *interest,
            ]
            for bar in bars
        ],
    }


def trigger_range(call: Call) -> dict[str, Any]:
    """``GET /instruments/trigger_range/{transaction_type}``."""
    side = call.path["transaction_type"]
    if side not in RANGE_PERCENT:
        raise input_error("Invalid `transaction_type`.")
    lower, upper = RANGE_PERCENT[side]
    found = {key: call.sandbox.state.market.find(key, call.now) for key in call.request.query_params.getlist("i")}
    return {
        key: {
            "instrument_token": quote.instrument.token,
            "lower": number(quote.last_paise * lower // 100),
            "upper": number(quote.last_paise * upper // 100),
        }
        for key, quote in found.items()
        if quote is not None
    }


ROUTES = (
    KiteRoute("historical_data", "GET", "/instruments/historical/{token}/{interval}", historical, "historical"),
    KiteRoute("trigger_range", "GET", "/instruments/trigger_range/{transaction_type}", trigger_range),
)
