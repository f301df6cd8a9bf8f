"""The post-trade pipeline: executions in, checked, enriched, stored; positions follow from the store."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from analytics_service.domain.positions import Position
from analytics_service.domain.trades import (
    NO_CHARGES,
    Execution,
    Likeness,
    Market,
    Reason,
    Rejection,
    Source,
    Trade,
    day_of,
    judge,
    likeness,
)
from analytics_service.store import market, trades
from analytics_service.store.trades import PositionKey, RejectedTrade, StoredTrade
from saras_common.errors import Conflict, NotFound
from saras_common.events import AllocationPosted, Event, TradeRecorded
from saras_common.ids import NewId

REPLAY_BATCH = 20_000
HELD_BACK = 500
"""Rejections looked at again at a time."""

PLATFORM, ELSEWHERE = Source.PLATFORM.value, Source.ELSEWHERE.value

MENDABLE = frozenset({Reason.UNKNOWN_INSTRUMENT, Reason.PRICE_OUT_OF_RANGE})
"""Reasons that later listings and prices can take away."""


class StillRejected(Conflict):
    """The corrected trade does not pass either; the detail says why."""

    code, title = "still_rejected", "The trade does not pass"


class AlreadyReplayed(Conflict):
    code, title = "already_replayed", "This trade is in the store already"


def take_in(
    session: Session, events: Iterable[Event], *, band_percent: int, now: datetime, new_id: NewId
) -> tuple[int, int]:
    """Store what passes, set aside what does not; how many of each."""
    executions = [execution for event in events for execution in _executions_of(event)]
    if not executions:
        return 0, 0
    trades.lock_store(session)
    passed, rejected = _judged(session, executions, band_percent, now)
    if rejected:
        trades.add_rejections(session, rejected, [new_id() for _ in rejected], now)
    return _store(session, passed), len(rejected)


def reconsider(session: Session, *, band_percent: int, now: datetime) -> int:
    """Look again at what later listings and prices may have made good; how many went into the store."""
    held = trades.list_rejected(session, "open", None, HELD_BACK)
    mendable = {trades.execution_of(row.body): row for row in held if row.reason in MENDABLE}
    if not mendable:
        return 0
    trades.lock_store(session)
    passed, _ = _judged(session, list(mendable), band_percent, now)
    for trade in passed:
        trades.close_rejected(session, mendable[trade.execution].id, {}, None, now)
    return _store(session, passed)


def replay_rejected(
    session: Session, rejected_id: UUID, corrections: Mapping[str, Any], *, by: UUID, band_percent: int, now: datetime
) -> RejectedTrade:
    """Try one again, with ``corrections`` to its fields; `StillRejected` leaves everything as it was."""
    row = trades.find_rejected(session, rejected_id)
    if row is None:
        raise NotFound
    if row.status != "open":
        raise AlreadyReplayed
    execution = corrected(trades.execution_of(row.body), corrections)
    trades.lock_store(session)
    passed, rejected = _judged(session, [execution], band_percent, now)
    if rejected:
        raise StillRejected(rejected[0].detail)
    trades.close_rejected(session, rejected_id, corrections, by, now)
    _store(session, passed)
    return row._replace(status="replayed", corrections=dict(corrections), replayed_at=now)


def corrected(execution: Execution, corrections: Mapping[str, Any]) -> Execution:
    """The execution with some of its fields changed; ``price`` is paise a unit."""
    fields = {name: value for name, value in corrections.items() if name != "price"}
    changed = execution._replace(**fields)
    if "price" in corrections:
        return changed._replace(value_paise=corrections["price"] * changed.quantity)
    if "quantity" in corrections and execution.quantity:
        return changed._replace(value_paise=execution.value_paise // execution.quantity * changed.quantity)
    return changed


def rebuild(session: Session) -> int:
    """Make every derived row again from the whole store; the number of trades replayed."""
    trades.lock_store(session)
    trades.delete_positions(session)
    count = 0
    for part in trades.stream_trades(session, REPLAY_BATCH):
        _follow(session, part)
        count += len(part)
    return count


def _judged(
    session: Session, executions: Sequence[Execution], band_percent: int, now: datetime
) -> tuple[list[Trade], list[Rejection]]:
    days = {(execution.instrument, day_of(execution.traded_at)) for execution in executions}
    known = Market(
        market.list_sectors(session, {instrument for instrument, _ in days}),
        market.list_ranges(session, days),
        band_percent,
    )
    seen: set[Likeness] = trades.list_likenesses(
        session, [execution for execution in executions if execution.source == ELSEWHERE]
    )
    passed, rejected = list[Trade](), list[Rejection]()
    for execution in executions:
        judged = judge(execution, known, now)
        if isinstance(judged, Trade) and execution.source == ELSEWHERE:
            mark = likeness(execution)
            if mark in seen:
                judged = Rejection(execution, Reason.DUPLICATE, "this trade is recorded already")
            seen.add(mark)
        if isinstance(judged, Trade):
            passed.append(judged)
        else:
            rejected.append(judged)
    return passed, rejected


def _store(session: Session, passed: Sequence[Trade]) -> int:
    if not passed:
        return 0
    numbers = trades.add_trades(session, passed)
    stored = [
        StoredTrade(
            numbers[key], *trade.execution[:11], list(trade.charges), trade.execution.traded_at, trade.settles_on,
            trade.counterparty, trade.sector,
        )
        for trade in passed
        if (key := (trade.execution.source_id, trade.execution.part)) in numbers
    ]  # fmt: skip
    _follow(session, stored)
    return len(stored)


def _follow(session: Session, stored: Sequence[StoredTrade]) -> None:
    """Bring positions up to these trades, in the order of the store."""
    positions: dict[PositionKey, Position] = trades.load_positions(session, {trade.key for trade in stored})
    for trade in stored:
        position = positions.get(trade.key)
        if position is None:
            position = positions[trade.key] = Position()
        position.apply(
            str(trade.order_id), trade.side, trade.quantity, trade.value_paise, sum(trade.charges), trade.traded_at
        )
        position.last_seq = trade.seq
    if positions:
        trades.save_positions(session, positions)


def _executions_of(event: Event) -> Iterable[Execution]:
    if isinstance(event, AllocationPosted):
        for part, share in enumerate(event.allocations):
            yield Execution(
                event.id, part, PLATFORM, share.user_id, share.order_id, event.instrument, event.product,
                event.side, event.kind if share.quantity else "true_up", share.quantity, share.value_paise,
                share.charges, event.traded_at,
            )  # fmt: skip
    elif isinstance(event, TradeRecorded):
        yield Execution(
            event.trade_id, 0, ELSEWHERE, event.user_id, event.trade_id, event.instrument, "CNC",
            event.side, "fill", event.quantity, event.quantity * event.price_paise, NO_CHARGES, event.traded_at,
        )  # fmt: skip
