"""CSV reports (RFC 4180, UTF-8), sorted, with cells no spreadsheet will run."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

from analytics_service.domain.tax import ClosedLot, OpenLot
from analytics_service.reports.data import ReportData, TradeRow
from saras_common.money import average_price, rupees

_STARTS_FORMULA = frozenset("=+-@\t\r\n|%＝＋－＠")
"""What makes a spreadsheet take a text for a formula or a command, in both widths."""


class Number(str):
    """Written as it is: digits of our own making, which may begin with a minus."""

    __slots__ = ()


Cell = str | int | date | datetime | None


def text_cell(text: str) -> str:
    """``text`` as a spreadsheet shows it and never runs it: an apostrophe goes before what could be a formula."""
    start = text.lstrip(" \u00a0\u3000")[:1]
    return f"'{text}" if start in _STARTS_FORMULA and start else text


def written(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """The table as CSV; ``None`` is an empty cell, instants are RFC 3339 in UTC."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(heads)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return out.getvalue().encode()


def _cell(cell: Cell) -> str | int:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, Number | int):
        return cell
    return text_cell(cell)


def money(paise: int | None) -> Number | None:
    """Rupees with two places."""
    return None if paise is None else Number(rupees(paise))


def price(value_paise: int, quantity: int) -> Number | None:
    """Value by quantity, to four places where two do not say it."""
    shown = average_price(abs(value_paise), abs(quantity))
    return None if shown is None else Number(shown)


def positions(data: ReportData) -> bytes:
    """Running positions with cost, value and profit."""
    heads = (
        "user_id", "portfolio", "instrument", "product", "sector", "quantity", "average_price", "cost", "last_price",
        "market_value", "unrealised_pnl", "realised_pnl",
    )  # fmt: skip
    ordered = sorted(data.positions, key=lambda row: (row.user_id, row.portfolio, row.instrument, row.product))
    rows = (
        (
            row.user_id, row.portfolio, row.instrument, row.product, row.sector, row.quantity,
            price(row.cost_paise, row.quantity), money(row.cost_paise), money(row.last_price_paise),
            money(row.value_paise), money(row.unrealised_paise), money(row.realised_paise),
        )
        for row in ordered
    )  # fmt: skip
    return written(heads, rows)


def pnl_summary(data: ReportData) -> bytes:
    """Profit by instrument with what was traded."""
    heads = (
        "user_id", "portfolio", "instrument", "trades", "buy_quantity", "buy_value", "sell_quantity", "sell_value",
        "net_quantity", "realised_pnl", "unrealised_pnl", "charges", "net_pnl",
    )  # fmt: skip
    ordered = sorted(data.pnl, key=lambda row: (row.user_id, row.portfolio, row.instrument))
    rows = (
        (
            row.user_id, row.portfolio, row.instrument, row.trades, row.buy_quantity, money(row.buy_value_paise),
            row.sell_quantity, money(row.sell_value_paise), row.buy_quantity - row.sell_quantity,
            money(row.realised_paise), money(row.unrealised_paise), money(row.charges_paise), money(row.net_paise),
        )
        for row in ordered
    )  # fmt: skip
    return written(heads, rows)


def by_time(trades: Iterable[TradeRow]) -> list[TradeRow]:
    """Trades of each user in the order they happened."""
    return sorted(trades, key=lambda row: (row.user_id, row.traded_at, row.trade_id))


def trades(data: ReportData) -> bytes:
    """Executions with their charges."""
    heads = (
        "user_id", "portfolio", "trade_id", "order_id", "traded_at", "settles_on", "instrument", "side", "product",
        "quantity", "price", "value", "brokerage", "stt", "exchange", "sebi", "stamp_duty", "gst", "dp", "charges",
        "net_amount", "counterparty", "source",
    )  # fmt: skip
    rows = (
        (
            row.user_id, row.portfolio, row.trade_id, row.order_id, row.traded_at, row.settles_on, row.instrument,
            row.side, row.product, row.quantity, price(row.value_paise, row.quantity), money(row.value_paise),
            money(row.brokerage_paise), money(row.stt_paise), money(row.exchange_paise), money(row.sebi_paise),
            money(row.stamp_duty_paise), money(row.gst_paise), money(row.dp_paise), money(row.charges_paise),
            money(row.net_paise), row.counterparty, row.source,
        )
        for row in by_time(data.trades)
    )  # fmt: skip
    return written(heads, rows)


def tax_lots(data: ReportData) -> bytes:
    """Closed lots with their gain and term, then open ones."""
    heads = (
        "user_id", "status", "term", "instrument", "product", "quantity", "bought_on", "sold_on", "cost", "proceeds",
        "gain", "buy_trade_id", "sell_trade_id",
    )  # fmt: skip
    closed = sorted(data.closed_lots, key=lambda item: (item[0], item[1].instrument))
    left = sorted(data.open_lots, key=lambda item: (item[0], item[1].instrument))
    return written(heads, [*(_closed(*item) for item in closed), *(_open(*item) for item in left)])


def _closed(user_id: str, lot: ClosedLot) -> Sequence[Cell]:
    return (
        user_id, "closed", lot.term, lot.instrument, lot.product, lot.quantity, lot.bought_on, lot.sold_on,
        money(lot.cost_paise), money(lot.proceeds_paise), money(lot.gain_paise), lot.buy_trade_id, lot.sell_trade_id,
    )  # fmt: skip


def _open(user_id: str, lot: OpenLot) -> Sequence[Cell]:
    cost = money(lot.cost_paise)
    opened: Sequence[Cell] = (lot.opened_on, None, cost, None, None, lot.trade_id, None)
    if lot.quantity < 0:
        opened = (None, lot.opened_on, None, cost, None, None, lot.trade_id)
    return user_id, "open", None, lot.instrument, lot.product, lot.quantity, *opened
