"""When a window of orders closes: by time, by size, at the session's edge; never while the market is shut."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from saras_common import calendar
from saras_common.clock import trading_day

Reason = Literal["time", "size", "session_edge", "manual", "immediate"]


@dataclass(frozen=True, slots=True)
class Hours:
    """When the market takes orders: always (the sandbox), or the exchange's sessions."""

    always: bool

    def is_open(self, at: datetime) -> bool:
        return self.always or calendar.is_open(at)

    def next_open(self, at: datetime) -> datetime:
        return at if self.always else calendar.next_open(at)

    def edge(self, at: datetime) -> datetime | None:
        """The end of the session that runs at ``at``."""
        return None if self.always or not self.is_open(at) else calendar.session_hours(trading_day(at))[1]


@dataclass(frozen=True, slots=True)
class WindowRules:
    """``duration_s`` counts from a window's first order; 0 sends each order on its own."""

    duration_s: float
    max_orders: int
    edge_lead_s: float = 5.0
    """A window that would outlive the session closes this long before its end."""

    @property
    def immediate(self) -> bool:
        return self.duration_s == 0


def closes_at(opened_at: datetime, rules: WindowRules, hours: Hours) -> datetime:
    """The instant a window opened at ``opened_at`` closes by itself."""
    starts_at = hours.next_open(opened_at)
    by_time = starts_at + timedelta(seconds=rules.duration_s)
    edge = hours.edge(starts_at)
    if edge is None or by_time <= edge:
        return by_time
    return max(starts_at, edge - timedelta(seconds=rules.edge_lead_s))


def find_close_reason(
    opened_at: datetime, orders: int, now: datetime, rules: WindowRules, hours: Hours
) -> Reason | None:
    """Why the window must close now, or ``None``."""
    if orders == 0 or not hours.is_open(now):
        return None
    if rules.immediate:
        return "immediate"
    if orders >= rules.max_orders:
        return "size"
    due_at = closes_at(opened_at, rules, hours)
    if now < due_at:
        return None
    return "time" if due_at - hours.next_open(opened_at) >= timedelta(seconds=rules.duration_s) else "session_edge"
