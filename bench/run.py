"""`make bench`: every figure in one run, medians of three, as a table and in bench/results.json."""

import argparse
import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from figures import Figure, machine, show, write

BENCHES = {
    "analytics": ("analytics", "measure"),
    "allocate": ("allocate", "measure"),
    "baskets": ("baskets", "measure"),
    "entry": ("entry", "measure"),
    "relay": ("relay", "measure"),
    "inbox": ("inbox", "measure"),
    "latency": ("latency", "measure"),
    "start": ("start", "measure"),
    "burst": ("burst", "measure"),
    "oldbook": ("burst", "measure_old_book"),
    "streams": ("streams", "measure"),
    "costs": ("costs", "measure"),
}
RESULTS = Path(__file__).parent / "results.json"


def main() -> int:
    """Measure what was named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", choices=[[], *BENCHES], help="some of: " + ", ".join(BENCHES))
    chosen = parser.parse_args().only or list(BENCHES)
    figures: list[Figure] = [machine()]
    write(figures, RESULTS)
    for name in chosen:
        module, function = BENCHES[name]
        print(f"{name} …", flush=True)
        measured = getattr(importlib.import_module(module), function)()
        write(measured, RESULTS)  # at once: what comes later may fail
        figures += measured
    show(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
