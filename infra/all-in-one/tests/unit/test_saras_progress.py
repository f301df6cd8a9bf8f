import io

import pytest
from rich.console import Console

from saras.progress import Progress


def test_plain_lines_where_there_is_no_terminal():
    console = Console(file=io.StringIO(), width=100)
    with Progress(console).step("PostgreSQL"):
        assert console.file.getvalue().splitlines() == ["waiting for PostgreSQL"]
    assert console.file.getvalue().splitlines()[1].startswith("✓ PostgreSQL")


def test_a_failed_step_is_marked():
    console = Console(file=io.StringIO(), width=100)
    with pytest.raises(RuntimeError), Progress(console).step("PostgreSQL"):
        raise RuntimeError
    assert "✗ PostgreSQL" in console.file.getvalue()


def test_a_terminal_gets_a_spinner():
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with Progress(console).step("PostgreSQL"):
        pass
    assert "✓" in console.file.getvalue()
