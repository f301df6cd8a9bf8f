"""`latency`: 100 orders a second on three instruments, windows of half a second, accept → in the ledger."""

import statistics

from entry import accepted, single_requests
from figures import Figure
from loadgen import run_load
from stage import stage

SECONDS, RATE = 30, 100
_FILLED_AFTER = """
SELECT extract(epoch FROM updated_at - created_at) FROM portfolio_service.orders WHERE status = 'FILLED'
"""


def measure() -> list[Figure]:
    """From the book's clock at acceptance to its clock when the order's last ledger entries were written."""
    with stage({"SARAS_WINDOW_S": "0.5"}) as platform:
        people = platform.people(50, prefix="latency")
        instruments = platform.instruments(3)
        requests = single_requests(people, instruments, SECONDS * RATE)
        accepted(run_load(platform.port, requests, 1, rate=RATE))
        platform.wait_until(
            "SELECT count(*) >= %s FROM portfolio_service.orders WHERE status = 'FILLED'", len(requests)
        )
        waits = sorted(float(row[0]) for row in platform.query(_FILLED_AFTER))
    assert len(waits) == len(requests)
    p50, p99 = statistics.median(waits), waits[int(len(waits) * 0.99)]
    return [
        Figure("latency p50", "s", p50, [], "≤ 0.7", p50 <= 0.7, f"{len(waits)} orders at {RATE}/s"),
        Figure("latency p99", "s", p99, [], "≤ 1.5", p99 <= 1.5),
    ]
