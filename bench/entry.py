"""`limit_insert`, `accept_single`, `accept_batch`: how fast orders are accepted, committed and answered."""

import itertools
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
from figures import RUNS, Figure, median_of
from loadgen import Load, http_request, run_load
from stage import Stage, stage

from saras.demo.people import Person
from saras_common.ids import new_id

BATCH = 500
_INSERT = """
INSERT INTO bench_orders SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[],
    %b::int[], %b::bigint[], %b::text[], %b::timestamptz[])
"""


def limit_insert(database_url: str, rows: int = 60_000) -> float:
    """Orders a second of the bare statement: 1,000 rows a transaction, nothing checked, one connection."""
    now = datetime.now(UTC)
    columns = [
        [
            [new_id() for _ in range(1000)],
            [new_id() for _ in range(1000)],
            ["NSE:INFY"] * 1000,
            ["BUY"] * 1000,
            ["MARKET"] * 1000,
            ["ACCEPTED"] * 1000,
            [5] * 1000,
            [150_000] * 1000,
            ["main"] * 1000,
            [now] * 1000,
        ]
        for _ in range(rows // 1000)
    ]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE bench_orders (id uuid PRIMARY KEY, user_id uuid, instrument text, side text, order_type text,"
            " status text, quantity int, price bigint, account_id text, at timestamptz)"
        )
        started = time.perf_counter()
        for batch in columns:
            connection.execute(_INSERT, batch)
        seconds = time.perf_counter() - started
        connection.execute("DROP TABLE bench_orders")
    return rows / seconds


def single_requests(people: Sequence[Person], instruments: Sequence[str], count: int) -> list[bytes]:
    """`POST /buy` of one share, users and instruments in turn, each with its own idempotency key."""
    pairs = itertools.cycle(itertools.product(instruments, people))
    return [
        http_request(
            "POST",
            "/api/v1/buy",
            {
                "Authorization": f"Bearer {person.token}",
                "Content-Type": "application/json",
                "Idempotency-Key": str(new_id()),
            },
            json.dumps({"instrument": instrument, "quantity": 1, "order_type": "MARKET"}).encode(),
        )
        for instrument, person in itertools.islice(pairs, count)
    ]


def batch_requests(
    people: Sequence[Person], instruments: Sequence[str], batches: int, size: int = BATCH
) -> list[bytes]:
    """`POST /orders/batch` of ``size`` market buys of one share, users in turn."""
    names = itertools.cycle(instruments)
    return [
        http_request(
            "POST",
            "/api/v1/orders/batch",
            {
                "Authorization": f"Bearer {person.token}",
                "Content-Type": "application/json",
                "Idempotency-Key": str(new_id()),
            },
            json.dumps(
                {
                    "orders": [
                        {"instrument": next(names), "quantity": 1, "order_type": "MARKET", "side": "BUY"}
                        for _ in range(size)
                    ],
                    "atomic": False,
                }
            ).encode(),
        )
        for person in itertools.islice(itertools.cycle(people), batches)
    ]


def accepted(load: Load) -> Load:
    """The run, if everything in it was accepted."""
    assert set(load.statuses) == {"202"}, (load.statuses, load.last_body)
    return load


def _singles(platform: Stage, people: Sequence[Person], instruments: Sequence[str]) -> list[Load]:
    accepted(run_load(platform.port, single_requests(people, instruments, 2000), 32))  # warm
    return [accepted(run_load(platform.port, single_requests(people, instruments, 12_000), 32)) for _ in range(RUNS)]


def measure() -> list[Figure]:
    """All three in one run on one platform, so that their ratios mean something."""
    with stage({"SARAS_WINDOW_S": "3600"}) as platform:
        people = platform.people(64, prefix="entry", funds=9 * 10**10)
        instruments = platform.instruments(30)
        singles = _singles(platform, people, instruments)
        limits, batches = [], []
        accepted(run_load(platform.port, batch_requests(people, instruments, 8), 4))
        for _ in range(RUNS):
            limits.append(limit_insert(platform.database_url))
            load = accepted(run_load(platform.port, batch_requests(people, instruments, 100), 4))
            batches.append(load.total * BATCH / load.seconds)
    rates = [load.total / load.seconds for load in singles]
    p99 = [load.p99_ms for load in singles]
    ratios = [batch / limit for batch, limit in zip(batches, limits, strict=True)]
    return [
        Figure("limit_insert", "orders/s", median_of(limits), limits, note="the bare unnest of 1,000 rows"),
        Figure("accept_single", "orders/s", median_of(rates), rates, "≥ 3,000", median_of(rates) >= 3000),
        Figure("accept_single p99", "ms", median_of(p99), p99, "≤ 50", median_of(p99) <= 50),
        Figure("accept_batch", "orders/s", median_of(batches), batches, "≥ 25,000", median_of(batches) >= 25_000),
        Figure("accept_batch / limit_insert", "ratio", median_of(ratios), ratios, "≥ 1/3", median_of(ratios) >= 1 / 3),
    ]
