"""Make a smallcase, change it by a new version, take it out of the lists."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from sqlalchemy.orm import Session

from saras_common.errors import NotFound
from smallcase_service.domain import figures, index, validation
from smallcase_service.domain.proposals import Proposal, difference
from smallcase_service.domain.refusals import HistoryTooShort, SharesIssuedUnknown, SmallcaseInvalid, WeightsDoNotSum
from smallcase_service.domain.weights import UNIT, bounded, parts_of
from smallcase_service.store import market, smallcases
from smallcase_service.store.smallcases import Constituent, Smallcase, Terms
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.pricing import Board, read_board

HISTORY = timedelta(days=400)
"""Enough calendar days for `figures.WINDOW` sessions."""

AT_ONCE = 500


def create_smallcase(
    session: Session, ctx: Context, owner_id: UUID, proposal: Proposal, smallcase_id: UUID
) -> Smallcase:
    """Version 1 of a new smallcase."""
    board = read_board(session, proposal.names)
    weights = weigh(session, ctx, proposal, board)
    now = ctx.clock.now()
    if smallcases.add(session, smallcase_id, owner_id, _about(proposal), now):
        _add_version(session, ctx, smallcase_id, 1, proposal, weights, board, {}, index.BASE)
    return get_smallcase(session, smallcase_id, owner_id)


def change_smallcase(
    session: Session, ctx: Context, owner_id: UUID, smallcase_id: UUID, proposal: Proposal
) -> Smallcase:
    """The next version; the earlier ones stay, and nobody is traded."""
    version = smallcases.lock_own(session, smallcase_id, owner_id)
    if version is None:
        raise NotFound
    before = constituents_of(session, smallcase_id, version)
    board = read_board(session, [*proposal.names, *(one.instrument for one in before)])
    weights = weigh(session, ctx, proposal, board)
    old = {one.instrument: one.weight for one in before}
    level = live_level(before, board)
    diff = difference(old, weights)
    smallcases.change(session, smallcase_id, _about(proposal), version + 1, ctx.clock.now())
    _add_version(session, ctx, smallcase_id, version + 1, proposal, weights, board, diff, level)
    return get_smallcase(session, smallcase_id, owner_id)


def delete_smallcase(session: Session, ctx: Context, owner_id: UUID, smallcase_id: UUID) -> None:
    """Out of every list. Who is invested keeps the basket and its version, and can exit or repair it."""
    if smallcases.lock_own(session, smallcase_id, owner_id) is None:
        raise NotFound
    smallcases.delete(session, smallcase_id, ctx.clock.now())


def get_smallcase(session: Session, smallcase_id: UUID, user_id: UUID, *, with_deleted: bool = False) -> Smallcase:
    """A smallcase the user may see; `NotFound` for any other."""
    found = smallcases.find(session, smallcase_id, user_id)
    if found is None or (found.deleted_at is not None and not with_deleted):
        raise NotFound
    return found


def constituents_of(session: Session, smallcase_id: UUID, version: int) -> list[Constituent]:
    """One version's constituents."""
    return smallcases.list_constituents(session, [(smallcase_id, version)]).get((smallcase_id, version), [])


def weigh(session: Session, ctx: Context, proposal: Proposal, board: Board) -> dict[str, int]:
    """Weights in parts of a million by instrument; every structural issue is named in one refusal."""
    names = proposal.names
    found = [*validation.duplicates(names), *validation.unknown(names, board.seen())]
    if found:
        raise SmallcaseInvalid(
            errors=[
                {
                    "field": f"constituents.{names.index(issue.instrument or '')}",
                    "message": f"{issue.code}: {issue.message}",
                }
                for issue in found
            ]
        )
    scores = _scores(session, ctx, proposal, board)
    floors = [one.floor or 1 for one in proposal.constituents]
    caps = [UNIT if one.cap is None else one.cap for one in proposal.constituents]
    if proposal.weighting == "custom":
        weights = [int(score) for score in scores]
        outside = [
            {"field": f"constituents.{n}.weight", "message": "is outside its floor and cap"}
            for n, (floor, weight, cap) in enumerate(zip(floors, weights, caps, strict=True))
            if not floor <= weight <= cap
        ]
        if outside:
            raise SmallcaseInvalid(errors=outside)
    else:
        weights = bounded(scores, floors, caps)
    return dict(zip(names, weights, strict=True))


def _scores(session: Session, ctx: Context, proposal: Proposal, board: Board) -> list[Fraction]:
    names = proposal.names
    if proposal.weighting == "custom":
        return [Fraction(part) for part in parts_of(_given(proposal))]
    if proposal.weighting == "market_cap":
        return _capitalisations(names, board)
    if proposal.weighting == "inverse_volatility":
        found = figures.volatilities(names, closes_of(session, names, ctx.today() - HISTORY))
        short = [name for name in names if not found.get(name)]
        if short:
            raise HistoryTooShort(
                errors=[{"field": name, "message": f"{figures.LEAST} daily returns are needed"} for name in short]
            )
        return [1 / Fraction(found[name]).limit_denominator(10**12) for name in names]
    return [Fraction(1)] * len(names)


def _given(proposal: Proposal) -> list[Decimal]:
    missing = [n for n, one in enumerate(proposal.constituents) if one.weight is None]
    if missing:
        raise WeightsDoNotSum(
            "Custom weighting needs a weight for every constituent",
            errors=[{"field": f"constituents.{n}.weight", "message": "is missing"} for n in missing],
        )
    return [one.weight for one in proposal.constituents if one.weight is not None]


def _capitalisations(names: Sequence[str], board: Board) -> list[Fraction]:
    unknown = [name for name in names if not board.known[name].shares_issued]
    if unknown:
        raise SharesIssuedUnknown(
            "Issued shares are not known of " + ", ".join(unknown[:10]),
            errors=[{"field": name, "message": "issued shares are not known"} for name in unknown],
        )
    return [Fraction(board.quoted(name).last_paise * (board.known[name].shares_issued or 0)) for name in names]


def closes_of(session: Session, names: Sequence[str], since: date) -> dict[str, dict[date, float]]:
    """Closes adjusted for splits and bonuses, by instrument and day."""
    raw = market.list_closes(session, names, since)
    actions = market.list_actions(session, names)
    return {name: index.adjusted(closes, actions.get(name, ())) for name, closes in raw.items()}


def live_level(constituents: Sequence[Constituent], board: Board) -> float | None:
    """The index on the last prices; ``None`` while a price or the units are missing."""
    units = {one.instrument: one.units for one in constituents if one.units is not None}
    prices = {name: price for name in units if (price := board.price(name)) is not None}
    if not units or len(units) < len(constituents) or len(prices) < len(units):
        return None
    return index.level_of(units, {name: float(price) for name, price in prices.items()})


def start_indexes(ctx: Context) -> int:
    """Fix the units of versions published before all their shares had a price, now that they have one; how many."""
    started = 0
    with ctx.database.for_service() as session:
        waiting = smallcases.list_without_index(session, AT_ONCE)
        of = smallcases.list_constituents(session, [(smallcase_id, version) for smallcase_id, version, _ in waiting])
        board = read_board(session, {one.instrument for parts in of.values() for one in parts})
        for smallcase_id, version, level in waiting:
            weights = {one.instrument: one.weight for one in of[smallcase_id, version]}
            prices = {name: float(price) for name in weights if (price := board.price(name)) is not None}
            if len(prices) == len(weights):
                start = index.BASE if level is None else level
                units = index.units_for(start, weights, prices)
                smallcases.start_index(session, smallcase_id, version, start, units)
                started += 1
    return started


def _about(proposal: Proposal) -> dict[str, str | None]:
    return {"name": proposal.name, "description": proposal.description, "visibility": proposal.visibility}


def _add_version(
    session: Session,
    ctx: Context,
    smallcase_id: UUID,
    version: int,
    proposal: Proposal,
    weights: Mapping[str, int],
    board: Board,
    diff: Mapping[str, object],
    level: float | None,
) -> None:
    prices = {name: float(price) for name in weights if (price := board.price(name)) is not None}
    units = index.units_for(level, weights, prices) if level is not None and len(prices) == len(weights) else {}
    cooldown = ctx.cooldown_days if proposal.cooldown_days is None else proposal.cooldown_days
    terms = Terms(
        proposal.weighting,
        None if proposal.frequency is None else proposal.frequency.value,
        proposal.drift_band,
        proposal.band_is_relative,
        cooldown,
    )
    rows = [
        Constituent(one.instrument, weights[one.instrument], one.floor, one.cap, units.get(one.instrument))
        for one in proposal.constituents
    ]
    smallcases.add_version(session, smallcase_id, version, terms, rows, diff=diff, level=level, now=ctx.clock.now())
