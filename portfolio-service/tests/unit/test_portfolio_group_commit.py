"""The queue in front of order entry, with a stand-in for the database transaction."""

import asyncio
import threading

import pytest

from portfolio_service.domain.requests import EntryRequest, Outcome
from portfolio_service.entry import PATIENCE_S, OrderEntry
from saras_common.errors import Unavailable
from saras_common.metrics import Metrics


def request(name: str, orders: int = 1) -> EntryRequest:
    return EntryRequest(name, [None] * orders, atomic=False)


def entry_over(place, **changes):
    options = {"flushers": 1, "group_orders": 10, "waiting_orders": 1000, "metrics": Metrics(), **changes}
    return OrderEntry(place, **options)


def test_what_waits_shares_the_next_commit_up_to_the_limit():
    groups, gate = [], threading.Event()

    def place(requests):
        gate.wait(5)
        groups.append([item.user_id for item in requests])
        return [Outcome(items=(item.user_id,)) for item in requests]

    async def run():
        entry = entry_over(place)
        waiting = [asyncio.create_task(entry.submit(request(str(number)))) for number in range(25)]
        await asyncio.sleep(0.05)
        gate.set()
        outcomes = await asyncio.gather(*waiting)
        entry.close()
        return outcomes

    outcomes = asyncio.run(run())
    assert [outcome.items[0] for outcome in outcomes] == [str(number) for number in range(25)]
    assert [len(group) for group in groups] == [10, 10, 5]


def test_a_crowd_is_gathered_and_who_comes_alone_is_not_kept():
    groups, gate = [], threading.Event()

    def place(requests):
        groups.append([item.user_id for item in requests])
        gate.wait(5)
        return [Outcome() for _ in requests]

    async def one_after_the_other(entry, *names):
        waiting = []
        for name in names:
            waiting.append(asyncio.create_task(entry.submit(request(name))))
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # by now a flusher had the chance to take what is there
        gate.set()
        await asyncio.gather(*waiting)

    async def run():
        entry = entry_over(place)
        await one_after_the_other(entry, "alone", "a", "b")
        await one_after_the_other(entry, "c", "d", "e")
        entry.close()

    asyncio.run(run())
    assert groups == [["alone"], ["a", "b"], ["c", "d", "e"]]


def test_who_comes_as_a_flusher_ends_is_not_left_waiting():
    def place(requests):
        return [Outcome(items=(item.user_id,)) for item in requests]

    async def run():
        entry = entry_over(place)
        outcomes = [await entry.submit(request(name)) for name in "abc"]  # in the step in which another is answered
        entry.close()
        return outcomes

    async def patiently():
        return await asyncio.wait_for(run(), 20)

    assert [outcome.items for outcome in asyncio.run(patiently())] == [("a",), ("b",), ("c",)]


def test_a_second_transaction_passes_one_that_is_stuck():
    gate = threading.Event()

    def place(requests):
        if requests[0].user_id == "stuck":
            gate.wait(5)
        return [Outcome(items=(requests[0].user_id,)) for _ in requests]

    async def run():
        entry = entry_over(place, flushers=2)
        stuck = asyncio.create_task(entry.submit(request("stuck")))
        await asyncio.sleep(2 * PATIENCE_S)
        outcome = await asyncio.wait_for(entry.submit(request("other")), 2)
        assert not stuck.done()
        gate.set()
        await stuck
        entry.close()
        return outcome

    assert asyncio.run(run()).items == ("other",)


def test_a_request_larger_than_a_group_goes_alone():
    sizes = []

    def place(requests):
        sizes.append(sum(len(item.orders) for item in requests))
        return [Outcome() for _ in requests]

    async def run():
        entry = entry_over(place)
        await asyncio.gather(entry.submit(request("a", 50)), entry.submit(request("b")))
        entry.close()

    asyncio.run(run())
    assert sizes == [50, 1]


def test_one_requests_fault_is_not_its_neighbours():
    def place(requests):
        if any(item.user_id == "bad" for item in requests):
            raise ValueError("no")
        return [Outcome(items=(item.user_id,)) for item in requests]

    async def run():
        entry = entry_over(place)
        results = await asyncio.gather(
            *(entry.submit(request(name)) for name in ("a", "bad", "b")), return_exceptions=True
        )
        entry.close()
        return results

    first, bad, last = asyncio.run(run())
    assert (first.items, last.items) == (("a",), ("b",))
    assert isinstance(bad, ValueError)


def test_a_database_in_trouble_answers_everybody_and_recovers():
    down = [True]

    def place(requests):
        if down[0]:
            raise Unavailable("down", retry_after_s=2)
        return [Outcome() for _ in requests]

    async def run():
        entry = entry_over(place)
        results = await asyncio.gather(*(entry.submit(request("u")) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(result, Unavailable) and result.retry_after_s == 2 for result in results)
        down[0] = False
        assert await entry.submit(request("u")) == Outcome()
        entry.close()

    asyncio.run(run())


def test_too_many_waiting_orders_are_refused_at_once():
    gate = threading.Event()

    def place(requests):
        gate.wait(5)
        return [Outcome() for _ in requests]

    async def run():
        entry = entry_over(place, waiting_orders=5, group_orders=1)
        waiting = [asyncio.create_task(entry.submit(request("u")))]
        await asyncio.sleep(0.05)  # the first is taken; five more may wait
        waiting += [asyncio.create_task(entry.submit(request("u"))) for _ in range(5)]
        await asyncio.sleep(0.05)
        with pytest.raises(Unavailable):
            await entry.submit(request("u"))
        gate.set()
        await asyncio.gather(*waiting)
        entry.close()

    asyncio.run(run())


def test_a_caller_that_hangs_up_does_not_stop_the_others():
    gate = threading.Event()

    def place(requests):
        gate.wait(5)
        return [Outcome() for _ in requests]

    async def run():
        entry = entry_over(place)
        gone, stays = (asyncio.create_task(entry.submit(request("u"))) for _ in range(2))
        await asyncio.sleep(0.05)
        gone.cancel()
        gate.set()
        assert await stays == Outcome()
        entry.close()

    asyncio.run(run())
