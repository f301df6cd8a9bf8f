"""What the start waits for, shown while it waits: a spinner on a terminal, plain lines elsewhere."""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console


class Progress:
    """Names each step while it runs and how long it took."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Inside, ``name`` is what is waited for."""
        started = time.monotonic()
        try:
            if self._console.is_terminal:
                with self._console.status(f"waiting for {name} …"):
                    yield
            else:
                self._line(f"waiting for {name}")
                yield
        except BaseException:
            self._line(f"[red]✗[/] {name} [dim]{time.monotonic() - started:.1f} s[/]")
            raise
        self._line(f"[green]✓[/] {name} [dim]{time.monotonic() - started:.1f} s[/]")

    def say(self, text: str) -> None:
        """A line of its own, may carry rich markup."""
        self._line(text)

    def _line(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)
