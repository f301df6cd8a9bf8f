"""Baskets through the whole platform over HTTP: composed, bought, added to, drifted, rebalanced, left."""

from saras.demo.market import paise

NAMES = ("NSE:INFY", "NSE:TCS", "NSE:ITC")


def compose(api, weights, **more):
    body = {
        "name": "Three of a kind",
        "visibility": "public",
        "weighting": "custom",
        "constituents": [{"instrument": n, "weight": w} for n, w in zip(NAMES, weights, strict=True)],
        **more,
    }
    return body, api.call("POST", "/smallcase", body)


def run_over(site, user, answer):
    path = f"/investments/{answer['basket_id']}/runs/{answer['run_id']}"

    def over():
        run = user.api.get(path)
        if run["status"] in {"QUEUED", "SELLING", "BUYING"}:
            with site.admin() as admin:
                admin.post("/admin/execution/run")
            return False
        return True

    site.until(over, "the run is over")
    return user.api.get(path)


def basket(user, answer):
    found = user.api.get(f"/investments/{answer['basket_id']}")
    return found, {row["instrument"]: row["quantity"] for row in found["holdings"]}


def test_a_basket_from_its_first_rupee_to_its_last(journey):
    site = journey()
    site.enrol(1)
    (user,) = site.users
    body, made = compose(user.api, ["0.5", "0.3", "0.2"])
    assert made.status == 201, made.describe()
    case = made.body
    assert case["validation"] == {"valid": True, "issues": []}
    assert paise(case["min_investment"]) > 0
    path = f"/smallcase/{case['id']}"
    answer = user.api.call("POST", f"{path}/invest", {"amount": "300000"}, key="first")
    assert answer.status == 202, answer.describe()
    assert {order["basket_id"] for order in answer.body["orders"]} == {answer.body["basket_id"]}
    again = user.api.call("POST", f"{path}/invest", {"amount": "300000"}, key="first")
    assert again.body == answer.body
    assert again.headers["idempotency-replayed"] == "true"
    assert user.api.call("POST", f"{path}/invest", {"amount": "300000"}).code == "run_in_progress"
    run = run_over(site, user, answer.body)
    assert run["status"] == "COMPLETED"
    assert paise(run["spent"]) + paise(run["unspent"]) == 30_000_000
    found, held = basket(user, answer.body)
    first = {order["instrument"]: order["quantity"] for order in answer.body["orders"]}
    for leg in run["legs"]:
        if leg["round"] > 1:  # bought with what the protection band did not take
            first[leg["instrument"]] += leg["quantity"]
    assert held == first
    assert paise(run["unspent"]) < 30_000_000 * 3 // 100
    assert found["invested"] == run["spent"]

    body["constituents"] = [{"instrument": n, "weight": w} for n, w in zip(NAMES, ["0.2", "0.3", "0.5"], strict=True)]
    changed = user.api.call("PUT", path, body)
    assert changed.status == 200, changed.describe()
    assert changed.body["version"] == 2
    answer = user.api.post(f"{path}/rebalance", {"full": True})
    assert {order["side"] for order in answer["orders"]} == {"SELL"}
    run = run_over(site, user, answer)
    assert run["status"] == "COMPLETED", run
    found, held = basket(user, answer)
    assert found["version"] == 2
    whole = paise(found["value"]) + paise(run["unspent"])
    for row in found["holdings"]:
        target = whole * int(row["target_weight"].replace(".", "").ljust(7, "0")) / 10**6
        assert abs(row["quantity"] * paise(row["last_price"]) - target) <= paise(row["last_price"])

    answer = user.api.post(f"{path}/exit", {"fraction": "0.5"})
    run_over(site, user, answer)
    answer = user.api.post(f"{path}/exit")
    assert run_over(site, user, answer)["status"] == "COMPLETED"
    assert basket(user, answer)[1] == dict.fromkeys(NAMES, 0)
