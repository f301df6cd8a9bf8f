"""Reports: exact money, cells no spreadsheet runs, PDFs a reader opens with the right password alone."""

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from pypdf import PdfReader
from reportlab.pdfbase.ttfonts import ShapedStr, shapeStr

from analytics_service import reports
from analytics_service.domain.figures import Figure, Reason
from analytics_service.domain.tax import ClosedLot, OpenLot, Term
from analytics_service.reports import CashRow, Person, PnlRow, PositionRow, ReportData, TradeRow, fonts
from analytics_service.reports.sheets import text_cell

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ON = date(2026, 11, 20)
ASHA = Person("AB1234", "Asha <b>Rao</b> & Söns", "asha@example.com", "XXXXXX123F")


def trade(number, side, quantity, value_paise, **charges):
    return TradeRow(
        "u1", "Main", f"t{number}", f"o{number}", "NSE:INFY", side, "CNC", quantity, value_paise,
        datetime(2026, 11, 20, 4, number, tzinfo=UTC), date(2026, 11, 23), "NSE Clearing", "platform", **charges,
    )  # fmt: skip


# CNC NSE, 100 @ 1500 bought: charges 178.11; 100 @ 1600 sold: 165.98 and 15.34 for the depository
BUY = trade(
    0, "BUY", 100, 15000000, stt_paise=15000, exchange_paise=460, sebi_paise=15, stamp_duty_paise=2250, gst_paise=86
)
SELL = trade(1, "SELL", 100, 16000000, stt_paise=16000, exchange_paise=491, sebi_paise=16, gst_paise=91, dp_paise=1534)


def table(document):
    return list(csv.DictReader(io.StringIO(document.content.decode(), newline="")))


def data(**parts):
    return ReportData(on=ON, generated_at=NOW, person=ASHA, **parts)


def text_of(document, password=None):
    reader = PdfReader(io.BytesIO(document.content))
    if password is not None:
        reader.decrypt(password)
    return "\n".join(page.extract_text() for page in reader.pages)


def test_positions():
    held = PositionRow("u1", "Main", "NSE:INFY", "CNC", "IT", 3, 100000, 50000, -1)
    short = PositionRow("u1", "Main", "NSE:ITC", "NRML", "FMCG", -4, -40000, 9000, 0)
    unmarked = PositionRow("u0", "Main", "NSE:TCS", "CNC", "IT", 1, 5, None, 0)
    report = reports.build("positions", data(positions=[short, held, unmarked]))
    assert (report.filename, report.media_type) == ("positions_20261120.csv", "text/csv; charset=utf-8")
    first, second, third = table(report)
    assert (first["user_id"], first["last_price"], first["market_value"], first["unrealised_pnl"]) == ("u0", "", "", "")
    assert (second["average_price"], second["cost"], second["market_value"]) == ("333.3333", "1000.00", "1500.00")
    assert (second["unrealised_pnl"], second["realised_pnl"]) == ("500.00", "-0.01")
    # short at 100, now 90: worth -360, received 400, so 40 ahead
    assert (third["quantity"], third["average_price"], third["market_value"]) == ("-4", "100.00", "-360.00")
    assert third["unrealised_pnl"] == "40.00"


def test_pnl_summary():
    row = PnlRow("u1", "Main", "NSE:INFY", 1000000, None, 36276, 100, 15000000, 100, 16000000, 2)
    known = PnlRow("u1", "Alpha", "NSE:INFY", 1000000, -5, 36276, 100, 15000000, 40, 16000000, 2)
    report = reports.build("pnl_summary", data(pnl=[row, known]))
    assert report.filename == "pnl_summary_20261120.csv"
    first, second = table(report)
    assert (first["portfolio"], first["net_pnl"], first["net_quantity"]) == ("Alpha", "9637.19", "60")
    assert (second["unrealised_pnl"], second["net_pnl"]) == ("", "")


def test_trades_tie_to_their_charges():
    first, second = table(reports.build("trades", data(trades=[SELL, BUY])))
    assert (first["trade_id"], first["price"], first["value"]) == ("t0", "1500.00", "150000.00")
    assert (first["charges"], first["net_amount"]) == ("178.11", "-150178.11")
    assert (second["charges"], second["net_amount"]) == ("181.32", "159818.68")
    assert (first["traded_at"], first["settles_on"]) == ("2026-11-20T04:00:00Z", "2026-11-23")


def test_tax_lots():
    closed = ClosedLot("NSE:INFY", "CNC", 5, date(2025, 1, 1), ON, 100, 250, Term.LONG, "t0", "t1")
    held = OpenLot("NSE:INFY", "CNC", 5, date(2025, 1, 1), 100, "t0")
    short = OpenLot("NSE:ITC", "NRML", -5, ON, 100, "t9")
    rows = table(reports.build("tax_lots", data(closed_lots=[("u1", closed)], open_lots=[("u1", held), ("u1", short)])))
    assert [(row["status"], row["term"], row["gain"]) for row in rows] == [
        ("closed", "long_term", "1.50"), ("open", "", ""), ("open", "", ""),
    ]  # fmt: skip
    assert (rows[1]["bought_on"], rows[1]["cost"], rows[1]["proceeds"]) == ("2025-01-01", "1.00", "")
    assert (rows[2]["sold_on"], rows[2]["proceeds"], rows[2]["sell_trade_id"]) == ("2026-11-20", "1.00", "t9")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\u00a0=1",
        "＝1",
        "|calc",
        "%0A",
        '=HYPERLINK("x")',
    ],
)
def test_no_text_becomes_a_formula(text):
    assert text_cell(text) == f"'{text}"
    row = PositionRow("u1", text, "NSE:INFY", "CNC", text, 1, -100, 1, -1)
    (read,) = table(reports.build("positions", data(positions=[row])))
    assert (read["portfolio"], read["sector"]) == (f"'{text}", f"'{text}")
    assert (read["cost"], read["realised_pnl"]) == ("-1.00", "-0.01")


@pytest.mark.parametrize("text", ["", "Main", "NSE:M&M", 'a "quoted", name', "2-day", "a\nb", "अर्थ"])
def test_other_texts_stay_as_they_are(text):
    (read,) = table(reports.build("positions", data(positions=[PositionRow("u1", text, "X", "CNC", "", 1, 1, 1, 1)])))
    assert read["portfolio"] == text


def test_empty_reports_have_their_heads():
    for name in reports.CSV_NAMES:
        lines = reports.build(name, data()).content.decode().split("\r\n")
        assert lines[0].startswith("user_id,")
        assert lines[1:] == [""]
    assert "No trades on this day." in text_of(reports.build("contract_note", data()))
    assert "None this month." in text_of(reports.build("monthly_statement", data()))


def test_contract_note_adds_up():
    report = reports.build("contract_note", data(trades=[BUY, SELL]))
    assert (report.filename, report.media_type) == ("contract_note_20261120.pdf", "application/pdf")
    text = text_of(report)
    for expected in (
        "Asha <b>Rao</b> & Söns", "20261120-AB1234", "23 Nov 2026", "09:30:00", "1,50,000.00", "-1,50,178.11",
        "Securities transaction tax", "-310.00", "Depository participant charges", "-15.34",
        "Net receivable by client", "9,640.57", "Page 1 of 1",
    ):  # fmt: skip
        assert expected in text
    # 160000 - 150000 - 178.11 - 181.32
    assert BUY.net_paise + SELL.net_paise == 964057
    assert "Net payable by client" in text_of(reports.build("contract_note", data(trades=[BUY])))


def test_contract_note_is_of_one_user_and_day():
    from dataclasses import replace

    with pytest.raises(ValueError, match="one user"):
        reports.build("contract_note", data(trades=[BUY, replace(SELL, user_id="u2")]))
    # half past six in the evening UTC is the next day in India
    with pytest.raises(ValueError, match="one day"):
        reports.build(
            "contract_note", data(trades=[replace(BUY, traded_at=datetime(2026, 11, 20, 18, 30, tzinfo=UTC))])
        )
    with pytest.raises(ValueError, match="person"):
        reports.build("contract_note", ReportData(on=ON, generated_at=NOW))


def test_monthly_statement():
    figures = [
        ("twr", Figure(0.13754, "time-weighted")), ("sharpe", Figure(1.234, "by deviation")),
        ("xirr", Figure(None, "a year", Reason.SEVERAL_RATES)),
    ]  # fmt: skip
    cash = [CashRow(date(2026, 11, 2), "Deposit <i>UPI</i>", 5000000, 5000000)]
    report = reports.build(
        "monthly_statement",
        data(
            positions=[
                PositionRow("u1", "Main", "NSE:INFY", "CNC", "IT", 3, 100000, 50000, 0),
                PositionRow("u1", "Main", "NSE:TCS", "CNC", "IT", 3, 100000, None, 0),
            ],
            trades=[BUY], cash=cash, figures=figures, opening_paise=1000000000, closing_paise=1100000000,
            paid_in_paise=60000000, paid_out_paise=10000000, closing_cash_paise=5000000,
        ),
    )  # fmt: skip
    assert report.filename == "monthly_statement_202611.pdf"
    text = text_of(report)
    for expected in (
        "November 2026", "1,00,00,000.00", "1,10,00,000.00", "5,00,000.00", "13.75 %", "1.23", "several rates",
        "Deposit <i>UPI</i>", "1,500.00", "20 Nov 09:30:00",
    ):  # fmt: skip
        assert expected in text
    # one holding has no mark, so the total is not known either
    assert "Total\n–\n–" in text


NAMES_IN_INDIA = {
    "Devanagari": "क्षत्रिय श्रीनिवासन्", "Bengali": "মুখোপাধ্যায়", "Gurmukhi": "ਗੁਰਪ੍ਰੀਤ", "Gujarati": "પટેલ",
    "Oriya": "ଓଡ଼ିଶା", "Tamil": "தமிழ்ச்செல்வன்", "Telugu": "రాజేశ్వరి", "Kannada": "ಕೃಷ್ಣಮೂರ್ತಿ", "Malayalam": "ശ്രീകുമാർ",
}  # fmt: skip


@pytest.mark.parametrize("script", NAMES_IN_INDIA)
def test_names_are_written_in_the_scripts_of_india(script):
    name = NAMES_IN_INDIA[script]
    person = replace(ASHA, full_name=name)
    position = PositionRow("u1", "Main", "NSE:INFY", "CNC", name, 3, 100000, 50000, 0)
    report = reports.build("monthly_statement", replace(data(positions=[position]), person=person))
    page = PdfReader(io.BytesIO(report.content)).pages[0]
    embedded = {str(font.get_object()["/BaseFont"]) for font in page["/Resources"]["/Font"].values()}
    assert any(f"NotoSans{script}" in font for font in embedded)
    assert "(₹)" in page.extract_text()
    assert "?" not in page.extract_text()


def test_vowel_signs_and_conjuncts_are_shaped():
    assert fonts.marked("क्षि").startswith('<font name="NotoSansDevanagari-Regular">')
    shaped = shapeStr("क्षि", "NotoSansDevanagari-Regular", 10)
    assert isinstance(shaped, ShapedStr)
    assert len(shaped) == 2  # the sign is drawn before the one letter of three


def test_letters_of_no_font_are_question_marks_and_markup_is_text():
    assert fonts.marked("李 <b> & é") == "? &lt;b&gt; &amp; é"
    assert fonts.plain("राम 李₹") == "??? ?₹"


def test_a_worth_that_is_not_known_leaves_the_gain_unknown():
    text = text_of(reports.build("monthly_statement", data(closing_paise=100)))
    assert "Gain or loss, after charges\n–" in text


def test_the_same_data_give_the_same_bytes():
    for name in reports.NAMES:
        first, second = (reports.build(name, data(trades=[BUY, SELL])) for _ in range(2))
        assert first == second


@pytest.mark.parametrize("name", reports.PDF_NAMES)
def test_a_password_locks_the_pdf(name):
    report = reports.build(name, data(trades=[BUY]), password="ABCDE1234F")
    reader = PdfReader(io.BytesIO(report.content))
    assert reader.is_encrypted
    assert reader.decrypt("wrong") == 0
    assert "Asha" in text_of(report, "ABCDE1234F")
    assert b"Asha" not in report.content


def test_many_trades_take_several_pages_with_their_number():
    many = [trade(number % 60, "BUY", 1, 100 + number) for number in range(200)]
    report = reports.build("contract_note", data(trades=many))
    pages = PdfReader(io.BytesIO(report.content)).pages
    assert len(pages) > 3
    for number, page in enumerate(pages, start=1):
        text = page.extract_text()
        assert f"Page {number} of {len(pages)}" in text


def test_unknown_report():
    with pytest.raises(KeyError):
        reports.build("secrets", data())
