"""Reports to take away: CSV for spreadsheets, PDF for people.

``build(name, data)`` is all there is to call. reportlab is imported by the first PDF, not by this package.
"""

from analytics_service.reports.data import (
    CashRow,
    Document,
    Person,
    PnlRow,
    PositionRow,
    ReportData,
    TradeRow,
)

CSV_NAMES = ("positions", "pnl_summary", "trades", "tax_lots")
PDF_NAMES = ("contract_note", "monthly_statement")
NAMES = (*CSV_NAMES, *PDF_NAMES)

__all__ = [
    "CSV_NAMES",
    "NAMES",
    "PDF_NAMES",
    "CashRow",
    "Document",
    "Person",
    "PnlRow",
    "PositionRow",
    "ReportData",
    "TradeRow",
    "build",
]


def build(name: str, data: ReportData, *, password: str = "") -> Document:
    """The report ``name`` (one of `NAMES`, else `KeyError`). ``password`` encrypts a PDF (AES-256), empty does not.

    The same data give the same bytes, but for an encrypted PDF. ``ValueError`` when a PDF has no ``person``, or a
    contract note's trades are of several users or days.
    """
    if name in PDF_NAMES:
        return _pdf(name, data, password)
    from analytics_service.reports import sheets

    writers = {
        "positions": sheets.positions,
        "pnl_summary": sheets.pnl_summary,
        "trades": sheets.trades,
        "tax_lots": sheets.tax_lots,
    }
    return Document(f"{name}_{data.on:%Y%m%d}.csv", "text/csv; charset=utf-8", writers[name](data))


def _pdf(name: str, data: ReportData, password: str) -> Document:
    from analytics_service.reports.contract_note import contract_note
    from analytics_service.reports.pdf import encrypted
    from analytics_service.reports.statement import monthly_statement

    if data.person is None:
        raise ValueError("a PDF is addressed to a person")
    if name == "contract_note":
        filename, content = f"{name}_{data.on:%Y%m%d}.pdf", contract_note(data, data.person)
    else:
        filename, content = f"{name}_{data.on:%Y%m}.pdf", monthly_statement(data, data.person)
    return Document(filename, "application/pdf", encrypted(content, password) if password else content)
