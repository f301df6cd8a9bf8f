"""The contract note: what one client traded on one day, at what price, with every charge, and what is due."""

from reportlab.lib.units import mm
from reportlab.platypus import KeepTogether, Spacer

from analytics_service.reports.data import Person, ReportData, TradeRow
from analytics_service.reports.pdf import (
    HEADING,
    INDIA,
    TINY,
    amount,
    document,
    head,
    local,
    paragraph,
    table,
)
from analytics_service.reports.sheets import by_time, price

CHARGES = (
    ("Brokerage", "brokerage_paise"),
    ("Securities transaction tax", "stt_paise"),
    ("Exchange transaction charges", "exchange_paise"),
    ("SEBI turnover fees", "sebi_paise"),
    ("Stamp duty", "stamp_duty_paise"),
    ("GST", "gst_paise"),
    ("Depository participant charges", "dp_paise"),
)


def contract_note(data: ReportData, person: Person) -> bytes:
    """A PDF, lying down. ``ValueError`` when the trades are of several users or days."""
    trades = by_time(data.trades)
    if len({trade.user_id for trade in trades}) > 1:
        raise ValueError("a contract note is of one user")
    if any(trade.traded_at.astimezone(INDIA).date() != data.on for trade in trades):
        raise ValueError("a contract note is of one day")
    settles = sorted({trade.settles_on for trade in trades})
    facts = [
        ("Contract note", f"{data.on:%Y%m%d}-{person.client_id}"),
        ("Trade date", f"{data.on:%d %b %Y}"),
        ("Settlement date", ", ".join(f"{day:%d %b %Y}" for day in settles) or "–"),
        ("Trades", str(len(trades))),
    ]
    story = head("Contract note", "All amounts in Indian rupees (₹); times in India", person, facts)
    if trades:
        story += [_trades(trades), KeepTogether([Spacer(1, 3 * mm), *_due(trades)])]
    else:
        story.append(paragraph("No trades on this day."))
    return document(
        story,
        f"Contract note {data.on:%d %b %Y}",
        f"Contract note {data.on:%d %b %Y} · made {local(data.generated_at)}",
        wide=True,
    )


def _trades(trades: list[TradeRow]) -> object:
    heads = ("Order", "Trade", "Time", "Security", "", "Product", "Quantity", "Price", "Value", "Charges", "Net amount")
    rows = [
        (
            paragraph(trade.order_id, TINY),
            paragraph(trade.trade_id, TINY),
            f"{trade.traded_at.astimezone(INDIA):%H:%M:%S}",
            trade.instrument,
            "Buy" if trade.side == "BUY" else "Sell",
            trade.product,
            str(trade.quantity),
            str(price(trade.value_paise, trade.quantity) or ""),
            amount(trade.value_paise),
            amount(trade.charges_paise),
            amount(trade.net_paise),
        )
        for trade in trades
    ]
    return table(heads, rows, (45, 45, 15, 32, 10, 13, 16, 21, 25, 20, 27), texts=6, size=7.5)


def _due(trades: list[TradeRow]) -> list[object]:
    """Charges by kind, and the net amount with its direction in words."""
    bought = sum(trade.value_paise for trade in trades if trade.side == "BUY")
    sold = sum(trade.value_paise for trade in trades if trade.side == "SELL")
    net = sum(trade.net_paise for trade in trades)
    charges = [(label, amount(sum(getattr(trade, name) for trade in trades))) for label, name in CHARGES]
    rows = [
        ("Sold", amount(sold)),
        ("Bought", amount(-bought)),
        *((label, value if value == "0.00" else f"-{value}") for label, value in charges),
        ("Net receivable by client" if net >= 0 else "Net payable by client", amount(abs(net))),
    ]
    return [paragraph("Charges and what is due", HEADING), table(("", "Amount"), rows, (70, 36), totals=1)]
