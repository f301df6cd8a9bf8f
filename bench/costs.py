"""`costs`: what an order and a user cost each part of the platform spread out on one machine, in one run.

CPU is read from the processes' own clocks (``/proc``), less what they use while nothing happens; bytes from the
database's own counters. The simulation of more users (``scripts/scale.py``) reads these rows.
"""

import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from entry import accepted, single_requests
from figures import Figure
from loadgen import run_load
from stage import Stage, start

from saras.demo.people import Person
from saras.growth import PARTS
from saras.home import Home
from saras.spread.roll import read_roll
from saras_common.postgres import EmbeddedPostgres

USERS = 300
FEW = 50
INSTRUMENTS = 10
IDLE_S = 10
RATE, SECONDS = 80, 30
WINDOW_S = "5"
SETTLE_S = 6
"""Until notifications are told and the windows' last rows written."""

LEAST_MS = 0.1
ALWAYS = {part for parts in PARTS.values() for part in parts}
"""Parts with a row of their own, however little they take; the others are in the sum."""

SERVERS = ("postgresql", "rabbitmq", "redis")
KEPT = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON
    n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
    AND (c.relname = ANY(%s)) = %s
"""
PASSING = ["outbox", "inbox", "message", "idempotency_keys", "feed"]
"""Tables that forget within days."""

_WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
_FILLED = "SELECT count(*) >= %s FROM portfolio_service.orders WHERE status = 'FILLED'"
_TOLD = "SELECT count(DISTINCT user_id) >= %s FROM notification_service.notifications"
_CALLS = """
SELECT coalesce(avg(users), 0)::float, coalesce(avg(orders), 0)::float, coalesce(avg(broker_orders), 0)::float FROM (
    SELECT b.id, max(b.broker_orders) AS broker_orders, count(*) AS orders, count(DISTINCT d.user_id) AS users
    FROM trade_executor.batches b JOIN trade_executor.demands d ON d.batch_id = b.id
    WHERE b.state = 'DONE' AND b.opened_at > to_timestamp(%s) GROUP BY b.id) AS done WHERE orders > 10
"""


def measure() -> list[Figure]:
    """All of it on one platform of its own."""
    with TemporaryDirectory(prefix="saras-costs-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        environment = {"SARAS_LAYOUT": "spread", "SARAS_WINDOW_S": WINDOW_S, "BROKER_URL": "", "REDIS_URL": ""}
        platform = start(home, "", environment)
        try:
            admin_url = EmbeddedPostgres(Home(home).services / "postgres").start()  # the one that runs
            return _measure(replace(platform, database_url=admin_url))
        finally:
            platform.stop()


def _measure(platform: Stage) -> list[Figure]:
    kept = _kept(platform)
    people = platform.people(USERS, prefix="cost")
    figures = [
        Figure("cost: disk a user", "B", (_kept(platform) - kept) / USERS, note="made in bulk, funded, no password"),
        _sign_in(platform),
    ]
    instruments = platform.instruments(INSTRUMENTS)
    _trade(platform, people, instruments, 400, 0)  # warm
    time.sleep(SETTLE_S)
    idle = _idle(platform)
    figures += _windows(platform, people[:FEW], instruments, 10 * SECONDS // 2, 400)
    figures += _orders(platform, people, instruments, idle, 400 + 10 * SECONDS // 2)
    most = sorted(idle, key=lambda part: -idle[part])[:3]
    note = "of which " + ", ".join(f"{part} {idle[part]:.3f}" for part in most)
    figures += [Figure("cost: CPU idle, all", "cores", sum(idle.values()), note=note)]
    return figures + _memory(platform)


def _sign_in(platform: Stage, times: int = 10) -> Figure:
    used = _cpu(platform)
    for _ in range(times):
        with platform.admin():
            pass
    spent = _per_part(_cpu(platform), used, times)["user-service api"]
    return Figure("cost: CPU a sign-in, user-service", "ms", spent * 1000, note="one Argon2id hash of 19 MiB")


def _orders(
    platform: Stage, people: Sequence[Person], instruments: Sequence[str], idle: Mapping[str, float], before: int
) -> list[Figure]:
    """A stream of single orders; what it took from acceptance to the last notification, an order."""
    orders = RATE * SECONDS
    kept, passing, wal, used = _kept(platform), _passing(platform), platform.query(_WAL)[0][0], _cpu(platform)
    began, began_at = time.perf_counter(), time.time()
    load = _trade(platform, people, instruments, orders, before, rate=RATE)
    time.sleep(SETTLE_S)
    seconds = time.perf_counter() - began
    cpu = {
        part: max(0.0, seconds_an_order - idle.get(part, 0.0) * seconds / orders)
        for part, seconds_an_order in _per_part(_cpu(platform), used, orders).items()
    }
    note = f"{orders:,} single orders of {len(people)} users at {RATE}/s, {len(instruments)} instruments"
    figures = [
        Figure(f"cost: CPU an order, {part}", "ms", value * 1000, note=note)
        for part, value in sorted(cpu.items())
        if value * 1000 >= LEAST_MS or part in ALWAYS
    ]
    return [
        *figures,
        Figure("cost: CPU an order, all", "ms", sum(cpu.values()) * 1000, note=note),
        Figure("cost: answer p99 at that rate", "ms", load, note=note),
        Figure("cost: disk an order", "B", (_kept(platform) - kept) / orders, note="what stays: indexes included"),
        Figure("cost: disk an order, passing", "B", (_passing(platform) - passing) / orders, note=", ".join(PASSING)),
        Figure("cost: WAL an order", "B", (platform.query(_WAL)[0][0] - wal) / orders, note=note),
        *_calls(platform, began_at, "many users"),
    ]


def _windows(
    platform: Stage, people: Sequence[Person], instruments: Sequence[str], orders: int, before: int
) -> list[Figure]:
    """The same instruments with fewer users: the broker sees as many orders."""
    began_at = time.time()
    _trade(platform, people, instruments, orders, before, rate=orders // (SECONDS // 2))
    return _calls(platform, began_at, "few users")


def _calls(platform: Stage, began_at: float, which: str) -> list[Figure]:
    [(users, orders, sent)] = platform.query(_CALLS, began_at)
    note = f"{users:.0f} users with {orders:.0f} orders in a window of {WINDOW_S} s, {INSTRUMENTS} instruments"
    return [Figure(f"cost: broker orders a window, {which}", "calls", sent, note=note)]


def _trade(
    platform: Stage, people: Sequence[Person], instruments: Sequence[str], orders: int, before: int, *, rate: float = 0
) -> float:
    """Place and wait until all are filled and told; the answers' p99 in milliseconds."""
    requests = single_requests(people, instruments, max(orders, len(people) * len(instruments)))
    if rate:
        random.Random(orders).shuffle(requests)  # every window has orders in every instrument
    load = accepted(run_load(platform.port, requests[:orders], 8, rate=rate))
    platform.wait_until(_FILLED, before + orders)
    platform.wait_until(_TOLD, len({person.id for person in people}))
    return load.p99_ms


def _idle(platform: Stage) -> dict[str, float]:
    """Cores each part takes while nobody does anything."""
    used = _cpu(platform)
    time.sleep(IDLE_S)
    return _per_part(_cpu(platform), used, IDLE_S)


def _memory(platform: Stage) -> list[Figure]:
    sizes = {part: _pss_mb(pid) for part, pid in _parts(platform).items()}
    ours = {part: size for part, size in sizes.items() if part not in SERVERS}
    largest = max(ours, key=lambda part: ours[part])
    note = "proportional set size after the load"
    connections = float(platform.query(_CONNECTIONS)[0][0])
    mean = sum(ours.values()) / len(ours)
    return [
        Figure("cost: processes", "count", len(ours), note="of the services, without servers and sandbox"),
        Figure("cost: memory a process", "MB", mean, note=note),
        Figure("cost: memory, largest process", "MB", ours[largest], note=largest),
        *(Figure(f"cost: memory, {part}", "MB", sizes[part], note=note) for part in SERVERS),
        Figure("cost: connections to PostgreSQL", "count", connections, note="of all processes, after the load"),
    ]


def _parts(platform: Stage) -> dict[str, int]:
    """Process ids by part: a service's process, or a server."""
    return {
        entry.name.replace(".", " "): entry.pid
        for entry in read_roll(Home(platform.home).roll)
        if entry.pid is not None
    }


def _cpu(platform: Stage) -> dict[str, float]:
    """Seconds each part has used since it began, with everything it started and everything of that which ended."""
    used: defaultdict[str, float] = defaultdict(float)
    for part, pid in _parts(platform).items():
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                used[part] += sum(process.cpu_times()[:4])
    return used


def _per_part(now: Mapping[str, float], then: Mapping[str, float], units: float) -> dict[str, float]:
    return {part: (now[part] - then.get(part, 0.0)) / units for part in now}


def _pss_mb(pid: int) -> float:
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 2**20


def _kept(platform: Stage) -> int:
    return int(platform.query(KEPT, PASSING, False)[0][0])


def _passing(platform: Stage) -> int:
    return int(platform.query(KEPT, PASSING, True)[0][0])
