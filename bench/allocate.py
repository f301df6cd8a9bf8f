"""`allocate`: a million user orders in 500 blocks, each filled in five parts, exact; one core, peak memory."""

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from figures import Figure, median_of

from trade_executor.core.allocation import allocate_array

BLOCKS, ORDERS, PARTS = 500, 2000, 5


def once(seed: int) -> float:
    """Seconds for all blocks; every block's lots are checked afterwards, outside the clock."""
    random = np.random.default_rng(seed)
    wanted = [-np.sort(-random.integers(1, 500, ORDERS)) for _ in range(BLOCKS)]
    fills = [[*np.sort(random.integers(1, int(block.sum()), PARTS - 1)).tolist(), int(block.sum())] for block in wanted]
    done = []
    started = time.perf_counter()
    for block, steps in zip(wanted, fills, strict=True):
        lots = np.zeros(ORDERS, dtype=np.int64)
        for filled in steps:
            lots = allocate_array(block, lots, filled)
        done.append(lots)
    seconds = time.perf_counter() - started
    assert all((block == lots).all() for block, lots in zip(wanted, done, strict=True))
    return seconds


def measure() -> list[Figure]:
    """In a process of its own, so that its memory is its own."""
    runs, memory = [], []
    for seed in range(3):
        printed = subprocess.run([sys.executable, __file__, str(seed)], check=True, capture_output=True, text=True)
        seconds, megabytes = printed.stdout.split()
        runs.append(float(seconds))
        memory.append(float(megabytes))
    return [
        Figure("allocate", "s", median_of(runs), runs, "≤ 1.5", median_of(runs) <= 1.5, "1,000,000 orders × 5 fills"),
        Figure("allocate, peak memory", "MB", median_of(memory), memory, "≤ 300", median_of(memory) <= 300),
    ]


if __name__ == "__main__":
    taken = once(int(sys.argv[1]))
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    print(taken, int(peak.group(1)) / 1024 if peak else 0)
