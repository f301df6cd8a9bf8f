"""When a rebalance is offered: a newer version, a date on the calendar, a weight outside its band."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from saras_common.clock import trading_day
from smallcase_service.domain.schedule import Frequency, nominal, session_of

Cause = Literal["version", "drift", "calendar"]


@dataclass(frozen=True, slots=True)
class Followed:
    """A basket and the terms it follows. Drift and band in parts of a million; ``band`` is ``None`` for no band."""

    version: int
    latest_version: int
    rebalanced_at: datetime
    frequency: Frequency | None
    band: int | None
    cooldown: timedelta


@dataclass(frozen=True, slots=True)
class LastOffer:
    """What was last offered."""

    version: int
    offered_at: datetime
    is_open: bool


def cause_of(basket: Followed, drift: int, last: LastOffer | None, now: datetime) -> Cause | None:
    """Why to offer a rebalance now, if at all. A version is offered once; the band must be exceeded, not met.

    Drift and calendar wait for the cooldown after the last rebalance or offer, and while an offer is open.
    """
    if basket.version < basket.latest_version:
        return "version" if last is None or last.version < basket.latest_version else None
    if last is not None and last.is_open and last.offered_at >= basket.rebalanced_at:
        return None
    since = basket.rebalanced_at if last is None else max(basket.rebalanced_at, last.offered_at)
    if now - since < basket.cooldown:
        return None
    if basket.frequency is not None and _is_due(basket.frequency, since, now):
        return "calendar"
    return "drift" if basket.band is not None and drift > basket.band else None


def _is_due(frequency: Frequency, since: datetime, now: datetime) -> bool:
    return session_of(nominal(trading_day(since), frequency, 1)) <= trading_day(now)
