"""Whether a basket can be traded now: every issue, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Literal

from saras_common.calendar import sessions_between
from saras_common.clock import trading_day
from smallcase_service.domain.sizing import Minimum


@dataclass(frozen=True, slots=True)
class Issue:
    """``error`` stops trading, ``warning`` does not."""

    code: str
    instrument: str | None
    message: str
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one instrument. ``turnovers_paise`` are the latest days' values traded, newest first."""

    is_listed: bool
    is_suspended: bool
    last_paise: int | None
    priced_at: datetime | None
    turnovers_paise: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """When a price is too old, a stock too thin, a minimum too high."""

    max_price_age_sessions: int = 3
    min_turnover_paise: int = 10**8
    max_minimum_paise: int = 10**9
    turnover_days: int = 5


def duplicates(names: Sequence[str]) -> list[Issue]:
    """Instruments named more than once."""
    return [
        Issue("duplicate_instrument", name, "stands more than once")
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]


def unknown(names: Sequence[str], seen: Mapping[str, Seen]) -> list[Issue]:
    """Instruments the broker does not list."""
    return [
        Issue("unknown_instrument", name, "is not a listed share")
        for name in dict.fromkeys(names)
        if name not in seen or not seen[name].is_listed
    ]


def issues(
    weights: Mapping[str, int], seen: Mapping[str, Seen], least: Minimum | None, limits: Limits, now: datetime
) -> list[Issue]:
    """Everything that is wrong with the basket at ``now``; ``least`` is ``None`` while a price is missing."""
    found = unknown(list(weights), seen)
    for name in weights:
        if name in seen and seen[name].is_listed:
            found += _of_instrument(name, seen[name], limits, now)
    if least is not None:
        found += _of_minimum(weights, seen, least, limits)
    return found


def _of_instrument(name: str, seen: Seen, limits: Limits, now: datetime) -> list[Issue]:
    found = []
    if seen.is_suspended:
        found.append(Issue("suspended_instrument", name, "cannot be bought now"))
    if seen.last_paise is None or seen.priced_at is None:
        found.append(Issue("price_unavailable", name, "has no price yet"))
    elif sessions_between(trading_day(seen.priced_at), trading_day(now)) > limits.max_price_age_sessions:
        found.append(Issue("price_stale", name, f"has no price younger than {limits.max_price_age_sessions} sessions"))
    if len(seen.turnovers_paise) >= limits.turnover_days:
        typical = median(seen.turnovers_paise)
        if typical < limits.min_turnover_paise:
            message = (
                f"₹{int(typical) // 100:,} are traded on a typical day, below ₹{limits.min_turnover_paise // 100:,}"
            )
            found.append(Issue("illiquid", name, message, "warning"))
    return found


def _of_minimum(weights: Mapping[str, int], seen: Mapping[str, Seen], least: Minimum, limits: Limits) -> list[Issue]:
    found = []
    if least.value_paise > limits.max_minimum_paise:
        for name, weight in weights.items():
            price = seen[name].last_paise or 0
            if price * 1_000_000 > limits.max_minimum_paise * weight:
                message = f"its weight is below one share at the largest minimum, ₹{limits.max_minimum_paise // 100:,}"
                found.append(Issue("weight_below_one_share", name, message))
    if not least.is_within_tolerance:
        message = f"at the minimum investment a weight is off by {least.error / 10_000:.2f} points"
        found.append(Issue("weights_off_at_minimum", None, message, "warning"))
    return found
