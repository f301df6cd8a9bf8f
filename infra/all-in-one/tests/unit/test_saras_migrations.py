"""Every migration of every service may be played while the release before it runs."""

import re
from pathlib import Path

import pytest

from saras.fleet import PACKAGES
from saras_common.db import find_unsafe, list_migrations

ROOT = Path(__file__).parents[4]
ALL = (*PACKAGES, "saras_common.bus")


@pytest.mark.parametrize("package", ALL)
def test_no_migration_stops_or_breaks_the_version_that_runs(package):
    assert find_unsafe(package) == []


@pytest.mark.parametrize("package", ALL)
def test_what_is_taken_away_was_given_up_by_a_release_that_is_out(package):
    released = re.findall(r"^## (\S+) — (?!unreleased)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    named = {migration.contract for migration in list_migrations(package)} - {None}
    assert named <= set(released)
