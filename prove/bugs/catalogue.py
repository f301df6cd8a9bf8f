"""What a planted bug is, and how it is put in and taken out."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

Swap = tuple[Any, str, Any]
"""Owner, attribute, and what stands there instead."""


@dataclass(frozen=True, slots=True)
class Bug:
    """One wrong turn. ``where`` is the part of the platform it is in."""

    name: str
    where: str
    swaps: Callable[[], list[Swap]]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The bug is in while this is open."""
        with ExitStack() as stack:
            for owner, name, wrong in self.swaps():
                stack.enter_context(patch.object(owner, name, wrong))
            yield


class Shelf:
    """Collects the bugs of one part, by decorator."""

    def __init__(self, where: str) -> None:
        self.bugs: list[Bug] = []
        self._where = where

    def __call__(self, name: str) -> Callable[[Callable[[], list[Swap]]], Callable[[], list[Swap]]]:
        """``@shelf("what is wrong")`` over a function that returns the swaps."""

        def keep(swaps: Callable[[], list[Swap]]) -> Callable[[], list[Swap]]:
            self.bugs.append(Bug(name, self._where, swaps))
            return swaps

        return keep
