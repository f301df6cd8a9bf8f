"""Never above the broker's limits, whatever moment of a call the broker counts."""

import random

from trade_executor.core.limiter import Limiter, Limits


def test_no_second_of_the_broker_ever_holds_more_than_ten():
    """Calls take up to a second and a half; the broker counts each at any moment inside."""
    draw = random.Random(3)
    limiter, now, counted = Limiter(Limits()), 0.0, []
    for _ in range(2000):
        wait = limiter.wait_s(now, reserved=draw.random() < 0.2)
        if wait:
            now += wait + 1e-9
            continue
        limiter.start()
        took = draw.choice((0.001, 0.05, 1.5))
        counted.append(now + draw.random() * took)
        now += took
        limiter.end(now)
    counted.sort()
    assert all(later - first >= 1.0 - 1e-9 for first, later in zip(counted, counted[10:], strict=False))
    assert all(later - first >= 60.0 - 1e-9 for first, later in zip(counted, counted[400:], strict=False))


def test_cancellations_keep_a_place():
    limiter = Limiter(Limits())
    for _ in range(9):
        assert limiter.wait_s(0.0) == 0
        limiter.start()
        limiter.end(0.0)
    assert limiter.wait_s(0.0) > 0
    assert limiter.wait_s(0.0, reserved=True) == 0


def test_a_restart_remembers_the_minute_and_the_day():
    limiter = Limiter(Limits(), today=4799, recent=[-0.1 * n for n in range(380)])
    assert limiter.wait_s(0.0) > 0
    late = Limiter(Limits(), today=4800)
    assert late.wait_s(0.0) is None
    assert late.wait_s(0.0, reserved=True) == 0
    late.new_day()
    assert late.wait_s(0.0) == 0


def test_too_many_holds_everything():
    limiter = Limiter(Limits())
    limiter.hold(5.0, 2.0)
    assert limiter.wait_s(5.0, reserved=True) >= 1.9
    assert limiter.wait_s(7.1) == 0
    assert limiter.left(7.1)["day"] == 4800
