"""The cluster scripts: shell and PowerShell twins do the same, for every image, and refuse politely without tools."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from saras.fleet import SERVICES

SCRIPTS = Path(__file__).parents[3] / "scripts"
PAIRS = ("cluster", "kind-up", "kind-down", "k3d-up", "k3d-down")
PROGRAMS = re.compile(r"\b(?:docker|kind|k3d|kubectl|helm) [a-z-]+(?: [a-z-]+)?")


def commands(path):
    """What a script calls, in order, flags and spellings of variables left out."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith(("#", "need", "Assert"))]
    return [match.group() for line in lines for match in PROGRAMS.finditer(line) if "echo" not in line]


@pytest.mark.parametrize("name", PAIRS)
def test_twins_call_the_same_programs(name):
    assert set(commands(SCRIPTS / f"{name}.sh")) == set(commands(SCRIPTS / f"{name}.ps1"))


def test_images_are_the_fleet():
    wanted = {"saras", "kite-sandbox", *(service.name for service in SERVICES)}
    shell = re.search(r"IMAGES=\((.*)\)", (SCRIPTS / "cluster.sh").read_text()).group(1).split()
    twin = re.search(r"\$Images = @\((.*)\)", (SCRIPTS / "cluster.ps1").read_text()).group(1)
    assert set(shell) == wanted
    assert set(re.findall(r'"([^"]+)"', twin)) == wanted


@pytest.mark.parametrize("name", [name for name in PAIRS if name != "cluster"])
def test_without_its_tools_it_says_which_is_missing(name, tmp_path):
    for tool in ("bash", "dirname"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    done = subprocess.run(
        ["/usr/bin/bash", SCRIPTS / f"{name}.sh"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "is not installed" in done.stderr
