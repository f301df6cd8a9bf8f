"""The monthly statement: worth from month to month, figures with their conventions, holdings, trades and cash."""

from collections.abc import Sequence

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Spacer

from analytics_service.domain.figures import Figure
from analytics_service.domain.labels import LABELS, shown
from analytics_service.reports.data import CashRow, Person, PositionRow, ReportData, TradeRow
from analytics_service.reports.pdf import (
    HEADING,
    INDIA,
    SMALL,
    amount,
    document,
    head,
    local,
    paragraph,
    table,
)
from analytics_service.reports.sheets import by_time, price


def monthly_statement(data: ReportData, person: Person) -> bytes:
    """A PDF, upright."""
    month = f"{data.on:%B %Y}"
    facts = [("Month", month), ("Valued at the close of", f"{data.on:%d %b %Y}")]
    story = head("Monthly statement", "All amounts in Indian rupees (₹); times in India", person, facts)
    story += [paragraph("Summary", HEADING), _summary(data)]
    if data.figures:
        story += [paragraph("Performance", HEADING), _figures(data.figures)]
    story += _section("Holdings", _holdings(data.positions) if data.positions else None)
    story += _section("Trades", _trades(by_time(data.trades)) if data.trades else None)
    story += _section("Cash", _cash(data.cash) if data.cash else None)
    return document(story, f"Monthly statement {month}", f"Monthly statement {month} · made {local(data.generated_at)}")


def _section(heading: str, content: Flowable | None) -> list[Flowable]:
    if content is None:
        return [KeepTogether([paragraph(heading, HEADING), paragraph("None this month.", SMALL)])]
    return [paragraph(heading, HEADING), content, Spacer(1, 2 * mm)]


def _summary(data: ReportData) -> Flowable:
    known = data.opening_paise is not None and data.closing_paise is not None
    gain = (
        (data.closing_paise or 0) - (data.opening_paise or 0) - data.paid_in_paise + data.paid_out_paise
        if known
        else None
    )
    rows = [
        ("Worth at the end of the month before", amount(data.opening_paise)),
        ("Paid in", amount(data.paid_in_paise)),
        ("Paid out", amount(-data.paid_out_paise)),
        ("Gain or loss, after charges", amount(gain)),
        ("Worth at the end of the month", amount(data.closing_paise)),
        ("of which cash", amount(data.closing_cash_paise)),
    ]
    return table(("", "Amount"), rows, (90, 40), size=8.5)


def _figures(figures: Sequence[tuple[str, Figure]]) -> Flowable:
    rows = [(LABELS[name].text, shown(name, figure), paragraph(figure.convention, SMALL)) for name, figure in figures]
    return table(("Figure", "Value", "Convention"), rows, (54, 30, 98), text_last=True)


def _holdings(positions: Sequence[PositionRow]) -> Flowable:
    ordered = sorted(positions, key=lambda row: (row.instrument, row.portfolio, row.product))
    rows: list[tuple[str, ...]] = [
        (
            row.instrument, row.sector, str(row.quantity), str(price(row.cost_paise, row.quantity) or ""),
            amount(row.last_price_paise), amount(row.value_paise), amount(row.unrealised_paise),
        )
        for row in ordered
    ]  # fmt: skip
    values = [row.value_paise for row in ordered]
    gains = [row.unrealised_paise for row in ordered]
    rows.append(("Total", "", "", "", "", amount(_total(values)), amount(_total(gains))))
    heads = ("Security", "Sector", "Quantity", "Average", "Last", "Value", "Unrealised")
    return table(heads, rows, (38, 34, 18, 22, 20, 26, 24), texts=2, totals=1)


def _total(amounts: Sequence[int | None]) -> int | None:
    """Unknown as soon as a part is."""
    known = [one for one in amounts if one is not None]
    return sum(known) if len(known) == len(amounts) else None


def _trades(trades: Sequence[TradeRow]) -> Flowable:
    rows = [
        (
            f"{trade.traded_at.astimezone(INDIA):%d %b %H:%M:%S}", trade.instrument,
            "Buy" if trade.side == "BUY" else "Sell", str(trade.quantity),
            str(price(trade.value_paise, trade.quantity) or ""), amount(trade.value_paise),
            amount(trade.charges_paise), amount(trade.net_paise),
        )
        for trade in trades
    ]  # fmt: skip
    heads = ("Time", "Security", "", "Quantity", "Price", "Value", "Charges", "Net amount")
    return table(heads, rows, (30, 38, 12, 18, 22, 24, 16, 22), texts=3)


def _cash(cash: Sequence[CashRow]) -> Flowable:
    rows = [
        (f"{row.on:%d %b %Y}", paragraph(row.description), amount(row.amount_paise), amount(row.balance_paise))
        for row in cash
    ]
    return table(("Date", "What", "Amount", "Balance"), rows, (26, 92, 32, 32), texts=2)
