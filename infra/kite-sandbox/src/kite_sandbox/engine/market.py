"""Last prices and the day's figures, per instrument, in paise."""

import zlib
from dataclasses import dataclass
from datetime import datetime

from kite_sandbox.instruments import DEFAULT_TICK_PAISE, Catalogue, Instrument
from saras_common.money import round_half_up

DEPTH_LEVELS = 5
CIRCUIT_PERCENT = 20


@dataclass(slots=True)
class Quote:
    """An instrument's market: ``close_paise`` is the previous day's close, as Kite shows it."""

    instrument: Instrument
    last_paise: int
    open_paise: int
    high_paise: int
    low_paise: int
    close_paise: int
    updated_at: datetime
    volume: int = 0
    traded_value_paise: int = 0
    last_quantity: int = 0
    last_trade_at: datetime | None = None

    @property
    def average_paise(self) -> int:
        """The day's volume-weighted price; the last price while nothing has traded."""
        return round_half_up(self.traded_value_paise, self.volume) if self.volume else self.last_paise

    @property
    def circuit_limits(self) -> tuple[int, int]:
        """Lower and upper price band, shown but not enforced."""
        tick = self.instrument.tick_paise or DEFAULT_TICK_PAISE
        lower = self.close_paise * (100 - CIRCUIT_PERCENT) // 100
        upper = self.close_paise * (100 + CIRCUIT_PERCENT) // 100
        return lower - lower % -tick, upper - upper % tick

    def depth(self) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
        """Five bids and five offers around the last price: (price, quantity, orders).

        Plausible, and only for show: the sandbox fills any quantity at the last price.
        """
        tick = self.instrument.tick_paise or DEFAULT_TICK_PAISE
        if self.instrument.is_index:
            return [(0, 0, 0)] * DEPTH_LEVELS, [(0, 0, 0)] * DEPTH_LEVELS
        seed = zlib.crc32(f"{self.instrument.key}{self.last_paise}".encode())
        bids, offers = [], []
        for level in range(DEPTH_LEVELS):
            quantity, orders = 10 + (seed >> level) % 990, 1 + (seed >> level) % 19
            bid = self.last_paise - (level + 1) * tick
            bids.append((bid, quantity, orders) if bid > 0 else (0, 0, 0))
            offers.append((self.last_paise + level * tick, 1000 - quantity + 10, orders))
        return bids, offers


class Market:
    """All quotes. An instrument nobody has touched costs nothing until it is asked for."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._quotes: dict[str, Quote] = {}
        self.changed: set[str] = set()

    def find(self, key: str, at: datetime) -> Quote | None:
        """The quote of ``EXCHANGE:SYMBOL``; ``None`` when there is no such instrument."""
        if key not in self._quotes:
            instrument = self._catalogue.find(key)
            if instrument is None:
                return None
            price = instrument.start_price_paise
            self._quotes[key] = Quote(instrument, price, price, price, price, price, at)
        return self._quotes[key]

    def get(self, instrument: Instrument, at: datetime) -> Quote:
        """The quote of an instrument of the catalogue."""
        quote = self.find(instrument.key, at)
        if quote is None:
            raise KeyError(instrument.key)
        return quote

    def set_price(self, key: str, price_paise: int, at: datetime) -> None:
        """A new last price."""
        quote = self.find(key, at)
        if quote is None:
            return
        quote.last_paise, quote.updated_at = price_paise, at
        quote.high_paise = max(quote.high_paise, price_paise)
        quote.low_paise = min(quote.low_paise, price_paise)
        self.changed.add(key)

    def count_trade(self, key: str, quantity: int, price_paise: int, at: datetime) -> None:
        """Add a fill to the day's volume; its price is the last price."""
        self.set_price(key, price_paise, at)
        quote = self._quotes[key]
        quote.volume += quantity
        quote.traded_value_paise += quantity * price_paise
        quote.last_quantity, quote.last_trade_at = quantity, at

    def start_day(self, at: datetime) -> None:
        """Yesterday's last becomes the close, and the day's figures begin there."""
        for quote in self._quotes.values():
            self.open_at(quote, quote.last_paise, at)

    def open_at(self, quote: Quote, price_paise: int, at: datetime) -> None:
        """Begin a day for one instrument at ``price_paise``."""
        quote.close_paise = quote.last_paise
        quote.last_paise = quote.open_paise = quote.high_paise = quote.low_paise = price_paise
        quote.volume = quote.traded_value_paise = quote.last_quantity = 0
        quote.updated_at = at
        self.changed.add(quote.instrument.key)

    def touched(self) -> set[str]:
        """Keys that have a quote."""
        return set(self._quotes)

    def drain_changed(self) -> set[str]:
        """Keys whose quote changed since the last call."""
        changed, self.changed = self.changed, set()
        return changed
