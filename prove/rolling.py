"""Campaign 1, on purpose: `saras restart` of every service of the platform spread out, under load, nothing failing.

Customers who repeat nothing order and read from every service all the time, over kept-alive connections; one process
after the other is replaced beneath them. Every answer that is not what a service has to say (a broken connection, a
5xx) is a failed request. At the end receipts, book and broker are compared.
"""

import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from prove.campaign import Campaign, Outcome, Run
from prove.customers import NAMES, Customer, NoAnswer, Placed
from prove.processes import finish
from prove.whole import Whole, whole_platform

from saras.home import Home
from saras.settings import child_environment
from saras.spread.roll import read_roll

PEOPLE = 6
PAUSE_S = 0.02
READS = (
    "/me",
    "/funds",
    "/orders?limit=5",
    "/holdings",
    f"/quotes?instruments={NAMES[0]}",
    "/smallcases?limit=5",
    "/notifications?limit=5",
    "/analytics/history/NSE:INFY",
)
"""One of each service at least."""

ROLL_AND_AUDIT_S = 80.0


class Load(Customer):
    """Reads in turn, orders now and then, half of them without a key; each request once."""

    def __init__(self, whole: Whole, number: int, *, seed: int) -> None:
        super().__init__(whole, number, seed=seed, pause_s=PAUSE_S)
        self.failed: list[str] = []

    def run(self) -> None:
        """Request after request."""
        for number in itertools.count():
            if self._leave.wait(self._pause_s):
                break
            if number % 10 == 0:
                self._order(f"{self.user_id}-{number}" if number % 20 == 0 else None)
            else:
                self._ask("GET", READS[number % len(READS)])
        self._line.close()

    def _order(self, key: str | None) -> None:
        body = {"instrument": self._rng.choice(NAMES), "quantity": self._rng.randint(1, 3), "order_type": "MARKET"}
        asked_at = time.monotonic()
        answer = self._ask("POST", "/buy", body, key)
        if answer is not None:
            self._whole.receipts.note(user=self.user_id, key=key or "", order=answer["id"])
            self._whole.placed(Placed(answer["id"], asked_at))
            self.counts["orders"] += 1

    def _ask(self, method: str, path: str, body: object = None, key: str | None = None) -> dict[str, str] | None:
        self.counts["requests"] += 1
        try:
            status, answer = self._line.ask(method, path, body, key)
        except NoAnswer as error:
            self.failed.append(f"{method} {path}: {error}")
            return None
        if status >= 500 or status == 429:
            self.failed.append(f"{method} {path}: {status} {answer.get('code')}")
        elif status >= 300:
            self.wrong.append(f"{method} {path}: {status} {answer.get('code')}")
        else:
            return answer
        return None


def play(run: Run) -> Outcome:
    """Roll the whole platform ``size`` times, or as often as there is time for."""
    outcome = Outcome()
    with (
        tempfile.TemporaryDirectory(prefix="saras-prove-", ignore_cleanup_errors=True) as folder,
        whole_platform(Path(folder), people=PEOPLE, SARAS_LAYOUT="spread") as whole,
    ):
        loads = [Load(whole, number, seed=run.seed + number) for number in range(PEOPLE)]
        whole.customers += loads
        for load in loads:
            load.start()
        seconds: list[float] = []
        for _ in range(run.size):
            if run.left_s < ROLL_AND_AUDIT_S:
                break
            seconds.append(roll(whole, outcome))
        whole.close_doors()
        for load in loads:
            outcome.violate(*load.failed)
            outcome.counts["failed requests"] += len(load.failed)
        finish(whole, outcome)
        outcome.counts["rolls of the whole platform"] = len(seconds)
        outcome.figures["seconds a roll"] = ", ".join(f"{each:.0f}" for each in seconds)
        if len(seconds) < run.size:
            outcome.missed.append(f"{len(seconds)} of {run.size} rolls fitted into the time")
    return outcome


def roll(whole: Whole, outcome: Outcome, *services: str) -> float:
    """`saras restart`; the seconds it took. Every process must be another one afterwards."""
    home = Home(whole.platform.home)
    before = {entry.name: entry.pid for entry in read_roll(home.roll) if entry.port}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "saras", "restart", *services],
        env=child_environment({"SARAS_HOME": str(home.path), "PYTHONDONTWRITEBYTECODE": ""}),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    if done.returncode != 0:
        outcome.violate(f"saras restart: {done.stderr.strip()[-500:]}")
    outcome.counts["processes replaced"] += sum(line.endswith("is a new process") for line in done.stdout.splitlines())
    time.sleep(1.5)  # the roll is written once a second
    after = {entry.name: (entry.pid, entry.restarts) for entry in read_roll(home.roll) if entry.port}
    wanted = [name for name in before if not services or name.partition(".")[0] in services]
    outcome.violate(*(f"{name} was not replaced" for name in wanted if after[name][0] == before[name]))
    return seconds


CAMPAIGN = Campaign(
    number=1,
    target="every process of the platform spread out replaced one after the other under load, three times: 0 failed"
    " requests, nothing lost",
    size=3,
    bound_s=420,
    play=play,
)
