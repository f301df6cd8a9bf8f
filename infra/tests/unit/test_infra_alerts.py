"""Every alert has a runbook, a severity and a test in which it fires; promtool runs those."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "infra/prometheus-grafana"


def alerts():
    document = yaml.safe_load((FOLDER / "rules/alerts.yaml").read_text())
    return {rule["alert"]: rule for group in document["groups"] for rule in group["rules"]}


def test_every_alert_has_a_runbook_and_no_runbook_is_left_over():
    pages = {path.stem for path in (ROOT / "docs/runbooks").glob("Saras*.md")}
    assert pages == set(alerts())
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{name}.md"
        assert rule["labels"]["severity"] in {"page", "ticket"}
        page = (ROOT / rule["annotations"]["runbook"]).read_text()
        assert rule["expr"] in page, f"{name}: the page shows another expression"
        assert "## Look" in page
        assert "## Do" in page


def test_every_alert_is_tested_to_fire_and_to_be_quiet():
    document = yaml.safe_load((FOLDER / "tests/alerts.yaml").read_text())
    cases = [case for test in document["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == set(alerts())
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == set(alerts())


@pytest.mark.services
@pytest.mark.parametrize(
    "arguments",
    [
        ("test", "rules", "tests/alerts.yaml"),
        ("check", "rules", "rules/alerts.yaml", "rules/recording.yaml"),
        ("check", "config", "prometheus.yaml"),
    ],
)
def test_promtool_is_content(arguments):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (sudo make services)")
    done = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboards_are_what_their_list_says():
    script = ROOT / "scripts/dashboards.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
