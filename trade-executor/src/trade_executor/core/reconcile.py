"""Books against broker: pure comparison of two snapshots. ``broker − users = unallocated + difference``.

Unallocated is all that is explained and no user's: what the account held before us, suspense, and fills the executor
has taken in but the book has not posted yet (or the other way round, when the book's snapshot is the later one).
A difference is what nothing explains.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BookTotals:
    """The book's side, all in one snapshot; shares by instrument, every product together."""

    users: Mapping[str, int]
    suspense: Mapping[str, int]
    applied: Mapping[str, int]
    users_cash_paise: int
    suspense_cash_paise: int
    applied_cash_paise: int
    external_cash_paise: int


@dataclass(frozen=True, slots=True)
class ExecutorTotals:
    """What the executor took in up to the moment the broker was read."""

    fills: Mapping[str, int]
    """Net shares of all postings it published, by instrument."""
    fills_cash_paise: int
    """Net cash of them, charges included (buys < 0)."""
    mirrored_cash_paise: int
    """Deposits less withdrawals the broker account has seen."""
    opening: Mapping[str, int] = field(default_factory=dict)
    opening_cash_paise: int = 0


@dataclass(frozen=True, slots=True)
class BrokerTotals:
    """What the broker says it holds."""

    shares: Mapping[str, int]
    cash_paise: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report."""

    users: int
    unallocated: int
    broker: int

    @property
    def difference(self) -> int:
        return self.broker - self.users - self.unallocated


@dataclass(frozen=True, slots=True)
class Report:
    """Every instrument anybody holds, and cash."""

    instruments: Mapping[str, Line]
    cash: Line

    @property
    def balanced(self) -> bool:
        return self.cash.difference == 0 and not self.differences

    @property
    def differences(self) -> dict[str, int]:
        """Shares nothing explains, by instrument."""
        return {name: line.difference for name, line in self.instruments.items() if line.difference}


def compare(book: BookTotals, executor: ExecutorTotals, broker: BrokerTotals) -> Report:
    """The report; instruments in alphabetical order, those with nothing anywhere left out."""
    names = set(book.users) | set(book.suspense) | set(book.applied)
    names |= set(executor.fills) | set(executor.opening) | set(broker.shares)
    lines = {}
    for name in sorted(names):
        on_the_way = executor.fills.get(name, 0) - book.applied.get(name, 0)
        explained = executor.opening.get(name, 0) + book.suspense.get(name, 0) + on_the_way
        line = Line(book.users.get(name, 0), explained, broker.shares.get(name, 0))
        if line.users or line.unallocated or line.broker:
            lines[name] = line
    return Report(lines, Line(book.users_cash_paise, _unallocated_cash(book, executor), broker.cash_paise))


def _unallocated_cash(book: BookTotals, executor: ExecutorTotals) -> int:
    on_the_way = executor.fills_cash_paise - book.applied_cash_paise
    not_mirrored = book.external_cash_paise - executor.mirrored_cash_paise
    return executor.opening_cash_paise + book.suspense_cash_paise + on_the_way - not_mirrored
