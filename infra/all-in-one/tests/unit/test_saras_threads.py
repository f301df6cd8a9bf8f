import itertools
import threading
import time

from saras import threads
from saras.threads import Threads
from saras_common.web import Worker


def test_a_failing_worker_is_started_again_and_all_stop(monkeypatch):
    monkeypatch.setattr(threads, "FIRST_PAUSE_S", 0.01)
    runs, steady = [], threading.Event()

    def failing(stop):
        runs.append(time.monotonic())
        if len(runs) < 4:
            raise RuntimeError("crash")
        stop.wait()

    def good(stop):
        steady.set()
        stop.wait()

    running = Threads([Worker("failing", failing), Worker("good", good)])
    running.start()
    deadline = time.monotonic() + 5
    while len(runs) < 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(runs) == 4
    assert steady.is_set()
    pauses = [later - earlier for earlier, later in itertools.pairwise(runs)]
    assert pauses[2] > pauses[0]  # it backs off
    assert running.stop(5) == []


def test_a_stuck_worker_is_named():
    release = threading.Event()
    running = Threads([Worker("stuck", lambda _stop: release.wait() or None)])
    running.start()
    assert running.stop(0.05) == ["stuck"]
    release.set()
