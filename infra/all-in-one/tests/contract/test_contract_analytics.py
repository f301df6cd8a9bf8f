"""Analytics as a stranger sees them: totals tie to the portfolio to the paisa, and nobody sees another's."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from contract_client import INSTANT, MONEY, User, World, until

PUBLIC_PATHS = ("/analytics", "/analytics/performance", "/analytics/charts/value", "/reports/positions")


def ties(user: User) -> dict:
    """The analytics of a user whose totals are the portfolio's."""
    book, found = user.get("/portfolio"), user.get("/analytics")
    for name in ("cash", "market_value", "total_value", "invested", "realised_pnl", "unrealised_pnl"):
        assert found[name] == book[name], name
        assert MONEY.fullmatch(found[name])
    assert INSTANT.fullmatch(found["as_of"])
    return found


def session_days(count: int, until_day: date) -> list[str]:
    days = (until_day - timedelta(days=n) for n in range(3 * count + 10))
    return [day.isoformat() for day in days if day.weekday() < 5][:count][::-1]


@pytest.fixture(scope="module")
def investor(world: World, admin: User) -> User:
    """Somebody who bought, sold a part, and wrote down a trade done elsewhere."""
    user = world.new_user("500000")
    ties(user)
    bought = user.place("BUY", "NSE:TCS", 20)
    admin.post("/admin/execution/run")
    until(lambda: user.order(bought["id"])["status"] == "FILLED", "the purchase")
    sold = user.place("SELL", "NSE:TCS", 5)
    admin.post("/admin/execution/run")
    until(lambda: user.order(sold["id"])["status"] == "FILLED", "the sale")
    user.post("/trades", {"instrument": "NSE:TCS", "side": "BUY", "quantity": 3, "price": "1000.00"})
    until(lambda: len(user.get("/analytics")["elsewhere"]) == 1, "the trade done elsewhere")
    until(lambda: user.get("/analytics")["traded"]["trades"] == 2, "the executions")
    return user


def test_totals_tie_to_the_portfolio_and_positions_to_the_book(investor: User):
    found = ties(investor)
    (position,) = found["positions"]
    (holding,) = investor.get("/portfolio")["holdings"]
    assert (position["quantity"], position["average_price"]) == (holding["quantity"], holding["average_price"])
    pnl = investor.get("/pnl")
    assert found["traded"]["realised_pnl"] == pnl["realised_pnl"]
    assert found["traded"]["realised_pnl_fifo"] == pnl["realised_pnl_fifo"]
    assert found["traded"]["charges"] == pnl["charges"] == found["charges"]
    contributed = sum(Decimal(part["profit"]) for part in found["contribution"])
    assert contributed == Decimal(found["profit"])


def test_a_simulated_week_ties_every_day(world: World, admin: User, investor: User):
    days = session_days(5, datetime.now(UTC).date() - timedelta(days=1))
    for number, day in enumerate(days):
        price = f"{1000 + 7 * number}.00"
        world.at_sandbox("POST", "/sandbox/prices", {"NSE:TCS": price})
        until(lambda price=price: investor.get("/portfolio")["holdings"][0]["last_price"] == price, "the price")
        assert admin.post("/admin/analytics/close", {"day": day})["users"] >= 1
        told = ties(investor)["total_value"]
        history = investor.get("/analytics/performance")["history"]
        assert {point["day"]: point["value"] for point in history}[day] == told
    refused = admin.call("POST", "/admin/analytics/close", {"day": days[0]}).refused(409, "day_passed")
    assert refused
    world.at_sandbox("POST", "/sandbox/prices", {"NSE:TCS": "1000.00"})
    csv = investor.call("GET", f"/reports/positions_{days[-1].replace('-', '')}.csv")
    assert "NSE:TCS" in csv.raw.decode()


def test_another_users_analytics_are_not_there(world: World, admin: User, investor: User, standing_user: User):
    for path in PUBLIC_PATHS:
        standing_user.call("GET", f"{path}?user_id={investor.id}").refused(404, "not_found")
        admin.call("GET", f"{path}?user_id={investor.id}").expect(200)
    standing_user.call("GET", "/admin/trades/rejected").refused(403, "forbidden")


def test_figures_are_known_or_null_with_a_reason(investor: User, standing_user: User):
    for user in (investor, standing_user):
        for name, figure in user.get("/analytics/performance")["figures"].items():
            assert (figure["value"] is None) == bool(figure["reason"]), name
            assert figure["convention"], name


def test_pages_of_charts_load_their_scripts_without_a_token(world: World, investor: User):
    page = investor.call("GET", "/analytics/charts/allocation?format=html")
    page.expect(200)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert b'src="/api/v1/analytics/plotly.min.js"' in page.raw
    script = world.public.call("GET", "/analytics/plotly.min.js")
    script.expect(200)
    assert len(script.raw) > 1_000_000
    world.public.call("GET", "/analytics").refused(401)


def test_a_report_is_made_with_progress(investor: User):
    asked = investor.post("/reports", {"name": "pnl_summary"})

    def done() -> bool:
        return investor.get(f"/reports/runs/{asked['id']}")["status"] == "done"

    until(done, "the report", 30)
    content = investor.call("GET", f"/reports/runs/{asked['id']}/content")
    assert "NSE:TCS" in content.raw.decode()
    assert investor.get("/reports")["items"][0]["progress"] == 100
