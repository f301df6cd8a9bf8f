"""The table of the ASVS names tests: each is there, and no row is without one or a reason."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "asvs.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w./-]+\.py)::(test_\w+)`", TABLE)))
ROWS = [line for line in TABLE.splitlines() if re.match(r"\| \d", line)]
NOTHING_SHOWS_IT = ("**Not met:**", "Not applicable:")


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_named_test_exists(path, name):
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_every_row_has_a_test_a_command_or_a_reason():
    assert len(ROWS) > 100
    for row in ROWS:
        assert (
            re.search(r"::test_|`make |`bandit`|SECURITY\.md", row)
            or any(word in row for word in NOTHING_SHOWS_IT)
            or ("**In part:**" in row)
        ), row


def test_the_sums_are_right():
    sums = re.search(r"^(\d+) rows are met, (\d+) in part, (\d+) are not, (\d+) do not", TABLE, re.MULTILINE)
    kinds = ("**In part:**", "**Not met:**", "Not applicable:")
    counted = [sum(row.split("|")[3].strip().startswith(kind) for row in ROWS) for kind in kinds]
    assert [int(each) for each in sums.groups()] == [len(ROWS) - sum(counted), *counted]
