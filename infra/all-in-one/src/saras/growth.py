"""What more users need, from the measured costs of one: pure, seeded, nothing but arithmetic and a queue of events.

`Costs` are rows of ``bench/results.json`` (``make bench``, bench "costs"). `plan` multiplies them by a `Pattern` and
adds what the broker allows an account; `simulate` then plays the busiest minute order by order through the stations of
the plan and says how long orders wait. What is not in it: failures, several machines' networks, a disk's limits.
"""

import heapq
import math
import random
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate, pairwise

SESSION_MINUTES = 375
TRADING_DAYS = 250
CALLS_A_SECOND, CALLS_A_MINUTE, CALLS_A_DAY = 10, 400, 5000
"""What the broker allows an account."""

BUSY = 0.6
"""Share of a core that is planned for; the rest is for what comes in bunches."""

MAX_PARTITIONS = 16
BASE_QUEUES = 11
FILL_S = 0.25
"""From an order call to its fill: the market's, not ours."""

LINGERS_S = 0.25
"""What a stream of events waits in each outbox, so that it travels in few packets."""

PARTS: Mapping[str, tuple[str, ...]] = {
    "gateway": ("api-gateway api",),
    "entry": ("portfolio-service api",),
    "posting": ("portfolio-service consume",),
    "executor": ("trade-executor worker", "trade-executor consume", "trade-executor relay"),
    "relay": ("portfolio-service relay",),
    "notification": ("notification-service consume", "notification-service worker"),
    "analytics": ("analytics-service consume",),
    "database": ("postgresql",),
    "broker bus": ("rabbitmq",),
}
"""Parts of the plan, and whose measured CPU they are."""


@dataclass(frozen=True, slots=True)
class Costs:
    """One order's and one user's cost, measured."""

    cpu_s: Mapping[str, float]
    """CPU seconds an order, by part."""
    idle_cores: float
    """What one platform uses while nothing happens."""
    order_bytes: float
    order_wal_bytes: float
    user_bytes: float
    process_mb: float
    processes: float
    server_mb: float
    stream_kb: float
    connections_a_process: float


@dataclass(frozen=True, slots=True)
class Pattern:
    """How users trade."""

    orders_a_day: float = 1.0
    peak_minute: float = 0.02
    """Share of a day's orders in its busiest minute: five times the mean, as after the opening."""
    instruments: int = 500
    """Traded in by the users together; the more popular, the more orders (Zipf)."""
    online: float = 0.1
    """Share of users with a live stream at the busiest minute."""
    windows_s: tuple[float, ...] = (10, 30, 60, 300, 900, 1800, 3600)
    """Lengths of a window to choose from: the shortest one that needs no more than ``most_accounts``."""
    most_accounts: int = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What so many users need."""

    users: int
    peak_rate: float
    """Orders a second in the busiest minute."""
    window_s: float
    accounts: int
    servers: Mapping[str, int]
    """Processes (of the database: cores) by part."""
    cores: float
    memory_gb: float
    disk_gb_a_year: float
    wal_mb_s: float
    connections: int
    queues: int
    limits: Mapping[str, float] = field(default_factory=dict)
    """How much of one of each would be used at the peak: above 1 it has to be more than one, or something else."""

    @property
    def binds_first(self) -> str:
        """The limit that is met first as users come."""
        return max(self.limits, key=lambda name: self.limits[name])


@dataclass(frozen=True, slots=True)
class Waits:
    """The busiest minute, played."""

    came: int
    done: int
    accepted_s: tuple[float, float]
    """p50 and p99 from arrival to the answer."""
    filled_s: tuple[float, float]
    """p50 and p99 from arrival to the fill in the ledger."""
    calls: int
    by_account: Mapping[int, int]


def read_costs(rows: Sequence[Mapping[str, object]]) -> Costs:
    """From the rows of results.json; `KeyError` names a row that was not measured."""
    values = {str(row["name"]): float(str(row["value"])) for row in rows}
    processes = values["cost: processes"]
    return Costs(
        cpu_s={
            part: sum(values[f"cost: CPU an order, {name}"] for name in names) / 1000 for part, names in PARTS.items()
        },
        idle_cores=values["cost: CPU idle, all"],
        order_bytes=values["cost: disk an order"],
        order_wal_bytes=values["cost: WAL an order"],
        user_bytes=values["cost: disk a user"],
        process_mb=values["cost: memory a process"],
        processes=processes,
        server_mb=sum(values[f"cost: memory, {server}"] for server in ("postgresql", "rabbitmq", "redis")),
        stream_kb=values["idle stream, memory"],
        connections_a_process=values["cost: connections to PostgreSQL"] / processes,
    )


def plan(costs: Costs, users: int, pattern: Pattern | None = None) -> Plan:
    """What ``users`` need, planned for the busiest minute."""
    pattern = pattern or Pattern()
    a_day = users * pattern.orders_a_day
    rate = a_day * pattern.peak_minute / 60
    window_s, accounts = _windows(users, pattern)
    busy = {part: rate * cpu_s for part, cpu_s in costs.cpu_s.items()}
    servers = {part: max(1, math.ceil(cores / BUSY)) for part, cores in busy.items()}
    servers["executor"] = max(servers["executor"], accounts)
    extra = sum(servers[part] - 1 for part in servers if part not in ("database", "broker bus"))
    processes = costs.processes + extra
    streams_gb = users * pattern.online * costs.stream_kb / 2**20
    limits = {
        "one gateway process": busy["gateway"] / BUSY,
        "one order entry process": busy["entry"] / BUSY,
        "one posting consumer": busy["posting"] / BUSY,
        f"{MAX_PARTITIONS} posting partitions": busy["posting"] / BUSY / MAX_PARTITIONS,
        "one account's 5,000 calls a day, windows of 10 s": calls_a_day(a_day, pattern, 10) / CALLS_A_DAY,
        "one account's 10 calls a second": calls_a_window(rate * 10, pattern) / 10 / CALLS_A_SECOND,
    }
    return Plan(
        users=users,
        peak_rate=rate,
        window_s=window_s,
        accounts=accounts,
        servers=servers,
        cores=costs.idle_cores + sum(busy.values()) / BUSY,
        memory_gb=(processes * costs.process_mb + costs.server_mb) / 1024 + streams_gb,
        disk_gb_a_year=(users * costs.user_bytes + a_day * TRADING_DAYS * costs.order_bytes) / 2**30,
        wal_mb_s=rate * costs.order_wal_bytes / 2**20,
        connections=math.ceil(processes * costs.connections_a_process),
        queues=BASE_QUEUES + sum(n for part in ("posting", "notification", "analytics") if (n := servers[part]) > 1),
        limits=limits,
    )


@cache
def _shares(instruments: int) -> tuple[float, ...]:
    weights = [1 / rank for rank in range(1, instruments + 1)]
    return tuple(weight / sum(weights) for weight in weights)


def calls_a_window(orders: float, pattern: Pattern) -> float:
    """Broker orders of a window with so many users' orders: an instrument and side is one, however many want it."""
    return sum(2 * -math.expm1(-orders * share / 2) for share in _shares(pattern.instruments))


def calls_a_day(orders: float, pattern: Pattern, window_s: float) -> float:
    """Broker orders a day of one account: a busy half hour at the peak's rate, the rest spread evenly."""
    busy_minutes = min(30.0, 0.5 / pattern.peak_minute)
    busy_orders = orders * pattern.peak_minute * busy_minutes
    quiet_minutes = SESSION_MINUTES - busy_minutes
    total = 0.0
    for minutes, share in ((busy_minutes, busy_orders), (quiet_minutes, orders - busy_orders)):
        windows = minutes * 60 / window_s
        total += windows * calls_a_window(share / windows, pattern)
    return total


def _fits(orders_a_day: float, pattern: Pattern, window_s: float) -> bool:
    """Whether one account carries so many orders a day."""
    at_peak = orders_a_day * pattern.peak_minute / 60 * window_s
    calls = calls_a_window(at_peak, pattern)
    return (
        calls_a_day(orders_a_day, pattern, window_s) <= CALLS_A_DAY
        and calls <= CALLS_A_SECOND * window_s
        and calls * max(1.0, 60 / window_s) <= CALLS_A_MINUTE * max(1.0, window_s / 60)
    )


def _windows(users: int, pattern: Pattern) -> tuple[float, int]:
    """The shortest window that needs few accounts, and how many; the longest one's number if none does."""
    needed = 0
    for window_s in pattern.windows_s:
        needed = accounts_for(users, pattern, window_s)
        if needed <= pattern.most_accounts:
            return window_s, needed
    return pattern.windows_s[-1], needed


def accounts_for(users: int, pattern: Pattern, window_s: float) -> int:
    """Broker accounts that carry so many users with windows of that length."""
    orders = users * pattern.orders_a_day
    low, high = 0, 1
    while not _fits(orders / high, pattern, window_s):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _fits(orders / middle, pattern, window_s) else (middle, high)
    return high


class _Station:
    """So many servers, first come first served; service times vary as exponential ones do."""

    def __init__(self, servers: int, service_s: float, rng: random.Random) -> None:
        self._free = [0.0] * servers
        self._service_s = service_s
        self._rng = rng

    def through(self, came: float) -> float:
        """When the one that came then is done. Calls are in the order of ``came``."""
        begin = max(came, heapq.heappop(self._free))
        done = begin + self._rng.expovariate(1 / self._service_s)
        heapq.heappush(self._free, done)
        return done


def simulate(costs: Costs, made: Plan, *, seed: int, seconds: float = 60.0, pattern: Pattern | None = None) -> Waits:
    """Play ``seconds`` of the peak through ``made``: gateway, entry, outbox, windows, broker calls, posting.

    Every order that came is done in the end: nothing is refused here, it waits. A user is of one account and one
    posting partition, for good.
    """
    pattern, rng = pattern or Pattern(), random.Random(seed)
    gateway = _Station(made.servers["gateway"], costs.cpu_s["gateway"], rng)
    entry = _Station(made.servers["entry"], costs.cpu_s["entry"], rng)
    accepted: list[tuple[float, float, int, int]] = []
    shares = list(accumulate(_shares(pattern.instruments)))
    came = list(_arrivals(made.peak_rate, seconds, rng))
    answered = sorted((entry.through(at), first) for at, first in sorted((gateway.through(at), at) for at in came))
    for at, first in answered:
        user = rng.randrange(made.users)
        instrument = 2 * min(bisect(shares, rng.random()), pattern.instruments - 1) + rng.randrange(2)
        accepted.append((at, first, user, instrument))
    filled, calls, by_account = _execute(accepted, made, rng)
    posted = _post(filled, costs, made, rng)
    return Waits(
        came=len(came),
        done=len(posted),
        accepted_s=_percentiles([at - first for at, first in answered]),
        filled_s=_percentiles(posted),
        calls=calls,
        by_account=by_account,
    )


def _arrivals(rate: float, seconds: float, rng: random.Random) -> Iterator[float]:
    at = rng.expovariate(rate)
    while at < seconds:
        yield at
        at += rng.expovariate(rate)


def _execute(
    accepted: Sequence[tuple[float, float, int, int]], made: Plan, rng: random.Random
) -> tuple[list[tuple[float, float, int]], int, dict[int, int]]:
    """(filled at, came at, user) of each; windows of an account begin with its first order, calls are paced."""
    accounts: dict[int, list[tuple[float, float, int, int]]] = {}
    for at, first, user, instrument in accepted:
        accounts.setdefault(user % made.accounts, []).append((at + LINGERS_S, first, user, instrument))
    filled: list[tuple[float, float, int]] = []
    calls, pace_s = 0, max(1 / CALLS_A_SECOND, 60 / CALLS_A_MINUTE)
    for orders in accounts.values():
        orders.sort()
        free_at = 0.0
        for start, end in pairwise([*_window_starts(orders, made.window_s), len(orders)]):
            closed = orders[start][0] + made.window_s
            blocks: dict[int, list[tuple[float, int]]] = {}
            for _, first, user, instrument in orders[start:end]:
                blocks.setdefault(instrument, []).append((first, user))
            for block in blocks.values():
                free_at = max(free_at, closed) + pace_s
                at = free_at + rng.expovariate(1 / FILL_S)
                filled += [(at, first, user) for first, user in block]
                calls += 1
    return filled, calls, {account: len(orders) for account, orders in accounts.items()}


def _window_starts(orders: Sequence[tuple[float, float, int, int]], window_s: float) -> list[int]:
    starts, closes = list[int](), -math.inf
    for index, order in enumerate(orders):
        if order[0] > closes:
            starts.append(index)
            closes = order[0] + window_s
    return starts


def _post(filled: Sequence[tuple[float, float, int]], costs: Costs, made: Plan, rng: random.Random) -> list[float]:
    """Seconds from arrival until each is in the ledger: partitions by user, one consumer each."""
    partitions = min(MAX_PARTITIONS, made.servers["posting"])
    consumers = [_Station(1, costs.cpu_s["posting"], rng) for _ in range(partitions)]
    return [
        consumers[user % partitions].through(at) - first
        for at, first, user in sorted((at + LINGERS_S, first, user) for at, first, user in filled)
    ]


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 0.0
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
