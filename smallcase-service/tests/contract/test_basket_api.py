"""The routes: what goes in and comes out, whose things are whose, and what is refused."""

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from sqlalchemy import text

from saras_common.events import InstrumentsListed, Listing
from smallcase_service.store import market
from smallcase_service.usecases import composing, samples, watching

THREE = {"NSE:INFY": "0.5", "NSE:TCS": "0.3", "NSE:ITC": "0.2"}


def body(weights=THREE, **more):
    return {
        "name": "A basket",
        "visibility": "private",
        "weighting": "custom",
        "constituents": [{"instrument": name, "weight": weight} for name, weight in weights.items()],
        **more,
    }


def refused(answer, code, status=422):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json().get("errors", [])


def test_a_smallcase_and_its_figures(shared_door):
    user = shared_door.user()
    made = user.compose(THREE, rebalance={"frequency": "quarterly", "drift_band": "0.05"})
    assert made["version"] == 1
    assert [one["weight"] for one in made["constituents"]] == ["0.5000", "0.3000", "0.2000"]
    assert made["index_value"] == "100.0000"
    assert made["min_investment"] is not None
    for figure in ("expected_return", "volatility", "max_drawdown", "correlation"):
        assert made[figure] is None
        assert "are needed" in made["reasons"][figure]
    assert made["validation"] == {"valid": True, "issues": []}
    assert user.get(f"/smallcase/{made['id']}") == made


def test_figures_come_with_history(door, record_history):
    record_history(door, 300)
    made = door.user().compose(THREE)
    assert made["reasons"] == {}
    assert float(made["volatility"]) > 0
    assert 0 < float(made["max_drawdown"]) < 1
    assert made["correlation"]["NSE:INFY"]["NSE:INFY"] == "1.000000"
    assert made["statistics"]["sessions"] == 252


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"constituents": [{"instrument": "NSE:INFY", "weight": "1"}]}, "invalid_input"),
        ({"constituents": []}, "invalid_input"),
        ({"weighting": "equal"}, "invalid_input"),
        ({"name": ""}, "invalid_input"),
        ({"owner_id": "x"}, "invalid_input"),
        ({"visibility": "secret"}, "invalid_input"),
        ({"rebalance": {"drift_band": "1.5"}}, "invalid_input"),
        ({"rebalance": {"frequency": "hourly"}}, "invalid_input"),
    ],
)
def test_bodies_that_are_not_smallcases(shared_door, changes, code):
    refused(shared_door.user().call("POST", "/smallcase", body(**changes)), code)


@pytest.mark.parametrize("weight", [True, None, "NaN", "1e3", "-0.5", "0.50000000000001", 0, "٠.٥"])
def test_weights_that_are_no_weights(shared_door, weight):
    wanted = body()
    wanted["constituents"][0]["weight"] = weight
    answer = shared_door.user().call("POST", "/smallcase", wanted)
    assert answer.status_code == 422
    assert answer.json()["code"] in {"invalid_input", "weights_do_not_sum"}


def test_every_structural_issue_is_named_at_once(shared_door):
    wanted = body({"NSE:INFY": "0.25", "NSE:NOSUCH": "0.25"})
    wanted["constituents"] += [{"instrument": "NSE:TCS", "weight": "0.25"}, {"instrument": "NSE:TCS", "weight": "0.25"}]
    errors = refused(shared_door.user().call("POST", "/smallcase", wanted), "smallcase_invalid")
    assert {error["field"]: error["message"].partition(":")[0] for error in errors} == {
        "constituents.1": "unknown_instrument",
        "constituents.2": "duplicate_instrument",
    }


def test_weights_must_sum(shared_door):
    refused(
        shared_door.user().call("POST", "/smallcase", body({"NSE:INFY": "0.5", "NSE:TCS": "0.4"})), "weights_do_not_sum"
    )


def unweighted(weighting, **bounds):
    return {
        "name": "A basket",
        "weighting": weighting,
        "constituents": [{"instrument": name, **bounds.get(name[4:], {})} for name in THREE],
    }


def test_market_cap_needs_issued_shares(door):
    user = door.user()
    door.describe({"NSE:INFY": 4_000_000_000, "NSE:TCS": None})
    errors = refused(user.call("POST", "/smallcase", unweighted("market_cap")), "shares_issued_unknown")
    assert {error["field"] for error in errors} == {"NSE:TCS", "NSE:ITC"}
    door.describe({"NSE:TCS": 3_600_000_000, "NSE:ITC": 12_500_000_000})
    made = user.post("/smallcase", unweighted("market_cap", TCS={"cap": "0.4"}), status=201)
    weights = {one["instrument"]: float(one["weight"]) for one in made["constituents"]}
    assert weights["NSE:TCS"] == 0.4
    assert sum(weights.values()) == pytest.approx(1)
    # 4,000 million at ₹1,500 beside 12,500 million at ₹420
    assert weights["NSE:INFY"] / weights["NSE:ITC"] == pytest.approx(4_000 * 1500 / (12_500 * 420), rel=1e-4)


def test_inverse_volatility_needs_history(door, record_history):
    user = door.user()
    errors = refused(user.call("POST", "/smallcase", unweighted("inverse_volatility")), "history_too_short")
    assert {error["field"] for error in errors} == set(THREE)
    record_history(door)
    user.post("/smallcase", unweighted("inverse_volatility"), status=201)


def test_what_stops_trading_is_shown_and_refused(door):
    user = door.user()
    case = user.compose(THREE)
    with door.context.database.for_service() as session:
        market.block(session, "main", ["NSE:TCS"], blocked=True)
    door.clock.advance(10 * 86_400)
    shown = user.get(f"/smallcase/{case['id']}")["validation"]
    assert not shown["valid"]
    assert {(issue["code"], issue["instrument"]) for issue in shown["issues"]} == {
        ("suspended_instrument", "NSE:TCS"),
        *(("price_stale", name) for name in THREE),
    }
    errors = refused(user.call("POST", f"/smallcase/{case['id']}/invest", {"amount": "500000"}), "smallcase_invalid")
    assert len(errors) == 4


def test_an_index_starts_once_every_share_has_a_price(door):
    listings = [Listing(instrument="NSE:NEW", token=99, name="New", tick_paise=5, lot_size=1)]
    door.tell_market(InstrumentsListed(at=door.clock.now(), listings=listings))
    user = door.user()
    case = user.compose({"NSE:INFY": "0.5", "NSE:NEW": "0.5"})
    assert (case["index_value"], case["min_investment"]) == (None, None)
    assert set(case["reasons"]) >= {"index_value", "min_investment"}
    assert ("price_unavailable", "NSE:NEW") in {(i["code"], i["instrument"]) for i in case["validation"]["issues"]}
    assert composing.start_indexes(door.context) == 0
    door.mark({"NSE:NEW": 10_000})
    assert composing.start_indexes(door.context) == 1
    door.mark({"NSE:NEW": 11_000})
    assert user.get(f"/smallcase/{case['id']}")["index_value"] == "105.0000"
    assert composing.start_indexes(door.context) == 0


def test_a_thin_stock_is_warned_of(door, record_history):
    closes = record_history(door, 10)
    door.record({"NSE:ITC": closes["NSE:ITC"]}, volume=10)
    shown = door.user().compose(THREE)["validation"]
    assert shown["valid"]
    assert [(issue["code"], issue["instrument"]) for issue in shown["issues"]] == [("illiquid", "NSE:ITC")]


def test_a_weight_below_one_share_at_the_largest_minimum(door):
    made = door.user().compose({"NSE:INFY": "0.9999", "NSE:LT": "0.0001"})
    issue = made["validation"]["issues"][0]
    assert (issue["code"], issue["instrument"]) == ("weight_below_one_share", "NSE:LT")


def test_versions_and_their_diff(shared_door):
    user = shared_door.user()
    case = user.compose(THREE)
    changed = user.call("PUT", f"/smallcase/{case['id']}", body({"NSE:INFY": "0.6", "NSE:SBIN": "0.4"})).json()
    assert changed["version"] == 2
    assert changed["index_value"] == "100.0000"
    second, first = user.get(f"/smallcase/{case['id']}/versions")["items"]
    assert second["diff"] == {
        "added": {"NSE:SBIN": "0.4000"},
        "removed": {"NSE:TCS": "0.3000", "NSE:ITC": "0.2000"},
        "changed": {"NSE:INFY": {"from": "0.5000", "to": "0.6000"}},
    }
    assert first["version"] == 1


def test_lists_pages_and_search(door):
    user = door.user()
    names = [user.compose(THREE, name=f"Basket {n}")["name"] for n in range(5)]
    seen, cursor = [], ""
    while True:
        page = user.get(f"/smallcases?limit=2&q=basket{cursor}")
        seen += [one["name"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == names[::-1]
    assert user.get("/smallcases?q=" + quote("%"))["items"] == []
    assert len(user.get("/smallcases?q=infy")["items"]) == 5
    refused(user.call("GET", "/smallcases?cursor=xx"), "invalid_input")
    user.call("DELETE", f"/smallcase/{page['items'][-1]['id']}")
    assert len(user.get("/smallcases?q=basket")["items"]) == 4


EVERY_ROUTE = [
    ("GET", "", None),
    ("PUT", "", body()),
    ("DELETE", "", None),
    ("GET", "/versions", None),
    ("GET", "/performance", None),
    ("POST", "/invest", {"amount": "500000"}),
    ("POST", "/exit", {}),
    ("POST", "/rebalance", {}),
    ("POST", "/repair", {}),
    ("POST", "/preview", {"action": "invest", "amount": "500000"}),
    ("POST", "/preview", {"action": "exit"}),
    ("POST", "/preview", {"action": "rebalance"}),
    ("POST", "/preview", {"action": "repair"}),
    ("POST", "/what-if", body()),
    ("POST", "/sip", {"amount": "500000", "frequency": "monthly", "start_on": "2026-04-01"}),
]


def test_a_private_smallcase_does_not_exist_for_anybody_else(door):
    owner, other = door.user(), door.user()
    private, public = owner.compose(THREE, visibility="private"), owner.compose(THREE)
    for method, path, sent in EVERY_ROUTE:
        answer = other.call(method, f"/smallcase/{private['id']}{path}", sent)
        refused(answer, "not_found", 404)
        unknown = other.call(method, f"/smallcase/{public['id'][:-4]}ffff{path}", sent)
        assert unknown.status_code == 404, path
    assert [one["id"] for one in other.get("/smallcases")["items"]] == [public["id"]]
    assert {one["id"] for one in owner.get("/smallcases")["items"]} == {private["id"], public["id"]}
    assert private["id"] not in json.dumps(other.get("/smallcases?q=basket"))
    for method, path in (("PUT", ""), ("DELETE", ""), ("POST", "/what-if")):  # public, and still not theirs
        refused(other.call(method, f"/smallcase/{public['id']}{path}", body()), "not_found", 404)


def test_baskets_runs_and_sips_are_their_users_own(door):
    one, other = door.user(), door.user()
    case = one.compose(THREE)
    answer = one.post(f"/smallcase/{case['id']}/invest", {"amount": "500000"})
    door.fill_all()
    sip = one.post(
        f"/smallcase/{case['id']}/sip",
        {"amount": "100000", "frequency": "monthly", "start_on": "2026-04-01"},
        status=201,
    )
    basket = f"/investments/{answer['basket_id']}"
    again = one.post(f"/smallcase/{case['id']}/invest", {"amount": "90000"})
    for method, path, sent in (
        ("GET", basket, None),
        ("PATCH", basket, {"auto_repair_budget": "0.01"}),
        ("GET", f"{basket}/runs", None),
        ("GET", f"{basket}/runs/{answer['run_id']}", None),
        ("DELETE", f"{basket}/runs/{again['run_id']}", None),
        ("DELETE", f"/sips/{sip['id']}", None),
    ):
        refused(other.call(method, path, sent), "not_found", 404)
        assert one.call(method, path, sent).status_code in {200, 202, 204}
    assert other.get("/investments")["items"] == other.get("/sips")["items"] == []


def test_rows_of_one_user_are_walled_off_in_the_database(door):
    one, other = door.user(), door.user()
    case = one.compose(THREE, visibility="private")
    one.post(f"/smallcase/{case['id']}/invest", {"amount": "500000"})
    door.fill_all()
    tables = ("smallcases", "versions", "constituents", "investments", "holdings", "runs", "legs")
    for table in tables:
        counts = []
        for person in (one, other):
            with door.context.database.for_users(person.id) as session:
                counts.append(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
        assert counts[0] > 0, table
        assert counts[1] == 0, table


def test_previews_say_what_runs_then_do(door):
    user = door.user()
    case = user.compose(THREE)
    path = f"/smallcase/{case['id']}"

    def preview_and_do(action, **sent):
        shown = user.post(f"{path}/preview", {"action": action, **sent}, status=200)
        did = user.post(f"{path}/{action}", sent)
        placed = {(o["instrument"], o["side"], o["quantity"]) for o in did["orders"]}
        planned = {(leg["instrument"], leg["side"], leg["quantity"]) for leg in shown["legs"]}
        door.fill_all()
        return shown, did, planned, placed

    shown, did, planned, placed = preview_and_do("invest", amount="500000")
    assert planned == placed
    assert shown["expected"] == did["expected"]
    in_all = {leg["instrument"]: leg["quantity"] for leg in shown["legs"]}
    for leg in shown["top_up"]:
        in_all[leg["instrument"]] += leg["quantity"]
    assert user.holdings(did["basket_id"]) == in_all
    assert float(shown["expected_in_all"]["unspent"]) < float(shown["expected"]["unspent"])
    user.call("PUT", path, body({"NSE:INFY": "0.3", "NSE:SBIN": "0.7"}))
    _, _, planned, placed = preview_and_do("rebalance", full=True)
    assert {leg for leg in planned if leg[1] == "SELL"} == placed
    assert any(leg[1] == "BUY" for leg in planned)
    _, _, planned, placed = preview_and_do("exit", fraction="0.25")
    assert planned == placed


def test_a_run_is_cancelled_once_and_what_it_did_not_spend_is_free(door):
    user = door.user()
    case = user.compose(THREE)
    answer = user.post(f"/smallcase/{case['id']}/invest", {"amount": "500000"})
    path = f"/investments/{answer['basket_id']}/runs/{answer['run_id']}"
    itc = next(order for order in door.book.open() if order.instrument == "NSE:ITC")
    door.tell(door.book.fill(itc, 10))
    asked = user.call("DELETE", path, key="stop")
    assert (asked.status_code, asked.json()["status"]) == (202, "BUYING")
    assert asked.json()["cancel_requested_at"] is not None
    again = user.call("DELETE", path, key="stop")
    assert again.json() == asked.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert set(door.book.cancels) == {order.id for order in door.book.orders.values()}
    door.tell(*door.book.end_cancelled())
    door.drive()
    run = user.get(path)
    assert (run["status"], run["ended_at"] is not None) == ("CANCELLED", True)
    assert user.call("DELETE", path).json() == run
    assert float(run["spent"]) + float(run["unspent"]) == 500_000
    assert user.holdings(answer["basket_id"]) == {"NSE:ITC": 10}
    done = user.post(f"/smallcase/{case['id']}/exit")
    door.fill_all()
    refused(user.call("DELETE", f"{path.rpartition('/')[0]}/{done['run_id']}"), "run_ended", 409)


def test_what_if_tells_the_manager_what_everybody_would_do(door):
    manager = door.user()
    case = manager.compose(THREE)
    people = [door.user() for _ in range(4)]
    for n, person in enumerate(people):
        person.post(f"/smallcase/{case['id']}/invest", {"amount": str(60_000 + 200_000 * n)})
    door.fill_all()
    proposed = body({"NSE:INFY": "0.2", "NSE:LT": "0.8"})
    found = manager.post(f"/smallcase/{case['id']}/what-if", proposed, status=200)
    assert found["subscribers"] == found["subscribers_traded"] == 4
    assert found["broker_orders"] == 4  # INFY, TCS and ITC are sold, LT is bought
    assert found["seconds"] == "0.4"
    assert found["orders"] == 16
    least = float(found["min_investment"])
    worths = [float(p.get("/investments")["items"][0]["value"]) for p in people]
    assert found["subscribers_below_minimum"] == sum(worth < least for worth in worths)
    assert float(found["sell_value"]) >= float(found["buy_value"]) > 0
    assert float(found["charges"]) > 0
    assert manager.get(f"/smallcase/{case['id']}")["version"] == 1


def test_offers_follow_a_version_and_drift_and_nobody_is_traded(door):
    manager, user = door.user(), door.user()
    case = manager.compose(THREE, rebalance={"drift_band": "0.05", "cooldown_days": 1})
    answer = user.post(f"/smallcase/{case['id']}/invest", {"amount": "500000"})
    door.fill_all()
    basket, placed = f"/investments/{answer['basket_id']}", len(door.book.orders)
    door.mark({"NSE:INFY": 250_000})
    watching.offer_rebalances(door.context)
    assert user.get(basket)["rebalance_offer"] is None  # cooling down after the purchase
    door.clock.advance(timedelta(days=2).total_seconds())
    door.mark({"NSE:INFY": 250_000})
    assert watching.offer_rebalances(door.context) == 1
    assert watching.offer_rebalances(door.context) == 0
    offer = user.get(basket)["rebalance_offer"]
    assert offer["cause"] == "drift"
    assert float(offer["drift"]) > 0.05
    assert len(door.book.orders) == placed
    user.post(f"/smallcase/{case['id']}/rebalance", {"full": True})
    door.fill_all()
    assert user.get(basket)["rebalance_offer"] is None
    assert float(user.get(basket)["drift"]) < 0.02
    manager.call("PUT", f"/smallcase/{case['id']}", body({"NSE:INFY": "0.5", "NSE:LT": "0.5"}, visibility="public"))
    watching.offer_rebalances(door.context)
    offer = user.get(basket)["rebalance_offer"]
    assert (offer["cause"], offer["version"]) == ("version", 2)


def test_a_subscriber_keeps_a_basket_that_was_taken_down(door):
    manager, user = door.user(), door.user()
    case = manager.compose(THREE)
    answer = user.post(f"/smallcase/{case['id']}/invest", {"amount": "500000"})
    door.fill_all()
    manager.call("DELETE", f"/smallcase/{case['id']}")
    refused(user.call("GET", f"/smallcase/{case['id']}"), "not_found", 404)
    refused(user.call("POST", f"/smallcase/{case['id']}/invest", {"amount": "500000"}), "not_found", 404)
    assert user.get(f"/investments/{answer['basket_id']}")["name"] == "A basket"
    user.post(f"/smallcase/{case['id']}/exit")
    door.fill_all()
    assert user.holdings(answer["basket_id"]) == {}


def test_xirr_and_profit_of_a_basket(door):
    user = door.user()
    case = user.compose(THREE)
    answer = user.post(f"/smallcase/{case['id']}/invest", {"amount": "500000"})
    door.fill_all()
    basket = f"/investments/{answer['basket_id']}"
    shown = user.get(basket)
    assert shown["xirr"] is None
    assert "two dates" in shown["reason"]
    door.clock.advance(365 * 86_400)
    door.mark({name: price * 11 // 10 for name, price in door.prices.items()})
    shown = user.get(basket)
    growth = float(shown["value"]) / float(shown["invested"]) - 1
    assert float(shown["xirr"]) == pytest.approx(growth, abs=1e-5)


@pytest.mark.parametrize("risk", ["low", "medium", "high"])
def test_suggestions_fit_the_amount_and_say_why(door, record_history, risk):
    record_history(door, 200)
    user = door.user()
    wish = {"amount": "200000", "risk": risk, "exclude": ["NSE:TCS"]}
    found = user.post("/smallcases/suggestions", wish, status=200)
    assert found["items"]
    assert found["universe"] == 4
    assert "199 daily returns" in found["caution"]
    for one in found["items"]:
        assert sum(round(float(part["weight"]) * 10**6) for part in one["constituents"]) == 10**6
        assert float(one["min_investment"]) <= 200_000
        assert "NSE:TCS" not in {part["instrument"] for part in one["constituents"]}
        assert one["why"]
        assert user.post(
            "/smallcase", {"name": "Mine", "weighting": "custom", "constituents": one["constituents"]}, status=201
        )


def test_suggestions_are_honest_about_thin_history(door, record_history):
    user = door.user()
    wish = {"amount": "200000", "risk": "low"}
    refused(user.call("POST", "/smallcases/suggestions", wish), "history_too_short")
    record_history(door, 30)
    refused(user.call("POST", "/smallcases/suggestions", wish), "history_too_short")


def test_without_the_library_there_are_no_suggestions(door, record_history, monkeypatch):
    record_history(door)
    monkeypatch.setitem(__import__("sys").modules, "pypfopt", None)
    answer = door.user().call("POST", "/smallcases/suggestions", {"amount": "200000", "risk": "low"})
    refused(answer, "suggestions_not_installed", 501)


def test_the_samples_are_there_once_their_shares_are(door):
    shipped = samples.sample_proposals()
    assert len(shipped) == 10
    waiting = samples.Samples(door.context)
    waiting.make()
    assert door.user().get("/smallcases")["items"] == []
    door.list_market({name: 100_000 for proposal in shipped.values() for name in proposal.names})
    waiting.make()
    samples.Samples(door.context).make()
    found = door.user().get("/smallcases")["items"]
    assert {one["name"] for one in found} == {proposal.name for proposal in shipped.values()}
    assert all(one["validation"]["valid"] for one in found)
