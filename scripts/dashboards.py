#!/usr/bin/env python3
"""Write Grafana's dashboards from this list of panels: infra/prometheus-grafana/dashboards; --check compares only."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "infra/prometheus-grafana/dashboards"
DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
COLUMNS, HEIGHT = 3, 8


@dataclass(frozen=True, slots=True)
class Panel:
    """One question: its title, the query that answers it, how a line is called, and the unit of its figures."""

    title: str
    query: str
    legend: str = ""
    unit: str = "short"
    is_stat: bool = False


DASHBOARDS: dict[str, tuple[str, list[Panel]]] = {
    "platform": (
        "Saras: platform",
        [
            Panel("Processes up", "sum(up)", is_stat=True),
            Panel("Errors of ours, 1 h", "saras:gateway_errors:ratio_rate1h", unit="percentunit", is_stat=True),
            Panel("Orders within 250 ms", "min(saras:orders_in_time:ratio_rate5m)", unit="percentunit", is_stat=True),
            Panel("Requests a second by route", "saras:gateway_requests:rate5m", "{{route}}", "reqps"),
            Panel(
                "Errors by route",
                'sum by (route) (rate(saras_gateway_requests_total{status=~"5.."}[5m])) or vector(0)',
                "{{route}}",
                "reqps",
            ),
            Panel("p99 by route", "saras:gateway_request_seconds:p99_5m", "{{route}}", "s"),
            Panel(
                "Refused at the door",
                "sum by (reason) (rate(saras_gateway_refusals_total[5m])) or vector(0)",
                "{{reason}}",
                "reqps",
            ),
            Panel("Sign-ins by outcome", "sum by (outcome) (rate(saras_logins_total[5m]))", "{{outcome}}", "reqps"),
            Panel("Age of the revocation feed", "saras_gateway_revocations_age_seconds", "{{instance}}", "s"),
            Panel("Outbox: oldest event waiting", "saras_outbox_lag_seconds", "{{service}}", "s"),
            Panel("Messages waiting in queues", "saras_queue_messages", "{{queue}}"),
            Panel(
                "Events applied a second",
                'sum by (queue) (rate(saras_consumer_events_total{outcome="applied"}[5m]))',
                "{{queue}}",
                "cps",
            ),
            Panel(
                "Events repeated and parked, 1 h",
                'sum by (queue, outcome) (increase(saras_consumer_events_total{outcome=~"repeated|parked"}[1h]))',
                "{{queue}} {{outcome}}",
            ),
            Panel(
                "Deliveries p95",
                "histogram_quantile(0.95, sum by (queue, le) (rate(saras_consumer_delivery_seconds_bucket[5m])))",
                "{{queue}}",
                "s",
            ),
            Panel(
                "Notifications by channel and state",
                "sum by (channel, state) (rate(saras_notification_tries_total[5m])) or vector(0)",
                "{{channel}} {{state}}",
                "cps",
            ),
        ],
    ),
    "execution": (
        "Saras: execution",
        [
            Panel("Leaders by account", "sum by (account) (saras_executor_leading)", "{{account}}", is_stat=True),
            Panel(
                "Broker orders in doubt",
                'sum by (account) (saras_intents{state="UNKNOWN"})',
                "{{account}}",
                is_stat=True,
            ),
            Panel("Order calls left", "saras_order_calls_left", "{{account}} {{window}}", is_stat=True),
            Panel("Orders in the open window", "saras_window_orders", "{{account}}"),
            Panel("Age of the open window", "saras_window_age_seconds", "{{account}}", "s"),
            Panel("Broker orders by state", "sum by (state) (saras_intents)", "{{state}}"),
            Panel(
                "Broker calls by outcome",
                "sum by (call, outcome) (rate(saras_broker_calls_total[5m]))",
                "{{call}} {{outcome}}",
                "cps",
            ),
            Panel("Broker call p95", "saras:broker_call_seconds:p95_5m", "{{account}} {{call}}", "s"),
            Panel("Share of calls that fail", "saras:broker_failures:ratio_rate5m", "{{account}}", "percentunit"),
            Panel("Sharing out a block, p99", "saras:allocation_seconds:p99_5m", "{{account}}", "s"),
            Panel(
                "Doubts resolved, 1 h",
                "sum by (state, late) (increase(saras_intents_resolved_total[1h])) or vector(0)",
                "{{state}} late={{late}}",
            ),
            Panel("Orders not ours, 1 h", "sum by (account) (increase(saras_strangers_total[1h]))", "{{account}}"),
        ],
    ),
    "money": (
        "Saras: money and reconciliation",
        [
            Panel(
                "Books and broker agree",
                "min by (account) (saras_reconciliation_balanced)",
                "{{account}}",
                is_stat=True,
            ),
            Panel("Ledger imbalance", "max(saras_book_imbalance_paise)", is_stat=True),
            Panel(
                "Cash unexplained, paise",
                "sum by (account) (saras_reconciliation_cash_difference_paise)",
                "{{account}}",
                is_stat=True,
            ),
            Panel("Instruments that differ", "saras_reconciliation_instruments_differing", "{{account}}"),
            Panel(
                "Orders by state reached", "sum by (status) (rate(saras_book_orders_total[5m]))", "{{status}}", "cps"
            ),
            Panel("Parts of fills posted", "sum(rate(saras_book_allocations_total[5m]))", "posted", "cps"),
            Panel("Fills no order could take, 1 h", "sum(increase(saras_book_unclaimed_total[1h]))", "unclaimed"),
            Panel("Paid by suspense, paise, 1 h", "sum(increase(saras_book_shortfall_paise_total[1h]))", "paise"),
            Panel(
                "Orders a commit, p95",
                "histogram_quantile(0.95, sum by (le) (rate(saras_entry_group_orders_bucket[5m])))",
                "orders",
            ),
            Panel(
                "From book to executor: outbox lag",
                'max(saras_outbox_lag_seconds{service=~"portfolio-service|trade-executor"})',
                "lag",
                "s",
            ),
        ],
    ),
    "service": (
        "Saras: per service",
        [
            Panel("CPU", "sum by (job) (rate(process_cpu_seconds_total[5m]))", "{{job}}", "percentunit"),
            Panel("Memory", "sum by (job) (process_resident_memory_bytes)", "{{job}}", "bytes"),
            Panel("Open files", "sum by (job) (process_open_fds)", "{{job}}"),
            Panel(
                "Started", "time() - max by (job, instance) (process_start_time_seconds)", "{{job}} {{instance}}", "s"
            ),
            Panel(
                "Requests a second",
                "sum by (service, status) (rate(saras_http_requests_total[5m]))",
                "{{service}} {{status}}",
                "reqps",
            ),
            Panel(
                "p95",
                "histogram_quantile(0.95, sum by (service, le) (rate(saras_http_request_seconds_bucket[5m])))",
                "{{service}}",
                "s",
            ),
            Panel(
                "Published a second", "sum by (service) (rate(saras_outbox_published_total[5m]))", "{{service}}", "cps"
            ),
        ],
    ),
}
"""File → title and panels, in the order in which they are shown."""


def dashboard(uid: str, title: str, panels: Sequence[Panel]) -> dict[str, Any]:
    """The document Grafana reads."""
    return {
        "uid": f"saras-{uid}",
        "title": title,
        "tags": ["saras"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    return {
        "id": number + 1,
        "type": "stat" if panel.is_stat else "timeseries",
        "title": panel.title,
        "datasource": DATASOURCE,
        "gridPos": {"h": HEIGHT, "w": 24 // COLUMNS, "x": column * (24 // COLUMNS), "y": row * HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": "A", "datasource": DATASOURCE, "expr": panel.query, "legendFormat": panel.legend or "__auto"}
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the files say what the list says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when a file would change")
    check = parser.parse_args(arguments).check
    stale = []
    for name, (title, panels) in DASHBOARDS.items():
        path = FOLDER / f"{name}.json"
        text = json.dumps(dashboard(name, title, panels), indent=1) + "\n"
        if not path.exists() or path.read_text() != text:
            stale.append(path.name)
            if not check:
                path.write_text(text)
    if check and stale:
        print(f"stale: {', '.join(stale)}; run scripts/dashboards.py", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
