"""`start`: `saras up` on an initialised home → ready, and its resident memory."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from figures import Figure, median_of
from stage import wait_ready

from saras_common.postgres import free_port


def once(home: Path) -> tuple[float, float]:
    """Seconds to ready, and MB of the services' process (shared pages counted in part) once it serves."""
    port = free_port()
    environment = {
        **os.environ,
        "SARAS_HOME": str(home),
        "SARAS_PORT": str(port),
        "SARAS_SANDBOX_PORT": str(free_port()),
    }
    home.mkdir(exist_ok=True)
    with (home / "bench.log").open("wb") as log:
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "saras", "up"], env=environment, stdout=log, stderr=log)
        wait_ready(f"http://127.0.0.1:{port}", process, home)
        seconds = time.perf_counter() - started
    main = psutil.Process(process.pid)
    time.sleep(1)
    ours = [main, *(child for child in main.children(recursive=True) if "python" in child.name())]
    memory = sum(one.memory_full_info().pss for one in ours) / 2**20
    process.send_signal(signal.SIGINT)
    process.wait(60)
    return seconds, memory


def measure() -> list[Figure]:
    """Three starts after one that initialises the home."""
    with tempfile.TemporaryDirectory(prefix="saras-bench-", ignore_cleanup_errors=True) as folder:
        first, _ = once(Path(folder) / "home")
        runs = [once(Path(folder) / "home") for _ in range(3)]
    seconds, memory = [run[0] for run in runs], [run[1] for run in runs]
    return [
        Figure("start, first time", "s", first, [first], note="makes the database and every schema"),
        Figure("start", "s", median_of(seconds), seconds, "≤ 5", median_of(seconds) <= 5),
        Figure("resident", "MB", median_of(memory), memory, "≤ 400", median_of(memory) <= 400,
               "all services, the ticker's child and the sandbox"),
    ]  # fmt: skip
