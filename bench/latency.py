"""`latency`: 100 orders a second on three instruments, windows of half a second, accept → in the ledger."""

import statistics

from entry import accepted, single_requests
from figures import Figure
from loadgen import run_load
from stage import stage

SECONDS, RATE = 30, 100
_BOOKED_AFTER = """
SELECT extract(epoch FROM max(e.at) FILTER (WHERE e.kind IN ('buy', 'sell')) - o.created_at),
       extract(epoch FROM max(e.at) FILTER (WHERE e.kind IN ('buy', 'sell', 'true_up')) - o.created_at)
FROM portfolio_service.orders o JOIN portfolio_service.entries e ON e.order_id = o.id
WHERE o.status = 'FILLED' GROUP BY o.id
"""


def measure() -> list[Figure]:
    """From the book's clock at acceptance to its clock when the order's fills were in the ledger."""
    with stage({"SARAS_WINDOW_S": "0.5"}) as platform:
        people = platform.people(50, prefix="latency")
        instruments = platform.instruments(3)
        requests = single_requests(people, instruments, SECONDS * RATE)
        accepted(run_load(platform.port, requests, 1, rate=RATE))
        platform.wait_until(
            "SELECT count(*) >= %s FROM portfolio_service.orders WHERE status = 'FILLED'", len(requests)
        )
        rows = platform.query(_BOOKED_AFTER)
    assert len(rows) == len(requests)
    booked, trued = (sorted(float(row[which]) for row in rows) for which in (0, 1))
    p50, p99 = statistics.median(booked), booked[int(len(booked) * 0.99)]
    note = f"{len(booked)} orders at {RATE}/s"
    return [
        Figure("latency p50", "s", p50, [], "≤ 0.7", p50 <= 0.7, note),
        Figure("latency p99", "s", p99, [], "≤ 1.5", p99 <= 1.5),
        Figure("latency to the true-up p50", "s", statistics.median(trued), [], "", None, "the block's last paisa"),
    ]
