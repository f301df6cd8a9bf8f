"""Smallcases as the contract has them: composed, valued, bought, changed, left; private ones are nobody else's."""

import json
from decimal import Decimal

import pytest
from contract_client import MONEY, User, World, no_floats, until

RUN_OVER = {"COMPLETED", "COMPLETED_ADJUSTED", "FAILED", "CANCELLED"}
FIGURES = ("min_investment", "index_value", "expected_return", "volatility")


def body(names: list[str], weights: list[str], **more: object) -> dict:
    return {
        "name": "Contract basket",
        "visibility": "private",
        "weighting": "custom",
        "constituents": [{"instrument": n, "weight": w} for n, w in zip(names, weights, strict=True)],
        "rebalance": {"frequency": "quarterly", "drift_band": "0.05"},
        **more,
    }


@pytest.fixture(scope="module")
def names(world: World) -> list[str]:
    """Three that nobody outside this module trades."""
    return [world.fresh_instrument() for _ in range(3)]


def check_smallcase(case: dict) -> None:
    no_floats(case)
    assert sum(Decimal(one["weight"]) for one in case["constituents"]) == 1
    assert isinstance(case["validation"]["valid"], bool)
    for figure in FIGURES:
        assert figure in case
        if case[figure] is None:
            assert case["reason"]


def settled(world: World, admin: User, user: User, answer: dict) -> dict:
    path = f"/investments/{answer['basket_id']}/runs/{answer['run_id']}"

    def over() -> bool:
        world.trigger(admin)
        return user.get(path)["status"] in RUN_OVER

    until(over, "the run is over", 60)
    return user.get(path)


def test_compose_read_change_and_take_down(user: User, names: list[str]):
    case = user.call("POST", "/smallcase", body(names, ["0.5", "0.3", "0.2"])).expect(201)
    check_smallcase(case)
    assert case["validation"]["valid"], case["validation"]
    assert MONEY.fullmatch(case["min_investment"])
    path = f"/smallcase/{case['id']}"
    assert user.get(path)["id"] == case["id"]
    assert case["id"] in {one["id"] for one in user.pages("/smallcases")}
    changed = user.call("PUT", path, body(names, ["40", "40", "20"])).expect(200)
    assert changed["version"] == case["version"] + 1
    assert [row["version"] for row in user.get(f"{path}/versions")["items"]] == [2, 1]
    no_floats(user.get(f"{path}/performance"))
    user.call("DELETE", path).expect(200, 204)
    user.call("GET", path).refused(404)


@pytest.mark.parametrize(
    ("weights", "more"),
    [
        (["0.5", "0.3", "0.1"], {}),
        (["0.5", "0.3", "NaN"], {}),
        (["0.5", "0.3", "0.2"], {"visibility": "everybody"}),
        (["0.5", "0.3", "0.2"], {"weighting": "best"}),
        (["0.5", "0.3", "0.2"], {"owner_id": "somebody"}),
    ],
)
def test_what_is_no_smallcase_is_refused(standing_user: User, names: list[str], weights: list[str], more: dict):
    standing_user.call("POST", "/smallcase", body(names, weights, **more)).refused(422)


def test_unknown_and_repeated_instruments_are_named(standing_user: User, names: list[str]):
    wrong = body([names[0], names[0], "NSE:NOSUCH"], ["0.5", "0.3", "0.2"])
    refusal = standing_user.call("POST", "/smallcase", wrong).refused(422)
    assert {error["field"] for error in refusal["errors"]} == {"constituents.0", "constituents.2"}


def test_invest_rebalance_and_exit(world: World, admin: User, user: User, names: list[str]):
    case = user.call("POST", "/smallcase", body(names, ["0.5", "0.3", "0.2"])).expect(201)
    path = f"/smallcase/{case['id']}"
    cash = user.cash()
    answer = user.call("POST", f"{path}/invest", {"amount": "200000"}, key="contract-invest").expect(202)
    again = user.call("POST", f"{path}/invest", {"amount": "200000"}, key="contract-invest").expect(202)
    assert again == answer
    assert {order["basket_id"] for order in answer["orders"]} == {answer["basket_id"]}
    assert Decimal(answer["unspent"]) >= 0
    run = settled(world, admin, user, answer)
    assert run["status"] == "COMPLETED"
    assert cash - user.cash() == Decimal(run["spent"]) <= Decimal(200_000)
    (basket,) = user.pages("/investments")
    assert user.get(f"/investments/{basket['id']}")["holdings"] == basket["holdings"]
    held = {row["instrument"]: row["quantity"] for row in basket["holdings"]}
    assert held == {name: user.shares(name) for name in names}
    assert Decimal(basket["invested"]) == Decimal(run["spent"])
    for field in ("drift", "value", "xirr"):
        assert field in basket
    user.call("POST", f"{path}/rebalance").refused(409, "nothing_to_do")
    user.call("POST", f"{path}/repair").refused(409, "nothing_to_do")
    user.call("PUT", path, body(names, ["0.2", "0.3", "0.5"])).expect(200)
    run = settled(world, admin, user, user.call("POST", f"{path}/rebalance").expect(202))
    assert run["status"].startswith("COMPLETED")
    run = settled(world, admin, user, user.call("POST", f"{path}/exit", {"fraction": 0.5}).expect(202))
    run = settled(world, admin, user, user.call("POST", f"{path}/exit").expect(202))
    assert run["status"] == "COMPLETED"
    assert [user.shares(name) for name in names] == [0, 0, 0]


def test_a_run_is_cancelled_and_what_it_held_is_free(world: World, admin: User, user: User, names: list[str]):
    case = user.call("POST", "/smallcase", body(names, ["0.4", "0.3", "0.3"])).expect(201)
    cash = user.cash()
    answer = user.call("POST", f"/smallcase/{case['id']}/invest", {"amount": "150000"}).expect(202)
    path = f"/investments/{answer['basket_id']}/runs/{answer['run_id']}"
    asked = user.call("DELETE", path, key="contract-cancel").expect(202)
    assert asked["cancel_requested_at"] is not None
    assert user.call("DELETE", path, key="contract-cancel").expect(202) == asked
    world.new_user().call("DELETE", path).refused(404)
    run = settled(world, admin, user, answer)
    assert run["status"] in {"CANCELLED", "COMPLETED"}  # whoever cancels late may find it bought
    until(lambda: Decimal(user.get("/funds")["held"]) == 0, "nothing is held", 30)
    assert cash - user.cash() == Decimal(run["spent"])
    assert Decimal(run["spent"]) + Decimal(run["unspent"]) == Decimal(150_000)
    done = user.call("DELETE", path)
    assert done.status == 202
    if run["status"] == "COMPLETED":
        settled(world, admin, user, user.call("POST", f"/smallcase/{case['id']}/exit").expect(202))


def test_more_than_there_is_cash_for_is_refused_and_leaves_no_trace(world: World, names: list[str]):
    poor = world.new_user("1000.00")
    case = poor.call("POST", "/smallcase", body(names, ["0.5", "0.3", "0.2"])).expect(201)
    poor.call("POST", f"/smallcase/{case['id']}/invest", {"amount": "200000"}).refused(422, "insufficient_funds")
    poor.call("POST", f"/smallcase/{case['id']}/invest", {"amount": "10"}).refused(422, "amount_too_small")
    assert list(poor.pages("/orders")) == list(poor.pages("/investments")) == []
    assert poor.cash() == Decimal(1000)


def test_regular_investments(user: User, names: list[str]):
    case = user.call("POST", "/smallcase", body(names, ["0.5", "0.3", "0.2"])).expect(201)
    wish = {"amount": "50000", "frequency": "monthly", "start_on": "2099-01-01"}
    sip = user.call("POST", f"/smallcase/{case['id']}/sip", wish).expect(201)
    assert [one["id"] for one in user.pages("/sips")] == [sip["id"]]
    user.call("DELETE", f"/sips/{sip['id']}").expect(200, 204)
    user.call("POST", f"/smallcase/{case['id']}/sip", {**wish, "frequency": "sometimes"}).refused(422)


def test_a_private_smallcase_is_nobody_elses(world: World, user: User, names: list[str]):
    other = world.new_user(None)
    private = user.call("POST", "/smallcase", body(names, ["0.5", "0.3", "0.2"])).expect(201)
    public = user.call("POST", "/smallcase", body(names, ["0.5", "0.3", "0.2"], visibility="public")).expect(201)
    path = f"/smallcase/{private['id']}"
    changes = body(names, ["0.5", "0.3", "0.2"])
    sip = {"amount": "50000", "frequency": "monthly", "start_on": "2099-01-01"}
    for method, route, sent in (
        ("GET", path, None),
        ("PUT", path, changes),
        ("DELETE", path, None),
        ("GET", f"{path}/versions", None),
        ("GET", f"{path}/performance", None),
        ("POST", f"{path}/invest", {"amount": "200000"}),
        ("POST", f"{path}/exit", {}),
        ("POST", f"{path}/rebalance", {}),
        ("POST", f"{path}/repair", {}),
        ("POST", f"{path}/preview", {"action": "exit"}),
        ("POST", f"{path}/what-if", changes),
        ("POST", f"{path}/sip", sip),
        ("PUT", f"/smallcase/{public['id']}", changes),
        ("DELETE", f"/smallcase/{public['id']}", None),
    ):
        other.call(method, route, sent).refused(404, "not_found")
    listed = json.dumps(list(other.pages("/smallcases")))
    assert public["id"] in listed
    assert private["id"] not in listed
    world.public.call("GET", path).refused(401)
