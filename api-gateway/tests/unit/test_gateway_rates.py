import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.rates import MemoryLimiter, Rate, RedisLimiter, retry_after_s
from saras_common.testing import PrivateRedis

START = 1_700_000_040.0  # a multiple of 60


def admitted(limiter, rate, key, times):
    return [at for at in times if limiter.hit(rate, key, at) == 0]


def test_rate_is_read_in_the_library_s_notation():
    assert Rate.parse("login", "10/minute", strict=True) == Rate("login", 10, 60, strict=True)


def test_memory_limiter_admits_the_amount_and_no_more():
    limiter, rate = MemoryLimiter(), Rate("r", 5, 60)
    assert len(admitted(limiter, rate, "a", [START + n for n in range(10)])) == 5
    assert limiter.hit(rate, "b", START + 10) == 0


def test_memory_limiter_has_no_double_burst_at_a_window_s_edge():
    limiter, rate = MemoryLimiter(), Rate("r", 100, 60)
    assert len(admitted(limiter, rate, "a", [START + 59] * 200)) == 100
    assert len(admitted(limiter, rate, "a", [START + 61] * 200)) <= 2


def test_memory_limiter_forgets_after_two_windows():
    limiter, rate = MemoryLimiter(), Rate("r", 1, 60)
    assert limiter.hit(rate, "a", START) == 0
    assert limiter.hit(rate, "a", START + 30) > 0
    assert limiter.hit(rate, "a", START + 180) == 0


@given(
    amount=st.integers(1, 20),
    steps=st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_memory_limiter_retry_after_is_enough_and_any_window_is_bounded(amount, steps):
    limiter, rate, at, taken = MemoryLimiter(), Rate("r", amount, 10), START, []
    for step in steps:
        at += step
        wait_s = limiter.hit(rate, "a", at)
        if wait_s:
            at += retry_after_s(wait_s)
            assert limiter.hit(rate, "a", at) == 0
        taken.append(at)
    for first in taken:
        assert sum(first <= other < first + 10 for other in taken) <= 2 * amount


def test_memory_limiter_bounds_its_memory(monkeypatch):
    monkeypatch.setattr("api_gateway.rates._MAX_KEYS", 3)
    limiter, rate = MemoryLimiter(), Rate("r", 2, 60)
    assert [limiter.hit(rate, f"k{n}", START) == 0 for n in range(8)] == [True] * 5 + [False] * 3


@pytest.fixture(scope="module")
def redis():
    if PrivateRedis.missing():
        pytest.skip(PrivateRedis.missing())
    server = PrivateRedis()
    server.start()
    yield server
    server.stop()


def run(work):
    return asyncio.run(work())


def test_redis_limiter_counts_strict_rates_across_gateways(redis):
    async def work():
        one, two = RedisLimiter(redis.url), RedisLimiter(redis.url)
        rate = Rate("login", 4, 60, strict=True)
        waits = [await (one, two)[n % 2].strict_hit(rate, "a", START) for n in range(8)]
        await one.close()
        await two.close()
        return waits

    waits = run(work)
    assert waits[:4] == [0] * 4
    assert all(wait >= 1 for wait in waits[4:])


def test_redis_limiter_shares_plain_rates_within_a_moment(redis):
    async def work():
        one, two = RedisLimiter(redis.url), RedisLimiter(redis.url)
        rate = Rate("user", 10, 60)
        mine = [one.hit(rate, "a", START) for _ in range(6)]
        two.hit(rate, "a", START)
        await one.share(START)
        await two.share(START)
        theirs = [two.hit(rate, "a", START) for _ in range(6)]
        await one.share(START)  # nothing new: nothing is counted twice
        await two.share(START)
        await one.share(START)
        again = two.hit(rate, "a", START)
        await one.close()
        await two.close()
        return mine, theirs, again

    mine, theirs, again = run(work)
    assert mine == [0] * 6
    assert [wait == 0 for wait in theirs] == [True] * 3 + [False] * 3
    assert again > 0


def test_redis_limiter_without_redis_still_limits_here():
    async def work():
        limiter = RedisLimiter("redis://127.0.0.1:1/0")
        rate = Rate("login", 2, 60, strict=True)
        waits = [await limiter.strict_hit(rate, "a", START) for _ in range(3)]
        limiter.hit(Rate("user", 2, 60), "a", START)
        await limiter.share(START)
        await limiter.close()
        return waits, limiter.available

    waits, available = run(work)
    assert waits[:2] == [0, 0]
    assert waits[2] > 0
    assert not available
