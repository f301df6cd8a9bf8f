"""The PDFs' paper: page, type, tables, footer, password."""

import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from reportlab.lib import colors
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from analytics_service.domain.rupees import grouped
from analytics_service.reports import fonts
from analytics_service.reports.data import Person

INDIA = ZoneInfo("Asia/Kolkata")
INK, GREY, RULE, BAND = (colors.HexColor(code) for code in ("#1F2A37", "#5B6470", "#B9C0C8", "#F2F5F8"))
_MARGIN = 14 * mm
_PADDING = 6
"""Of reportlab's frames."""
TITLE = ParagraphStyle("title", fontName=fonts.BOLD, fontSize=17, leading=21, textColor=INK)
HEADING = ParagraphStyle(
    "heading", fontName=fonts.BOLD, fontSize=11, leading=14, textColor=INK, spaceBefore=10, spaceAfter=4
)
BODY = ParagraphStyle(
    "body", fontName=fonts.REGULAR, fontSize=9, leading=12.5, textColor=INK, alignment=TA_LEFT, shaping=1
)
TINY = ParagraphStyle("tiny", parent=BODY, fontSize=6.3, leading=8, textColor=GREY)
SMALL = ParagraphStyle("small", parent=BODY, fontSize=7.5, leading=9.5, textColor=GREY)


def paragraph(text: str, style: ParagraphStyle = BODY) -> Paragraph:
    """``text`` as it stands: nothing in it is markup."""
    return Paragraph(fonts.marked(text), style)


def amount(paise: int | None) -> str:
    """Rupees grouped the Indian way; a dash when unknown."""
    return "–" if paise is None else grouped(paise)


def local(at: datetime) -> str:
    """Date and time in India."""
    return f"{at.astimezone(INDIA):%d %b %Y %H:%M:%S} IST"


def head(title: str, subtitle: str, person: Person, facts: Sequence[tuple[str, str]]) -> list[Flowable]:
    """Title, whom it is for, and the facts beside."""
    pan = [f"PAN {person.masked_pan}"] if person.masked_pan else []
    address = [person.full_name, person.email, f"Client {person.client_id}", *pan]
    left = Paragraph("<br/>".join(fonts.marked(line) for line in address), BODY)
    right = Paragraph(
        "<br/>".join(f"{fonts.marked(name)}: <b>{fonts.marked(value)}</b>" for name, value in facts), BODY
    )
    blocks = LongTable([[left, right]], colWidths=["55%", "45%"])
    blocks.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]))
    return [paragraph(title, TITLE), paragraph(subtitle, SMALL), Spacer(1, 4 * mm), blocks, Spacer(1, 2 * mm)]


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[Any]],
    widths_mm: Sequence[float],
    *,
    texts: int = 1,
    totals: int = 0,
    size: float = 8,
    text_last: bool = False,
) -> LongTable:
    """A ruled table: the first ``texts`` columns to the left, numbers to the right, the last ``totals`` rows bold.

    ``text_last``: the last column is text too.

    Its head is repeated on every page. Cells are texts or flowables; texts are not read as markup.
    """
    cells = ParagraphStyle("cell", parent=BODY, fontSize=size, leading=size * 1.2)
    body = [[_cell(cell, cells) for cell in row] for row in rows]
    made = LongTable([list(heads), *body], colWidths=[width * mm for width in widths_mm], repeatRows=1)
    style: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, -1), fonts.REGULAR, size),
        ("FONT", (0, 0), (-1, 0), fonts.BOLD, size),
        ("TEXTCOLOR", (0, 0), (-1, -1), INK),
        ("BACKGROUND", (0, 0), (-1, 0), BAND),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
        ("ALIGN", (texts, 0), (-1, -1), "RIGHT"),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("TOPPADDING", (0, 0), (-1, -1), 2.6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.6),
        ("LEFTPADDING", (0, 0), (-1, -1), 4),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ]
    if text_last:
        style.append(("ALIGN", (-1, 0), (-1, -1), "LEFT"))
    if totals:
        style += [
            ("FONT", (0, -totals), (-1, -1), fonts.BOLD, size),
            ("LINEABOVE", (0, -totals), (-1, -totals), 0.9, INK),
        ]
    made.setStyle(TableStyle(style))
    made.hAlign = "LEFT"
    return made


def _cell(cell: Any, style: ParagraphStyle) -> Any:
    return paragraph(cell, style) if isinstance(cell, str) and not fonts.is_plain(cell) else cell


class _Numbered(Canvas):  # type: ignore[misc] # reportlab has no types
    """Writes the footer and "page of pages", once the number of pages is known."""

    def __init__(self, *args: Any, footer: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._footer = fonts.plain(footer)
        self._kept: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        self._kept.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for kept in self._kept:
            self.__dict__.update(kept)
            self.setFont(fonts.REGULAR, 7.5)
            self.setFillColor(GREY)
            self.drawString(_MARGIN + _PADDING, 10 * mm, self._footer)
            self.drawRightString(
                self._pagesize[0] - _MARGIN - _PADDING, 10 * mm, f"Page {self._pageNumber} of {len(self._kept)}"
            )
            super().showPage()
        super().save()


def document(story: list[Flowable], title: str, footer: str, *, wide: bool = False) -> bytes:
    """The finished PDF: A4, ``wide`` lying down; ``footer`` and the page's number at the foot of every page."""
    out = io.BytesIO()
    template = SimpleDocTemplate(
        out, pagesize=landscape(A4) if wide else A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN,
        bottomMargin=18 * mm, title=title, author="Saras", invariant=1,
    )  # fmt: skip

    template.build(story, canvasmaker=partial(_Numbered, footer=footer))
    return out.getvalue()


def encrypted(content: bytes, password: str) -> bytes:
    """The PDF behind ``password``, AES-256."""
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(content)))
    writer.encrypt(password, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
