"""The simulation of more users: nothing is lost in it, and more is never less."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saras.growth import (
    CALLS_A_DAY,
    PARTS,
    Costs,
    Pattern,
    calls_a_day,
    calls_a_window,
    plan,
    read_costs,
    simulate,
)

COSTS = Costs(
    cpu_s=dict.fromkeys(PARTS, 0.001),
    idle_cores=0.5,
    order_bytes=2000,
    order_wal_bytes=9000,
    user_bytes=5000,
    process_mb=80,
    processes=24,
    server_mb=400,
    stream_kb=12,
    connections_a_process=2.5,
)
RESULTS = Path(__file__).parents[4] / "bench" / "results.json"
users = st.integers(10, 2_000_000)


@settings(deadline=None, max_examples=40)
@given(users, st.integers(2, 20))
def test_more_users_need_no_less_of_anything(few, times):
    less, more = plan(COSTS, few), plan(COSTS, few * times)
    for name in ("peak_rate", "window_s", "cores", "disk_gb_a_year", "wal_mb_s", "queues"):
        assert getattr(more, name) >= getattr(less, name), name
    same = Pattern(windows_s=(10,))  # a longer window needs fewer accounts, and with them executors
    less, more = plan(COSTS, few, same), plan(COSTS, few * times, same)
    for name in ("accounts", "memory_gb", "connections"):
        assert getattr(more, name) >= getattr(less, name), name
    assert all(more.limits[name] >= less.limits[name] for name in less.limits)
    assert all(more.servers[part] >= less.servers[part] for part in less.servers if part != "executor")


@settings(deadline=None, max_examples=25)
@given(st.integers(100, 200_000), st.integers(0, 2**32))
def test_every_order_that_came_is_filled_once(people, seed):
    made = plan(COSTS, people)
    waits = simulate(COSTS, made, seed=seed, seconds=20)
    assert waits.came == waits.done == sum(waits.by_account.values())
    assert set(waits.by_account) <= set(range(made.accounts))
    assert waits.calls <= waits.done
    assert 0 <= waits.accepted_s[0] <= waits.accepted_s[1] <= waits.filled_s[1] or waits.done == 0


def test_the_same_seed_is_the_same_minute():
    made = plan(COSTS, 50_000)
    assert simulate(COSTS, made, seed=4) == simulate(COSTS, made, seed=4)
    assert simulate(COSTS, made, seed=4) != simulate(COSTS, made, seed=5)


def test_too_few_servers_make_orders_wait():
    made = plan(COSTS, 400_000)
    alone = replace(made, servers=made.servers | {"posting": 1, "entry": 1})
    costs = replace(COSTS, cpu_s=COSTS.cpu_s | {"entry": 0.01, "posting": 0.01})
    assert simulate(costs, alone, seed=1).accepted_s[1] > 5 * simulate(COSTS, made, seed=1).accepted_s[1]
    assert simulate(costs, alone, seed=1).filled_s[1] > simulate(COSTS, made, seed=1).filled_s[1]


def test_an_instrument_is_one_call_however_many_want_it():
    pattern = Pattern(instruments=10)
    assert calls_a_window(1, pattern) == pytest.approx(1, rel=0.1)
    assert calls_a_window(100_000, pattern) == pytest.approx(20, rel=1e-6)
    assert calls_a_day(10**6, pattern, 60) < calls_a_day(10**6, pattern, 10)


def test_accounts_stay_within_what_the_broker_allows():
    for people in (1000, 30_000, 1_000_000):
        made = plan(COSTS, people)
        assert calls_a_day(people / made.accounts, Pattern(), made.window_s) <= CALLS_A_DAY
    assert plan(COSTS, 1_000_000).binds_first.startswith("one account's 5,000 calls a day")


def test_costs_are_those_that_were_measured():
    rows = json.loads(RESULTS.read_text())
    costs = read_costs(rows)
    assert all(cpu_s > 0 for cpu_s in costs.cpu_s.values())
    missing = [row for row in rows if row["name"] != "cost: WAL an order"]
    with pytest.raises(KeyError, match="WAL"):
        read_costs(missing)


def test_users_are_shared_out_over_accounts():
    made = replace(plan(COSTS, 100_000), accounts=4)
    counts = Counter(simulate(COSTS, made, seed=2).by_account)
    assert len(counts) == 4
    assert max(counts.values()) < 1.3 * min(counts.values())
