"""Cash, portfolios, statement and reports over HTTP."""

import pytest

from saras_common.events import FundsMoved

INFY, WIPRO = "NSE:INFY", "NSE:WIPRO"
CHARGES = (0, 150, 5, 0, 22, 1, 0)


def test_deposits_and_withdrawals_are_instant_in_the_sandbox(door):
    user = door.somebody()
    answer = user.post("/funds/deposit", {"amount": "1000.50"}, key="d")
    assert answer.status_code == 201
    assert answer.json()["amount"] == "1000.50"
    assert answer.json()["status"] == "completed"
    again = user.post("/funds/deposit", {"amount": "1000.50"}, key="d")
    assert (again.headers["idempotency-replayed"], again.json()) == ("true", answer.json())
    assert user.post("/funds/deposit", {"amount": "1000.51"}, key="d").json()["code"] == "idempotency_key_reused"
    assert user.post("/funds/withdraw", {"amount": 400}).status_code == 201
    funds = {"cash": "600.50", "held": "0.00", "available": "600.50", "collateral": "0.00", "margin_used": "0.00"}
    assert user.get("/funds").json() == funds
    refused = user.post("/funds/withdraw", {"amount": "600.51"}, key="w")
    assert (refused.status_code, refused.json()["code"]) == (422, "insufficient_funds")
    assert user.post("/funds/withdraw", {"amount": "600.51"}, key="w").headers["idempotency-replayed"] == "true"
    moved = [event.amount_paise for event in door.book.told(FundsMoved) if event.user_id == user.user_id]
    assert moved == [100_050, -40_000]
    assert [item["kind"] for item in user.get("/funds/movements").json()["items"]] == ["withdrawal", "deposit"]


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "1.001", True, None, "1e3", "9" * 20, [], "٣"])
def test_amounts_that_are_none(door, amount):
    assert door.somebody().post("/funds/deposit", {"amount": amount}).status_code == 422


def test_live_movements_wait_for_an_admin(door_with):
    with door_with(mode="live") as door:
        user, admin = door.somebody(rupees=1_000), door.admin()
        deposit = user.post("/funds/deposit", {"amount": "500"}).json()
        withdrawal = user.post("/funds/withdraw", {"amount": "300"}).json()
        other = user.post("/funds/withdraw", {"amount": "200"}).json()
        assert deposit["status"] == withdrawal["status"] == "pending"
        funds = user.get("/funds").json()
        assert (funds["cash"], funds["held"], funds["available"]) == ("1000.00", "500.00", "500.00")
        assert user.get("/admin/funds").status_code == 403
        pending = admin.get("/admin/funds", params={"status": "pending"}).json()["items"]
        assert [item["id"] for item in pending] == [other["id"], withdrawal["id"], deposit["id"]]
        assert user.post(f"/admin/funds/{deposit['id']}/approve").status_code == 403
        assert admin.post(f"/admin/funds/{deposit['id']}/approve").json()["status"] == "completed"
        assert admin.post(f"/admin/funds/{withdrawal['id']}/approve").json()["status"] == "completed"
        assert admin.post(f"/admin/funds/{other['id']}/reject").json()["status"] == "rejected"
        assert admin.post(f"/admin/funds/{other['id']}/approve").status_code == 409
        assert admin.post("/admin/funds/nothing/approve").status_code == 404
        funds = user.get("/funds").json()
        assert (funds["cash"], funds["held"]) == ("1200.00", "0.00")
        assert [event.amount_paise for event in door.book.told(FundsMoved)][1:] == [50_000, -30_000]
        door.book.check()


def test_orders_need_an_approved_kyc_when_required(door_with):
    with door_with(require_kyc=True) as door:
        refused = door.somebody(rupees=10_000).buy(INFY, 1)
        assert (refused.status_code, refused.json()["code"]) == (422, "kyc_required")


def traded(door):
    """A user who bought 4 INFY at 1500, sold 1 at 1600, and holds 2 WIPRO in a portfolio of its own."""
    user, book = door.somebody(rupees=10_000), door.book
    portfolio = user.post("/portfolio", {"name": "Long term", "benchmark": "NSE:NIFTYBEES"}).json()
    for instrument, side, quantity, value, where in (
        (INFY, "BUY", 4, 600_000, None),
        (INFY, "SELL", 1, 160_000, None),
        (WIPRO, "BUY", 2, 50_000, portfolio["id"]),
    ):
        terms = {} if where is None else {"portfolio_id": where}
        order = book.order(user.user_id, side, instrument, quantity, **terms)
        book.fill(order, quantity, value, CHARGES)
        book.true_up(order)
    return user, portfolio


def test_portfolios_show_what_they_hold(door):
    user, other = traded(door)
    default = user.get("/portfolio").json()
    assert default["is_default"]
    (holding,) = default["holdings"]
    assert (holding["instrument"], holding["quantity"], holding["average_price"]) == (INFY, 3, "1500.00")
    assert (holding["market_value"], holding["weight"]) == ("4500.00", "1.0000")
    assert (default["invested"], default["realised_pnl"], default["unrealised_pnl"]) == ("4500.00", "100.00", "0.00")
    cash = 1_000_000 - 600_000 + 160_000 - 50_000 - 3 * sum(CHARGES)
    assert default["cash"] == f"{cash / 100:.2f}"
    assert default["total_value"] == f"{cash / 100 + 4500:.2f}"
    listed = user.get("/portfolios").json()["items"]
    assert [item["id"] for item in listed] == [default["id"], other["id"]]
    shown = user.get(f"/portfolios/{other['id']}").json()
    assert (shown["name"], shown["benchmark"], shown["cash"]) == ("Long term", "NSE:NIFTYBEES", "0.00")
    assert [item["instrument"] for item in shown["holdings"]] == [WIPRO]
    assert user.post("/portfolio", {"name": "Long term"}).json()["code"] == "name_taken"
    assert {item["instrument"] for item in user.get("/holdings").json()["items"]} == {INFY, WIPRO}


def test_positions_pnl_and_exposure(door):
    user, _ = traded(door)
    infy, wipro = user.get("/positions").json()["items"]
    assert (infy["day_buy_quantity"], infy["day_sell_value"], infy["realised_pnl"]) == (4, "1600.00", "100.00")
    # 3 x 1500 now, 6000 put in, 1600 taken out today
    assert infy["day_pnl"] == "100.00"
    assert wipro["quantity"] == 2
    pnl = user.get("/pnl").json()
    assert (pnl["realised_pnl"], pnl["realised_pnl_fifo"], pnl["total_pnl"]) == ("100.00", "100.00", "100.00")
    assert pnl["charges"] == f"{3 * sum(CHARGES) / 100:.2f}"
    exposure = user.get("/exposure").json()
    assert exposure["gross_exposure"] == "5000.00"
    assert exposure["by_product"] == {"CNC": "5000.00"}
    assert sum(float(item["weight"]) for item in exposure["by_instrument"]) == pytest.approx(
        float(exposure["invested_fraction"]), abs=2e-4
    )


def test_a_figure_that_cannot_be_known_is_null(door_with):
    with door_with() as door:
        user, _ = traded(door)
        door.book.rows("UPDATE marks SET instrument = 'NSE:GONE' WHERE instrument = 'NSE:WIPRO' RETURNING 1")
        pnl = user.get("/pnl").json()
        assert (pnl["unrealised_pnl"], pnl["total_pnl"], pnl["unpriced"]) == (None, None, [WIPRO])
        assert pnl["realised_pnl"] == "100.00"
        assert user.get("/portfolio").json()["total_value"] is not None


def test_the_statement_adds_up_page_by_page(door):
    user, _ = traded(door)
    lines, cursor = [], None
    while True:
        page = user.get("/transactions", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        lines += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    balances: dict[str, float] = {}
    for line in reversed(lines):
        asset = line["asset"]
        balances[asset] = round(balances.get(asset, 0) + float(line["amount"]), 2)
        assert balances[asset] == float(line["balance"]), line
    assert balances["INR"] == float(user.get("/funds").json()["cash"])
    assert (balances[INFY], balances[WIPRO]) == (3, 2)
    assert [line["kind"] for line in lines if line["asset"] == "INR"] == ["buy", "sell", "buy", "deposit"]
    assert user.get("/transactions", params={"limit": 500}).json()["items"] == lines


def test_trades_are_the_users_executions(door):
    user, _ = traded(door)
    trades = user.get("/trades").json()["items"]
    assert [(trade["side"], trade["quantity"], trade["price"]) for trade in trades] == [
        ("BUY", 2, "250.00"),
        ("SELL", 1, "1600.00"),
        ("BUY", 4, "1500.00"),
    ]
    assert trades[0]["charges"] == "1.78"


def test_a_newcomer_has_an_empty_book(door):
    user = door.somebody()
    assert user.get("/funds").json()["cash"] == "0.00"
    portfolio = user.get("/portfolio").json()
    assert (portfolio["total_value"], portfolio["holdings"]) == ("0.00", [])
    for path in ("/orders", "/holdings", "/positions", "/transactions", "/trades"):
        assert user.get(path).json() == {"items": [], "next_cursor": None}
    assert user.get("/pnl").json()["total_pnl"] == "0.00"
