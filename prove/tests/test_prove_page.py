"""The page says what results.json says, and nothing is called run that was not."""

import json

from prove import reliability
from prove.run import PAGE, RESULTS

ROW = {
    "name": "money",
    "number": 5,
    "target": "a million",
    "seed": 7,
    "size": 10,
    "full_size": 1_000_000,
    "seconds": 1.5,
    "cpu_seconds": 1.2,
    "bound_s": 600,
    "ran_on": "2026-03-02",
    "counts": {"allocations": 12_345},
    "figures": {"worst drift in lots": 0.6},
    "violations": 1,
    "examples": ["a lot was lost"],
    "missed": ["too few"],
}


def test_the_page_is_the_one_of_the_results():
    assert PAGE.read_text() == reliability.page(RESULTS)


def test_a_row_replaces_its_last_one_and_shortfalls_are_said(tmp_path):
    path = tmp_path / "results.json"
    reliability.record(ROW, path)
    reliability.record({**ROW, "name": "evidence", "number": 11}, path)
    reliability.record({**ROW, "violations": 2}, path)
    assert [(row["name"], row["violations"]) for row in json.loads(path.read_text())] == [("money", 2), ("evidence", 1)]
    page = reliability.page(path)
    for what in ("12,345", "Only 10 of 1,000,000", "Below the target: too few.", "Violated: a lot was lost.", "seed=7"):
        assert what in page
