"""What a user has and how it did, over HTTP."""

from datetime import date

import pytest

from analytics_service.usecases import closes
from saras_common.ids import new_id

INFY, TCS = "NSE:INFY", "NSE:TCS"
D1, D2 = date(2026, 3, 2), date(2026, 3, 4)
PATHS = (
    "/analytics", "/analytics/performance", "/analytics/charts/value", "/reports/positions", "/reports/pnl_summary",
    "/reports/trades", "/reports/tax_lots", "/reports/contract_note", "/reports/monthly_statement",
)  # fmt: skip


def test_totals_are_the_books(door):
    user = door.somebody(cash=12_345, deposited=200_000, withdrawn=1, shelves={INFY: (3, 30_000, 15_001)})
    door.service.fill(user.user_id, quantity=3, value=3 * 150_000)
    body = user.get("/analytics").json()
    assert (body["cash"], body["market_value"], body["total_value"]) == ("123.45", "450.03", "573.48")
    assert (body["invested"], body["unrealised_pnl"], body["net_invested"]) == ("300.00", "150.03", "1999.99")
    assert body["profit"] == "-1426.51"
    assert body["exposure"]["asset_classes"][0]["group"] == "Equity"
    assert sum(float(part["weight"]) for part in body["exposure"]["sectors"]) == pytest.approx(1)
    assert body["contribution"] == [{"name": INFY, "profit": "150.03"}]
    (position,) = body["positions"]
    assert (position["side"], position["quantity"], position["sector"]) == ("long", 3, "Information Technology")
    assert body["traded"]["trades"] == 1


def test_what_has_no_price_is_null_with_the_reason(door):
    user = door.somebody(cash=100, shelves={INFY: (1, 5, None)})
    body = user.get("/analytics").json()
    assert (body["total_value"], body["market_value"], body["profit"]) == (None, None, None)
    assert (body["reason"], body["unpriced"]) == ("no_price", [INFY])
    for figure in body["figures"].values():
        assert figure["value"] is None
        assert figure["reason"]
        assert figure["convention"]


def test_a_trade_done_elsewhere_counts_in_no_total(door):
    user = door.somebody(cash=100, deposited=100)
    door.service.record(user.user_id, quantity=7)
    body = user.get("/analytics").json()
    assert body["total_value"] == "1.00"
    assert body["positions"] == []
    assert [(one["quantity"], one["source"]) for one in body["elsewhere"]] == [(7, "elsewhere")]


def test_a_user_the_book_has_not_heard_of_has_nothing_and_a_stranger_is_not_there(door):
    assert door.newcomer().get("/analytics").json()["total_value"] == "0.00"
    assert door.admin().get("/analytics", user_id=str(new_id())).status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_another_user_is_not_there_but_for_an_administrator(door, path):
    other = door.somebody(cash=100, deposited=100)
    door.service.fill(other.user_id)
    mine = door.somebody(cash=100, deposited=100)
    hidden = mine.get(path, user_id=str(other.user_id))
    assert (hidden.status_code, hidden.json()["code"]) == (404, "not_found")
    assert mine.get(path, user_id="no-id").status_code == 404
    assert mine.get(path, user_id=str(mine.user_id)).status_code == 200
    assert door.admin().get(path, user_id=str(other.user_id)).status_code == 200


@pytest.mark.parametrize("path", [*PATHS, "/analytics/history/NSE:INFY", "/reports", "/admin/trades/rejected"])
def test_nobody_gets_in_without_a_token(door, path):
    assert door.client.get(path).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/analytics"), ("POST", "/admin/analytics/close"), ("GET", "/admin/trades/rejected"),
        ("POST", "/admin/trades/rejected/01920000-0000-7000-8000-000000000000/replay"),
        ("POST", "/admin/trades/rebuild"),
        ("POST", "/admin/history/prices"), ("POST", "/admin/history/corporate-actions"),
        ("POST", "/admin/history/facts"),
    ],
)  # fmt: skip
def test_administration_is_for_administrators(door, method, path):
    assert door.somebody().call(method, path, json={}).status_code == 403


def test_performance_gives_figures_conventions_and_days(door):
    user = door.somebody(cash=100_000, deposited=100_000)
    closes.take_close(door.service.context, D1)
    door.service.book.put(user.user_id, cash=110_000, deposited=100_000)
    closes.take_close(door.service.context, D2)
    body = user.get("/analytics/performance").json()
    assert [point["value"] for point in body["history"]] == ["1000.00", "1100.00"]
    assert body["figures"]["twr"]["value"] == pytest.approx(0.1)
    assert "daily" in body["figures"]["twr"]["convention"].lower()
    assert body["figures"]["cagr" if "cagr" in body["figures"] else "twr_annualised"]["reason"] == "under_one_year"
    assert user.get("/analytics").json()["last_close"] == "2026-03-04"
    wrong = user.get("/analytics/performance", **{"from": "2026-03-05", "to": "2026-03-04"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "to")
    for text in ("1772000000", "2026-02-30", "today", "2026-03-05T00:00:00Z"):
        assert user.get("/analytics/performance", **{"from": text}).status_code == 422


@pytest.mark.parametrize("name", ["value", "drawdown", "returns-calendar", "allocation", "contribution"])
def test_charts_come_as_json_and_as_a_page(door, name):
    user = door.somebody(cash=100_000, deposited=90_000, shelves={INFY: (1, 1000, 2000)})
    chart = user.get(f"/analytics/charts/{name}")
    assert chart.status_code == 200, chart.text
    assert set(chart.json()) >= {"data", "layout"}
    page = user.get(f"/analytics/charts/{name}", format="html")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert 'src="/api/v1/analytics/plotly.min.js"' in page.text
    assert user.get("/analytics/plotly.min.js").status_code == 200


def test_a_chart_nobody_drew_is_not_there(door):
    user = door.somebody(cash=1)
    assert user.get("/analytics/charts/pie").status_code == 404
    assert user.get("/analytics/charts/value", format="gif").status_code == 422


def test_a_picture_without_a_browser_says_how_to_get_one(door, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    found = door.somebody(cash=1, deposited=1).get("/analytics/charts/value", format="png")
    assert (found.status_code, found.json()["code"]) == (501, "not_renderable")
    assert "chromium" in found.json()["detail"].lower()


def test_a_book_that_is_down_is_503(door):
    user = door.somebody(cash=1)
    door.service.book.is_down = True
    try:
        answer = user.get("/analytics")
    finally:
        door.service.book.is_down = False
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
