"""Where prices come from when nobody sets them: nowhere (fixed), a seeded random walk, or a file of daily candles."""

import random
from datetime import date, datetime
from pathlib import Path

from kite_sandbox.candles import DailyCandles, load_daily_candles
from kite_sandbox.engine import records as r
from kite_sandbox.engine.broker import Broker
from kite_sandbox.engine.ticks import move_prices
from kite_sandbox.instruments import DEFAULT_TICK_PAISE, Catalogue, Instrument

WALK_STEP = 2_000
"""A walk moves at most a two-thousandth of the price a tick (and at least one tick of the grid)."""

LEGS_A_DAY = 4


class RandomWalk:
    """Every traded instrument and index takes a step, up or down alike, on its own grid; one seed, one path."""

    def __init__(self, seed: int, catalogue: Catalogue) -> None:
        self._random = random.Random(seed)
        self._instruments = [item for item in catalogue.instruments if item.is_traded or item.is_index]

    def step(self, broker: Broker, now: datetime) -> None:
        """Move every price by a few ticks."""
        prices = {}
        for instrument in self._instruments:
            last = broker.state.market.get(instrument, now).last_paise
            tick = instrument.tick_paise or DEFAULT_TICK_PAISE
            reach = max(last // WALK_STEP // tick, 1)
            prices[instrument.key] = max(last + self._random.randint(-reach, reach) * tick, tick)
        move_prices(broker, prices, now, is_kept=False)


class Replay:
    """A file of daily candles: each step is the next of open, high, low, close, then the next day of the file."""

    def __init__(self, candles: DailyCandles, catalogue: Catalogue, since: date | None) -> None:
        self.candles = candles
        self._listed: dict[str, Instrument] = {
            symbol: instrument
            for symbol in candles.symbols
            if (instrument := catalogue.find(f"NSE:{symbol}")) is not None
        }
        self._day = sum(day < since for day, _ in candles.days) if since else 0
        self._leg = 0

    @property
    def reached(self) -> date | None:
        """The last day that has been played to its close; ``None`` before the first."""
        return self.candles.days[self._day - 1][0] if self._day else None

    def step(self, broker: Broker, now: datetime) -> None:
        """The next leg of the day; after the file's last close prices stand still."""
        if self._day >= len(self.candles.days):
            return
        prices = {}
        for symbol, candle in self.candles.days[self._day][1].items():
            instrument = self._listed.get(symbol)
            if instrument is None:
                continue
            prices[instrument.key] = candle.legs[self._leg]
            if self._leg == 0:
                broker.state.market.open_at(broker.state.market.get(instrument, now), candle.legs[0], now)
        move_prices(broker, prices, now, is_kept=False)
        self._leg += 1
        if self._leg == LEGS_A_DAY:
            broker.emit(r.ReplayReached(at=now, day=self.candles.days[self._day][0], prices=prices))
            self._day, self._leg = self._day + 1, 0


def keep_prices(broker: Broker, now: datetime) -> None:
    """Write the prices of the moment to the journal."""
    market = broker.state.market
    quotes = [market.find(key, now) for key in market.touched()]
    prices = {quote.instrument.key: quote.last_paise for quote in quotes if quote is not None}
    broker.emit(r.PricesSet(at=now, prices=prices))


def price_source(text: str, catalogue: Catalogue, since: date | None = None) -> RandomWalk | Replay | None:
    """The source ``SANDBOX_PRICES`` names; ``None`` for ``fixed``. Raises ``ValueError`` when a file cannot be read."""
    kind, _, detail = text.partition(":")
    if kind == "walk":
        return RandomWalk(int(detail), catalogue)
    if kind == "replay":
        return Replay(load_daily_candles(Path(detail)), catalogue, since)
    return None
