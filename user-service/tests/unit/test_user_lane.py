"""The lane for sign-ins."""

import asyncio
import threading
from contextvars import ContextVar

import pytest

from saras_common.errors import Unavailable
from user_service.api.edge import Lane

WHO = ContextVar("who", default="nobody")


def test_work_keeps_its_request_and_its_error():
    lane = Lane(1, 1)

    async def ask():
        WHO.set("asha")
        return await lane.run(WHO.get)

    async def fail():
        await lane.run(lambda: 1 // 0)

    assert asyncio.run(ask()) == "asha"
    with pytest.raises(ZeroDivisionError):
        asyncio.run(fail())
    lane.close()


def test_beyond_the_queue_callers_are_told_to_come_back():
    lane, go, running, most = Lane(2, 3), threading.Event(), set(), []

    def work():
        running.add(threading.get_ident())
        most.append(threading.active_count())
        go.wait(10)
        return "done"

    async def rush():
        jobs = [asyncio.ensure_future(lane.run(work)) for _ in range(9)]
        await asyncio.sleep(0.2)
        go.set()
        return await asyncio.gather(*jobs, return_exceptions=True)

    results = asyncio.run(rush())
    assert results.count("done") == 5
    refused = [result for result in results if isinstance(result, Unavailable)]
    assert len(refused) == 4
    assert refused[0].retry_after_s == 1
    assert len(running) == 2
    assert asyncio.run(lane.run(lambda: "again")) == "again"
    lane.close()
