"""Every panel's query against a live Prometheus that reads a running platform: each must give figures."""

import json
import math
import re
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from saras.client import Api
from saras.commands import reconcile
from saras.demo.market import list_quotes, wait_tradable
from saras.home import Home
from saras.process import ADMIN_EMAIL, ADMIN_PASSWORD, PlatformProcess
from saras.seeding import Seeder

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.timeout(180)]

DASHBOARDS = Path(__file__).parents[2] / "prometheus-grafana" / "dashboards"
ENVIRONMENT = {
    "SARAS_MODE": "sandbox",
    "DATABASE_URL": "",
    "BROKER_URL": "",
    "REDIS_URL": "",
    "SANDBOX_PRICES": "fixed",
    "SARAS_WINDOW_S": "1",
}
NAME = re.compile(r"\b((?:saras|process)_[a-z0-9_]+)\b")
PARTS = ("_bucket", "_count", "_sum", "_total")


def panels():
    return [
        (path.stem, panel["title"], target["expr"])
        for path in sorted(DASHBOARDS.glob("*.json"))
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    ]


def trade(platform, rounds):
    """Sign-ins good and bad, orders bought and sold, a reconciliation: something of everything."""
    (user,) = Seeder(platform.url, Home(platform.home)).seed(
        [("dash@saras.example.com", "Dash")], "nine-lives-of-a-cat"
    )
    with Api(platform.url) as admin, Api(platform.url, token=user.token) as api:
        admin.login(ADMIN_EMAIL, ADMIN_PASSWORD)
        admin.call("POST", "/login", {"email": user.email, "password": "not-the-password"})
        api.post("/funds/deposit", {"amount": "1000000.00"}, key="once")
        wait_tradable(api, list_quotes(admin, 3))
        for _ in range(rounds):
            order = api.post("/buy", {"instrument": "NSE:INFY", "quantity": 3, "order_type": "MARKET"})
            deadline = time.monotonic() + 20
            while api.get(f"/orders/{order['id']}")["status"] != "FILLED":
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert reconcile(admin)["balanced"]


@pytest.fixture(scope="module")
def scraped(prometheus, tmp_path_factory):
    with PlatformProcess(tmp_path_factory.mktemp("dashboards") / "home", ENVIRONMENT) as platform:
        trade(platform, 1)
        server = prometheus(f"127.0.0.1:{platform.port}")
        server.wait_for("saras_broker_calls_total")
        trade(platform, 2)
        server.wait_for("sum(rate(saras_broker_calls_total[5m])) > 0")
        server.wait_for("saras:broker_call_seconds:p95_5m > 0")
        server.wait_for("saras:allocation_seconds:p99_5m > 0")
        yield platform, server


@pytest.mark.parametrize(("dashboard", "title", "query"), panels(), ids=lambda value: value[:40])
def test_a_panel_has_data(scraped, dashboard, title, query):
    _, server = scraped
    values = server.values(query)
    assert values, f"{dashboard}: {title}: no series"
    assert any(math.isfinite(value) for value in values), f"{dashboard}: {title}: {values}"


def test_queries_name_metrics_that_exist(scraped):
    platform, _ = scraped
    with urlopen(f"{platform.url}/metrics", timeout=10) as answer:
        families = set(re.findall(r"^# TYPE (\S+)", answer.read().decode(), re.MULTILINE))
    known = families | {family.removesuffix("_total") for family in families}
    used = {name for _, _, query in panels() for name in NAME.findall(query)}
    for rules in (DASHBOARDS.parent / "rules").glob("*.yaml"):
        used |= {name for line in rules.read_text().splitlines() if "expr:" in line for name in NAME.findall(line)}
    unknown = {name for name in used if not {name, *(name.removesuffix(part) for part in PARTS)} & known}
    assert unknown == set()


def test_rules_evaluate_and_a_healthy_platform_is_quiet(scraped):
    _, server = scraped
    rules = [rule for group in server.get("rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 30
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
    firing = {rule["name"] for rule in rules if rule["type"] == "alerting" and rule["state"] == "firing"}
    assert firing == set()
