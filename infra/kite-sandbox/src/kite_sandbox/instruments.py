"""What can be traded and quoted: the list the package ships, or any Kite instruments CSV."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from pathlib import Path

from saras_common.money import PAISE

SEGMENT_CODES = {"NSE": 1, "BSE": 4, "INDICES": 9}
"""Last byte of an instrument token, as the ticker's clients read it."""

TRADED_EXCHANGES = frozenset({"NSE", "BSE"})
"""The sandbox trades the cash segments; everything else in a loaded list is shown and quoted only."""

COLUMNS = [
    "instrument_token",
    "exchange_token",
    "tradingsymbol",
    "name",
    "last_price",
    "expiry",
    "strike",
    "tick_size",
    "lot_size",
    "instrument_type",
    "segment",
    "exchange",
]

DEFAULT_TICK_PAISE = 5


@dataclass(frozen=True, slots=True)
class Instrument:
    """One row of the instruments list. Prices in paise; ``tick_paise`` is 0 for an index."""

    token: int
    exchange_token: str
    exchange: str
    symbol: str
    name: str
    segment: str
    instrument_type: str
    tick_size: str
    tick_paise: int
    lot_size: int
    expiry: str
    strike: str
    isin: str
    industry: str
    start_price_paise: int

    @property
    def key(self) -> str:
        """``NSE:INFY``, as Kite's quote calls write it."""
        return f"{self.exchange}:{self.symbol}"

    @property
    def is_index(self) -> bool:
        """Indices are quoted, never traded."""
        return self.segment == "INDICES"

    @property
    def is_traded(self) -> bool:
        """Whether this sandbox takes orders in it."""
        return self.exchange in TRADED_EXCHANGES and not self.is_index and self.tick_paise > 0

    @property
    def depository_key(self) -> str:
        """What the depository charges by: the ISIN, or the instrument where the list names none."""
        return self.isin or self.key


class Catalogue:
    """All instruments, found by key or token."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self.instruments = tuple(instruments)
        self._by_key = {instrument.key: instrument for instrument in self.instruments}
        self._by_token = {instrument.token: instrument for instrument in self.instruments}
        self._rendered: dict[str | None, bytes] = {}

    def find(self, key: str) -> Instrument | None:
        """The instrument written ``EXCHANGE:SYMBOL``."""
        return self._by_key.get(key)

    def find_token(self, token: int) -> Instrument | None:
        """The instrument with this token."""
        return self._by_token.get(token)

    def exchanges(self) -> frozenset[str]:
        """Exchanges with at least one instrument."""
        return frozenset(instrument.exchange for instrument in self.instruments)

    def as_csv(self, exchange: str | None) -> bytes:
        """Kite's dump, all of it or one exchange's; rendered once."""
        if exchange not in self._rendered:
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(
                (
                    *(i.token, i.exchange_token, i.symbol, i.name, 0, i.expiry, i.strike),
                    *(i.tick_size, i.lot_size, i.instrument_type, i.segment, i.exchange),
                )
                for i in self.instruments
                if exchange is None or i.exchange == exchange
            )
            self._rendered[exchange] = text.getvalue().encode()
        return self._rendered[exchange]


def open_text(path: Path) -> io.TextIOBase:
    """A CSV file opened for reading, unpacked when its name ends in ``.gz``."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def whole_paise(text: str) -> int:
    """Paise of a price in a file; 0 when it is empty, not a number, or finer than a paisa."""
    try:
        paise = Decimal(text) * PAISE
    except InvalidOperation:
        return 0
    return int(paise) if paise.is_finite() and paise == int(paise) else 0


def shipped_instruments() -> list[Instrument]:
    """The NIFTY 50 names and their index, with tokens and starting prices of the sandbox's own."""
    text = files("kite_sandbox").joinpath("data/nifty50.csv").read_text(encoding="utf-8")
    return [
        Instrument(
            token=int(row["exchange_token"]) << 8 | SEGMENT_CODES[row["segment"]],
            exchange_token=row["exchange_token"],
            exchange="NSE",
            symbol=row["symbol"],
            name=row["name"],
            segment=row["segment"],
            instrument_type="EQ",
            tick_size=row["tick_size"],
            tick_paise=whole_paise(row["tick_size"]),
            lot_size=int(row["lot_size"]),
            expiry="",
            strike="0",
            isin=row["isin"],
            industry=row["industry"],
            start_price_paise=whole_paise(row["price"]),
        )
        for row in csv.DictReader(text.splitlines())
    ]


def load_instruments(path: Path) -> list[Instrument]:
    """A Kite instruments CSV (or ``.csv.gz``).

    Such lists carry no ISIN and no price: the shipped names lend theirs, any other instrument starts at a price drawn
    from its own key, the same at every start.
    Raises ``ValueError`` naming the file and line when a row cannot be read.
    """
    known = {instrument.key: instrument for instrument in shipped_instruments()}
    with open_text(path) as lines:
        reader = csv.DictReader(lines)
        missing = set(COLUMNS) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: not a Kite instruments file, no column {', '.join(sorted(missing))}")
        instruments = []
        for row in reader:
            try:
                instruments.append(_from_row(row, known))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path}: line {reader.line_num}: {error}") from error
    return instruments


def _from_row(row: dict[str, str], known: dict[str, Instrument]) -> Instrument:
    key = f"{row['exchange']}:{row['tradingsymbol']}"
    twin = known.get(key)
    tick = whole_paise(row["tick_size"])
    price = whole_paise(row["last_price"]) or (twin.start_price_paise if twin else _drawn_price(key, tick))
    return Instrument(
        token=int(row["instrument_token"]),
        exchange_token=row["exchange_token"],
        exchange=row["exchange"],
        symbol=row["tradingsymbol"],
        name=row["name"],
        segment=row["segment"],
        instrument_type=row["instrument_type"],
        tick_size=row["tick_size"],
        tick_paise=tick,
        lot_size=int(row["lot_size"]),
        expiry=row["expiry"],
        strike=row["strike"],
        isin=twin.isin if twin else "",
        industry=twin.industry if twin else "",
        start_price_paise=price,
    )


def _drawn_price(key: str, tick_paise: int) -> int:
    """Between ₹50 and ₹2,050, on the tick grid, fixed by the key."""
    tick = tick_paise or DEFAULT_TICK_PAISE
    drawn = 5_000 + zlib.crc32(key.encode()) % 200_000
    return max(drawn - drawn % tick, tick)
