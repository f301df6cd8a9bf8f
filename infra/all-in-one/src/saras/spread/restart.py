"""`saras restart`: each process followed by a new one, one after the other, without a request lost.

The command leaves its wish in the home, the platform that runs there carries it out and writes down how far it is.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from uuid import uuid4

from rich.console import Console

from saras.errors import CannotStart, CommandFailed
from saras.fleet import SERVICES
from saras.home import Home, read_private, write_private
from saras.kept import KeptProcess
from saras.settings import child_environment
from saras.spread.roll import read_roll

LOOK_EVERY_S = 0.2
HEARD_WITHIN_S = 10.0
STEP_TIMEOUT_S = 150.0
MIGRATE_TIMEOUT_S = 300.0


class Restarter:
    """Carries out the wishes left in ``home``, in a thread of the platform that runs there.

    ``migrate`` brings the schemas to the state of the code on the disk; it comes first, for a new process may need
    what it adds, and an old one reads on.
    """

    def __init__(self, home: Home, processes: Sequence[KeptProcess], migrate: Callable[[], None]) -> None:
        self._home = home
        self._processes = processes
        self._migrate = migrate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="restarter", daemon=True)

    def start(self) -> None:
        """Begin to look; wishes left to an earlier platform are forgotten."""
        self._home.wish.unlink(missing_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a replacement under way fails as soon as its process ends."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            with contextlib.suppress(CannotStart):  # damaged, or others could read it: not a wish of ours
                wish = read_private(self._home.wish)
                if wish is not None:
                    self._home.wish.unlink()
                    self._carry_out(wish["id"], wish["services"])

    def _carry_out(self, wish_id: str, services: Sequence[str]) -> None:
        done: list[str] = []

        def tell(why: str | None = None, *, ended: bool = False) -> None:
            write_private(self._home.progress, {"id": wish_id, "done": done, "ended": ended, "failed": why})

        tell()
        try:
            self._migrate()
            for process in self._processes:
                if not self._stop.is_set() and process.name.partition(".")[0] in services:
                    process.replace()
                    done.append(process.name)
                    tell()
        except CommandFailed as error:
            tell(str(error), ended=True)
        else:
            tell("the platform is being stopped" if self._stop.is_set() else None, ended=True)


def migrate_from_disk(admin_url: str, passwords: Mapping[str, str]) -> None:
    """`saras migrate` as a process of its own, for this one still runs the old code; `CommandFailed` with its words."""
    roles = ", ".join(f"{role}:{password}" for role, password in passwords.items())
    done = subprocess.run(
        [sys.executable, "-m", "saras", "migrate"],
        env=child_environment({"DATABASE_URL": admin_url, "SARAS_ROLE_PASSWORDS": roles}),
        capture_output=True,
        text=True,
        check=False,
        timeout=MIGRATE_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != os.EX_OK:
        raise CommandFailed(f"the schemas were not migrated, so nothing was replaced: {done.stderr.strip()[-500:]}")


def restart(home: Home, services: Sequence[str], console: Console) -> int:
    """Leave the wish and tell how it is carried out; 0 when every process of ``services`` (none: all) is a new one."""
    known = {service.name for service in SERVICES}
    if wrong := sorted(set(services) - known):
        raise CommandFailed(f"no service is called {', '.join(wrong)}; there are {', '.join(sorted(known))}")
    home.get_running()
    if not read_roll(home.roll):
        raise CommandFailed("this platform runs in one process: end it with Ctrl-C and start it again")
    wish_id = str(uuid4())
    write_private(home.wish, {"id": wish_id, "services": list(services) or sorted(known)})
    told, deadline = 0, time.monotonic() + HEARD_WITHIN_S
    while True:
        progress = read_private(home.progress)
        if progress is not None and progress["id"] == wish_id:
            for name in progress["done"][told:]:
                console.print(f"{name} is a new process", highlight=False)
            if progress["ended"]:
                return _end(progress["failed"], len(progress["done"]), console)
            if len(progress["done"]) > told or told == 0:
                told, deadline = len(progress["done"]), time.monotonic() + STEP_TIMEOUT_S
        if time.monotonic() > deadline or not home.is_held:
            raise CommandFailed("the platform does not carry it out; see `saras status` and its log")
        time.sleep(LOOK_EVERY_S)


def _end(failed: str | None, count: int, console: Console) -> int:
    if failed is not None:
        raise CommandFailed(f"after {count} processes: {failed}. What was not replaced runs on as it was")
    console.print(f"{count} processes replaced, one after the other.", highlight=False)
    return 0
