"""Loops that share what they work with."""

import threading

import pytest

from saras_common.web import workers_of


def test_what_loops_share_is_closed_once_by_the_last_to_end():
    closed = []
    stops = {name: threading.Event() for name in ("relay", "consumer")}

    def fails(stop):
        stop.wait(5)
        raise ValueError("down")

    workers = workers_of(
        "a-service",
        {"relay": lambda stop: stop.wait(5), "consumer": fails},
        [lambda: closed.append("bus"), lambda: closed.append("database")],
    )
    assert [worker.name for worker in workers] == ["a-service.relay", "a-service.consumer"]
    relay = threading.Thread(target=workers[0].run, args=(stops["relay"],))
    relay.start()
    stops["relay"].set()
    relay.join()
    assert closed == []
    stops["consumer"].set()
    with pytest.raises(ValueError, match="down"):
        workers[1].run(stops["consumer"])
    assert closed == ["bus", "database"]
