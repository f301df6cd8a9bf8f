"""`saras up --detach` and `saras down`: a platform that goes on running after the command has ended."""

import os
import signal
import subprocess
import sys
import time

import psutil
from rich.console import Console

from saras.errors import CannotStart, CommandFailed
from saras.home import PRIVATE, Home
from saras.settings import PlatformSettings, child_environment
from saras.up import ENDS_WITH

READY_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 90.0
POLL_S = 0.1


def start_detached(settings: PlatformSettings, arguments: list[str], console: Console) -> int:
    """Run `saras up` with these arguments behind our back and wait until it is ready; 0 then."""
    home = Home(settings.home)
    home.logs.mkdir(parents=True, exist_ok=True)
    log = home.logs / "up.log"
    log.unlink(missing_ok=True)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "saras", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=child_environment({"SARAS_LAYOUT": settings.layout}),
            start_new_session=True,
        )
    deadline = time.monotonic() + READY_TIMEOUT_S
    with console.status("waiting for the platform to be ready …"):
        while ENDS_WITH not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"the platform did not become ready:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(POLL_S)
    console.print(log.read_text(errors="replace").replace(ENDS_WITH, "").rstrip(), highlight=False, markup=False)
    console.print("It runs in the background: `saras status` shows it, `saras down` ends it.")
    return 0


def stop_detached(settings: PlatformSettings, console: Console) -> int:
    """End the platform that runs on this home and wait for it; 0, also when none runs."""
    home = Home(settings.home)
    running = home.find_running()
    if running is None or not home.is_held:  # the number may be another program's by now
        console.print(f"No platform runs on {settings.home}.")
        return 0
    os.kill(running.pid, signal.SIGTERM)
    try:
        psutil.Process(running.pid).wait(STOP_TIMEOUT_S)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired as error:
        raise CommandFailed(f"process {running.pid} does not end; see {settings.home}/logs") from error
    console.print("Stopped; nothing is lost, the next start goes on from here.")
    return 0
