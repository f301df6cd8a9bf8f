"""Candles of the past: from the replayed file where it has the instrument, drawn from the instrument's key otherwise.

Drawn history is the same at every start. Daily closes swing around the starting price and meet it on the day the
journal began; inside a day the price runs from open over the extremes to close. None of it is real, all of it is
consistent: an hour's candle is the sum of its minutes, a day's close the next day's neighbourhood.
"""

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from kite_sandbox.candles import Candle, DailyCandles
from kite_sandbox.clock import IST, day_of
from kite_sandbox.engine.market import Quote
from kite_sandbox.instruments import DEFAULT_TICK_PAISE, Instrument
from kite_sandbox.market_hours import MarketHours

INTERVALS = {
    "minute": 1,
    "3minute": 3,
    "5minute": 5,
    "10minute": 10,
    "15minute": 15,
    "30minute": 30,
    "60minute": 60,
    "day": 375,
}
"""Kite's intervals in minutes of the session."""

MOST_DAYS = {
    "minute": 60,
    "3minute": 100,
    "5minute": 100,
    "10minute": 100,
    "15minute": 200,
    "30minute": 200,
    "60minute": 400,
    "day": 2000,
}
"""The longest span Kite answers in one call."""

SESSION_MINUTES = 375
OPENS_AT = 9 * 60 + 15
WEEKDAYS = 5
HASH_SPAN = 1 << 32


@dataclass(frozen=True, slots=True)
class Bar:
    """A candle with its beginning, prices in paise."""

    at: datetime
    open_paise: int
    high_paise: int
    low_paise: int
    close_paise: int
    volume: int


def _draw(key: str, *parts: object) -> float:
    """A number in [0, 1), fixed by its arguments."""
    return zlib.crc32("|".join([key, *map(str, parts)]).encode()) / HASH_SPAN


class History:
    """Past candles of every instrument. ``anchor`` is the day drawn prices meet the starting price."""

    def __init__(self, hours: MarketHours, anchor: date, replayed: DailyCandles | None) -> None:
        self._hours = hours
        self._anchor = anchor
        self._by_symbol: dict[str, dict[date, Candle]] = {}
        for day, candles in replayed.days if replayed else ():
            for symbol, candle in candles.items():
                self._by_symbol.setdefault(symbol, {})[day] = candle

    def bars(
        self,
        quote: Quote,
        interval: str,
        since: datetime,
        until: datetime,
        now: datetime,
        replayed_to: date | None,
    ) -> Iterator[Bar]:
        """Candles that begin in ``since`` … ``until`` and are not in the future."""
        instrument = quote.instrument
        file_days = self._by_symbol.get(instrument.symbol) if instrument.exchange == "NSE" else None
        today = day_of(now)
        day = day_of(since)
        while day <= day_of(until):
            if file_days is not None:
                candle = file_days.get(day) if replayed_to is None or day <= replayed_to else None
                minutes = SESSION_MINUTES
            else:
                candle = self._candle(quote, day, today) if day <= today and self._is_session(day) else None
                minutes = _elapsed(now) if day == today else SESSION_MINUTES
            if candle is not None and interval == "day":
                bar = _bar(datetime.combine(day, time(), IST), candle.legs, candle.volume)
                yield from [bar] if since <= bar.at <= until else []
            elif candle is not None:
                bars = _intraday(instrument, day, candle, INTERVALS[interval], minutes)
                yield from (bar for bar in bars if since <= bar.at <= until)
            day += timedelta(days=1)

    def _is_session(self, day: date) -> bool:
        return self._hours.is_trading_day(day) and (self._hours.mode == "nse" or day.weekday() < WEEKDAYS)

    def _candle(self, quote: Quote, day: date, today: date) -> Candle:
        if day == today:
            legs = (quote.open_paise, quote.high_paise, quote.low_paise, quote.last_paise)
            return Candle(legs, quote.volume)
        instrument = quote.instrument
        opening = self._level(instrument, day - timedelta(days=1), "open")
        closing = self._level(instrument, day, "")
        reach = max(opening, closing) * (1 + 0.012 * _draw(instrument.key, day, "high"))
        floor = min(opening, closing) * (1 - 0.012 * _draw(instrument.key, day, "low"))
        first, top, bottom, last = (_on_grid(instrument, price) for price in (opening, reach, floor, closing))
        legs = (first, max(first, top, last), min(first, bottom, last), last)
        return Candle(legs, 100_000 + int(900_000 * _draw(instrument.key, day, "volume")))

    def _level(self, instrument: Instrument, day: date, salt: str) -> float:
        """The drawn price at the end of ``day``; ``salt`` shifts it a little, as a night does."""
        swing = _swing(instrument.key, day) - _swing(instrument.key, self._anchor)
        night = 0.004 * (_draw(instrument.key, day, salt) - 0.5) if salt else 0.0
        return instrument.start_price_paise * math.exp(swing + night)


def _swing(key: str, day: date) -> float:
    """Logarithm of the price against its mean: a slow wave, a quicker one, and a daily jitter."""
    number = day.toordinal()
    slow = 0.12 * math.sin(2 * math.pi * (number / 700 + _draw(key, "slow")))
    quick = 0.05 * math.sin(2 * math.pi * (number / 90 + _draw(key, "quick")))
    return slow + quick + 0.02 * (_draw(key, day, "jitter") - 0.5)


def _on_grid(instrument: Instrument, paise: float) -> int:
    tick = instrument.tick_paise or DEFAULT_TICK_PAISE
    return max(round(paise / tick), 1) * tick


def _elapsed(now: datetime) -> int:
    local = now.astimezone(IST)
    return min(max(local.hour * 60 + local.minute - OPENS_AT + 1, 1), SESSION_MINUTES)


def _bar(at: datetime, legs: tuple[int, int, int, int], volume: int) -> Bar:
    return Bar(at, *legs, volume)


def _path(instrument: Instrument, day: date, candle: Candle, minutes: int) -> list[int]:
    """Prices at the minutes' edges: open, one extreme, the other, close, straight in between and on the grid."""
    first, high, low, last = candle.legs
    corners = [first, low, high, last] if last >= first else [first, high, low, last]
    turns = sorted(1 + int(_draw(instrument.key, day, turn) * (minutes - 1)) for turn in ("one", "two"))
    stops = [0, *turns, minutes]
    path = [first]
    for (begins, ends), (start, goal) in zip(pairwise(stops), pairwise(corners), strict=True):
        path.extend(
            _on_grid(instrument, start + (goal - start) * step / (ends - begins))
            for step in range(1, ends - begins + 1)
        )
    path[-1] = last
    return path


def _intraday(instrument: Instrument, day: date, candle: Candle, width: int, minutes: int) -> Iterator[Bar]:
    path = _path(instrument, day, candle, minutes)
    opens = datetime.combine(day, time(9, 15), IST)
    for start in range(0, minutes, width):
        part = path[start : min(start + width, minutes) + 1]
        legs = (part[0], max(part), min(part), part[-1])
        yield _bar(opens + timedelta(minutes=start), legs, candle.volume * (len(part) - 1) // minutes)
