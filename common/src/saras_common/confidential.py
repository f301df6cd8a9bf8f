"""What the children and the crash files of a process with secrets must not get."""

import os
import resource

_PLAIN = ("PATH", "HOME", "TMPDIR", "LANG", "LC_", "TZ", "PYTHON", "VIRTUAL_ENV")
"""Beginnings of the names of variables that hold no secret."""


def plain_environment(*more: str) -> dict[str, str]:
    """This process's environment for a child that needs none of its secrets.

    Only variables whose names begin as those of every program do, or with one of ``more``.
    """
    return {name: value for name, value in os.environ.items() if name.startswith((*_PLAIN, *more))}


def leave_no_core() -> None:
    """This process and its children write no core file when they crash: their memory holds keys and passwords."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
