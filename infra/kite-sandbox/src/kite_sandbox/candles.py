"""Daily candles from a file, and history drawn for instruments without one."""

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from kite_sandbox.instruments import open_text, whole_paise

NEEDED = ("symbol", "date", "open", "high", "low", "close")
VOLUME_NAMES = ("volume", "qty", "quantity")


@dataclass(frozen=True, slots=True)
class Candle:
    """Open, high, low, close in paise, and volume."""

    legs: tuple[int, int, int, int]
    volume: int


@dataclass(frozen=True, slots=True)
class DailyCandles:
    """Days in order, each with its candles by symbol."""

    days: tuple[tuple[date, dict[str, Candle]], ...]
    symbols: frozenset[str]


def load_daily_candles(path: Path) -> DailyCandles:
    """A CSV (or ``.csv.gz``) with columns symbol, date, open, high, low, close and perhaps volume.

    Raises ``ValueError`` naming the file and line when a row cannot be read.
    """
    days: dict[date, dict[str, Candle]] = {}
    with open_text(path) as lines:
        reader = csv.DictReader(lines)
        names = reader.fieldnames or ()
        missing = [name for name in NEEDED if name not in names]
        if missing:
            raise ValueError(f"{path}: no column {', '.join(missing)}")
        volume_name = next((name for name in VOLUME_NAMES if name in names), None)
        for row in reader:
            legs = (
                whole_paise(row["open"]),
                whole_paise(row["high"]),
                whole_paise(row["low"]),
                whole_paise(row["close"]),
            )
            if min(legs) <= 0:
                raise ValueError(f"{path}: line {reader.line_num}: a price is missing or finer than a paisa")
            volume = int(float(row[volume_name] or 0)) if volume_name else 0
            days.setdefault(date.fromisoformat(row["date"][:10]), {})[row["symbol"]] = Candle(legs, volume)
    symbols = frozenset(symbol for candles in days.values() for symbol in candles)
    return DailyCandles(tuple(sorted(days.items())), symbols)
