"""The post-trade pipeline: executions in, checked, enriched, stored; positions follow from the store."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby, islice
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from analytics_service.domain.positions import Position
from analytics_service.domain.trades import (
    NO_CHARGES,
    Enriched,
    Execution,
    Likeness,
    Market,
    Posting,
    Reason,
    Rejection,
    Source,
    day_of,
    enriched,
    judge,
    likeness,
)
from analytics_service.store import market, trades
from analytics_service.store.trades import PositionKey, RejectedTrade
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
    postings = [posting for event in events for posting in _postings_of(event)]
    if not postings:
        return 0, 0
    trades.lock_store(session)
    passed, rejected = _judged(session, postings, band_percent, now)
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
    known = _market(session, mendable, band_percent)
    seen = _seen(session, mendable)
    passed = list[Enriched]()
    for execution, row in mendable.items():
        judged = _judged_once(execution, known, seen, now)
        if isinstance(judged, Enriched):
            trades.close_rejected(session, row.id, {}, None, now)
            passed.append(judged)
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
    known, seen = _market(session, [execution], band_percent), _seen(session, [execution])
    judged = _judged_once(execution, known, seen, now)
    if isinstance(judged, Rejection):
        raise StillRejected(judged.detail)
    trades.close_rejected(session, rejected_id, corrections, by, now)
    _store(session, [judged])
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
        _follow(
            session,
            [
                (
                    trade.key, str(trade.order_id), trade.side, trade.quantity, trade.value_paise, sum(trade.charges),
                    trade.traded_at, trade.seq,
                )
                for trade in part
            ],
        )  # fmt: skip
        count += len(part)
    return count


def _judged(
    session: Session, postings: Sequence[Posting], band_percent: int, now: datetime
) -> tuple[list[Enriched], list[Rejection]]:
    """Postings that pass as a whole, and what passes of the others one by one."""
    known = _market(session, postings, band_percent)
    whole = [enriched(posting, known, now) for posting in postings]
    others = [
        execution
        for posting, found in zip(postings, whole, strict=True)
        if found is None
        for execution in posting.executions()
    ]
    seen = _seen(session, others)
    judged = iter([_judged_once(execution, known, seen, now) for execution in others])
    passed, rejected = list[Enriched](), list[Rejection]()
    for posting, found in zip(postings, whole, strict=True):
        for one in [found] if found is not None else islice(judged, len(posting.parts)):
            (passed if isinstance(one, Enriched) else rejected).append(one)  # type: ignore[arg-type] # each to its own
    return passed, rejected


def _market(session: Session, told: Iterable[Posting | Execution], band_percent: int) -> Market:
    """What is known of the instruments and days of these."""
    days = {(one.instrument, day_of(one.traded_at)) for one in told}
    sectors = market.list_sectors(session, {instrument for instrument, _ in days})
    return Market(sectors, market.list_ranges(session, days), band_percent)


def _seen(session: Session, executions: Iterable[Execution]) -> set[Likeness]:
    elsewhere = [execution for execution in executions if execution.source == ELSEWHERE]
    return trades.list_likenesses(session, elsewhere)


def _judged_once(execution: Execution, known: Market, seen: set[Likeness], now: datetime) -> Enriched | Rejection:
    """`judge`, and a trade done elsewhere passes once: ``seen`` are those that did."""
    judged = judge(execution, known, now)
    if isinstance(judged, Rejection) or execution.source != ELSEWHERE:
        return judged
    mark = likeness(execution)
    if mark in seen:
        return Rejection(execution, Reason.DUPLICATE, "this trade is recorded already")
    seen.add(mark)
    return judged


Movement = tuple[PositionKey, str, str, int, int, int, datetime, int]
"""Position, order, side, quantity, value, charges, instant and number of a trade of the store."""


def _store(session: Session, passed: Sequence[Enriched]) -> int:
    if not passed:
        return 0
    numbers = trades.add_trades(session, passed)
    movements = list[Movement]()
    for one, mine in zip(passed, numbers, strict=True):
        posting = one.posting
        source, instrument, product = posting.source, posting.instrument, posting.product
        rows = zip(
            posting.user_ids, posting.order_ids, posting.quantities, posting.values_paise, posting.charges, mine,
            strict=True,
        )  # fmt: skip
        movements += [
            (
                (user_id, source, instrument, product), str(order_id), posting.side, quantity, value, sum(charges),
                posting.traded_at, seq,
            )
            for user_id, order_id, quantity, value, charges, seq in rows
            if seq is not None
        ]  # fmt: skip
    _follow(session, movements)
    return len(movements)


def _follow(session: Session, movements: Sequence[Movement]) -> None:
    """Bring positions up to these trades, in the order of the store."""
    positions = trades.load_positions(session, list(dict.fromkeys([movement[0] for movement in movements])))
    known = frozenset(positions)
    for key, order_id, side, quantity, value, charges, traded_at, seq in movements:
        position = positions.get(key)
        if position is None:
            position = positions[key] = Position()
        position.apply(order_id, side, quantity, value, charges, traded_at)
        position.last_seq = seq
    trades.save_positions(session, positions, known)


def _postings_of(event: Event) -> Iterable[Posting]:
    if isinstance(event, AllocationPosted):
        shares = enumerate(event.allocations)
        for kind, run in groupby(shares, key=lambda pair: event.kind if pair[1].quantity else "true_up"):
            rows = [
                (part, share.user_id, share.order_id, share.quantity, share.value_paise, share.charges)
                for part, share in run
            ]
            yield Posting(
                event.id, PLATFORM, event.instrument, event.product, event.side, kind, event.traded_at,
                *zip(*rows, strict=True),
            )  # fmt: skip
    elif isinstance(event, TradeRecorded):
        yield Posting(
            event.trade_id, ELSEWHERE, event.instrument, "CNC", event.side, "fill", event.traded_at, (0,),
            (event.user_id,), (event.trade_id,), (event.quantity,), (event.quantity * event.price_paise,),
            (NO_CHARGES,),
        )  # fmt: skip
