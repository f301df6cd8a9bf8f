"""The ticker's binary packets: big-endian, prices in paise as every segment but currency has them."""

import struct
from collections.abc import Iterable
from typing import Literal

from kite_sandbox.engine.market import Quote

TickMode = Literal["ltp", "quote", "full"]
HEARTBEAT = b"\x00"

_LTP = struct.Struct(">II")
_QUOTE = struct.Struct(">11I")
_INDEX_QUOTE = struct.Struct(">7i")
_INDEX_FULL = struct.Struct(">8i")
_FULL_TAIL = struct.Struct(">5I")
_LEVEL = struct.Struct(">IIHH")
_SHORT = struct.Struct(">H")
UINT32 = (1 << 32) - 1


def packet(quote: Quote, mode: TickMode) -> bytes:
    """One instrument: 8 bytes ltp; 28 or 32 for an index; 44 quote; 184 full with five bids and five offers."""
    token = quote.instrument.token
    if mode == "ltp":
        return _LTP.pack(token, quote.last_paise)
    if quote.instrument.is_index:
        return _index_packet(quote, mode)
    bids, offers = quote.depth()
    body = _QUOTE.pack(
        token,
        quote.last_paise,
        quote.last_quantity,
        quote.average_paise,
        min(quote.volume, UINT32),
        sum(quantity for _, quantity, _ in bids),
        sum(quantity for _, quantity, _ in offers),
        quote.open_paise,
        quote.high_paise,
        quote.low_paise,
        quote.close_paise,
    )
    if mode == "quote":
        return body
    traded_at = int((quote.last_trade_at or quote.updated_at).timestamp())
    tail = _FULL_TAIL.pack(traded_at, 0, 0, 0, int(quote.updated_at.timestamp()))
    depth = b"".join(_LEVEL.pack(quantity, price, orders, 0) for price, quantity, orders in [*bids, *offers])
    return body + tail + depth


def _index_packet(quote: Quote, mode: TickMode) -> bytes:
    figures = (
        quote.instrument.token,
        quote.last_paise,
        quote.high_paise,
        quote.low_paise,
        quote.open_paise,
        quote.close_paise,
        quote.last_paise - quote.close_paise,
    )
    if mode == "quote":
        return _INDEX_QUOTE.pack(*figures)
    return _INDEX_FULL.pack(*figures, int(quote.updated_at.timestamp()))


def message(packets: Iterable[bytes]) -> bytes:
    """Packets in one frame: their count, then each with its length."""
    listed = list(packets)
    return _SHORT.pack(len(listed)) + b"".join(_SHORT.pack(len(one)) + one for one in listed)
