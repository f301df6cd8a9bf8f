"""Daily prices from files: Kite's candles, the exchange's bhavcopy, and any CSV with a date and four prices.

Prices are read as traded, never adjusted. Finer candles are joined to days. A price with more than two decimals is
rounded half up to the paisa: history values nothing in the ledger.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from saras_common.events import DayPrice
from saras_common.money import MAX_PAISE

MOST_ERRORS = 100
EQUITY_SERIES = frozenset({"EQ", "BE", "BZ"})
"""Series of the cash market; a bhavcopy also lists bonds, funds and rights under their own."""

_NAMES = {
    "instrument": ("instrument",),
    "symbol": ("symbol", "tradingsymbol", "tckrsymb", "ticker"),
    "series": ("series", "sctysrs"),
    "day": ("date", "timestamp", "date1", "traddt", "day", "datetime"),
    "open": ("open", "openprice", "opnpric"),
    "high": ("high", "highprice", "hghpric"),
    "low": ("low", "lowprice", "lwpric"),
    "close": ("close", "closeprice", "clspric"),
    "volume": ("volume", "qty", "tottrdqty", "ttltrdqnty", "ttltradgvol"),
}
"""What a column may be called, in lower case without blanks and underscores; the first form is the generic one."""

_REQUIRED = ("day", "open", "high", "low", "close")
_DATE_FORMS = ("%d-%b-%Y", "%d-%m-%Y", "%d/%m/%Y", "%Y%m%d")


class BadRow(ValueError):
    """A row that cannot be read; the message says why."""


@dataclass(slots=True)
class Parsed:
    """Days read from a file, and what could not be read: (line, message)."""

    prices: list[DayPrice] = field(default_factory=list)
    errors: list[tuple[int, str]] = field(default_factory=list)


def parse_history(content: bytes, *, instrument: str | None, exchange: str) -> Parsed:
    """Read a file of daily or finer prices; ``instrument`` where the file itself does not name it."""
    result = Parsed()
    try:
        text = content.decode("utf-8-sig")
        rows = _json_rows(text) if text.lstrip().startswith(("{", "[")) else _csv_rows(text)
        days: dict[tuple[str, date], DayPrice] = {}
        for line, row in rows:
            if len(result.errors) >= MOST_ERRORS:
                break
            try:
                price = _price(row, instrument, exchange)
            except BadRow as error:
                result.errors.append((line, str(error)))
                continue
            if price is not None:
                key = (price.instrument, price.day)
                days[key] = _joined(days[key], price) if key in days else price
        result.prices = [days[key] for key in sorted(days)]
    except (UnicodeDecodeError, BadRow, csv.Error) as error:
        message = str(error) if isinstance(error, BadRow) else "the file cannot be read as text"
        result.errors.append((1, message))
    return result


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [_plain(name) for name in next(reader, [])]
    wanted = {
        ours: header.index(found)
        for ours, names in _NAMES.items()
        if (found := next((name for name in names if name in header), None)) is not None
    }
    missing = [name for name in _REQUIRED if name not in wanted]
    if missing:
        raise BadRow(f"no column for {', '.join(missing)}")
    for row in reader:
        if any(row):
            yield reader.line_num, {name: _cell(row, index) for name, index in wanted.items()}


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    try:
        document = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise BadRow("not valid JSON") from error
    data = document.get("data") if isinstance(document, dict) else document
    candles = data.get("candles") if isinstance(data, dict) else data
    if not isinstance(candles, list):
        raise BadRow("no candles in it")
    for number, candle in enumerate(candles, 1):
        yield number, _candle(candle)


def _candle(candle: Any) -> Mapping[str, str]:
    names = ("day", "open", "high", "low", "close", "volume")
    if isinstance(candle, dict):  # as the client library gives them
        return {name: str(candle.get("date" if name == "day" else name, "")) for name in names}
    if isinstance(candle, list):
        return dict(zip(names, (str(part) for part in candle), strict=False))
    return {}


def _price(row: Mapping[str, str], instrument: str | None, exchange: str) -> DayPrice | None:
    """One row as a day; ``None`` for a series that is not equity."""
    if row.get("series") and row["series"] not in EQUITY_SERIES:
        return None
    name = row.get("instrument") or (f"{exchange}:{row['symbol']}" if row.get("symbol") else instrument)
    if not name or ":" not in name:
        raise BadRow("no instrument")
    opened, high, low, close = (_paise(row.get(part, ""), part) for part in ("open", "high", "low", "close"))
    if not low <= min(opened, close) <= max(opened, close) <= high:
        raise BadRow("open and close must lie between low and high")
    return DayPrice(
        instrument=name,
        day=_day(row.get("day", "")),
        open_paise=opened,
        high_paise=high,
        low_paise=low,
        close_paise=close,
        volume=_volume(row.get("volume", "")),
    )


def _joined(one: DayPrice, later: DayPrice) -> DayPrice:
    """Two candles of one day, in the order of the file."""
    volume = None if one.volume is None or later.volume is None else one.volume + later.volume
    return one.model_copy(
        update={
            "high_paise": max(one.high_paise, later.high_paise),
            "low_paise": min(one.low_paise, later.low_paise),
            "close_paise": later.close_paise,
            "volume": volume,
        }
    )


def _day(text: str) -> date:
    try:
        return datetime.fromisoformat(text).date()  # a candle's own zone is the exchange's
    except ValueError:
        pass
    for form in _DATE_FORMS:
        try:
            return datetime.strptime(text.title() if "%b" in form else text, form).date()  # noqa: DTZ007 - a date alone
        except ValueError:
            continue
    raise BadRow("not a date")


def _paise(text: str, name: str) -> int:
    try:
        paise = (Decimal(text) * 100).quantize(Decimal(1), ROUND_HALF_UP)
    except InvalidOperation as error:
        raise BadRow(f"{name} is not a price") from error
    if not (paise.is_finite() and 0 < paise <= MAX_PAISE):
        raise BadRow(f"{name} is not a price")
    return int(paise)


def _volume(text: str) -> int | None:
    if not text:
        return None
    try:
        volume = int(Decimal(text))
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise BadRow("volume is not a number") from error
    if not 0 <= volume < 2**63:
        raise BadRow("volume is not a number")
    return volume


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "").replace(" ", "")


def _cell(row: Sequence[str], index: int) -> str:
    return row[index].strip() if index < len(row) else ""


def adjustment(actions: Iterable[tuple[date, Decimal]], day: date) -> Decimal:
    """What a price of ``day`` is divided by to compare with prices after all ``actions`` (ex-day, new per old)."""
    result = Decimal(1)
    for ex_day, ratio in actions:
        if day < ex_day:
            result *= ratio
    return result
