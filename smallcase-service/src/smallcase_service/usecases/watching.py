"""Watch baskets: offer rebalances, and repair those whose users allowed it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from saras_common.errors import CallerError
from saras_common.events import RebalanceOffered
from smallcase_service.domain.figures import tracking_error
from smallcase_service.domain.offering import Followed, LastOffer, cause_of
from smallcase_service.domain.planning import drifts, weights_of
from smallcase_service.domain.proposals import fraction
from smallcase_service.domain.runs import Leg
from smallcase_service.domain.schedule import Frequency
from smallcase_service.domain.weights import UNIT
from smallcase_service.store import investments, runs, smallcases
from smallcase_service.store.investments import Investment, Offer
from smallcase_service.store.smallcases import Smallcase
from smallcase_service.usecases import running
from smallcase_service.usecases.composing import HISTORY, closes_of, constituents_of
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.pricing import Board, holdings_matrix, read_board
from smallcase_service.usecases.starting import plan_repairing, start_repairing

AT_ONCE = 2000
"""Baskets looked at together."""


def offer_rebalances(ctx: Context) -> int:
    """Look at every basket with shares in it; how many were offered a rebalance."""
    offered, after = 0, None
    while True:
        with ctx.database.for_service() as session:
            page = investments.list_held(session, smallcase_id=None, after=after, limit=AT_ONCE, only_idle=True)
            offered += _offer(ctx, session, page)
        if len(page) < AT_ONCE:
            return offered
        after = page[-1].id


def _offer(ctx: Context, session: Session, page: Sequence[Investment]) -> int:
    cases = smallcases.list_by_ids(session, {one.smallcase_id for one in page})
    found = _drifts(session, page, cases)
    last = investments.list_offers(session, found)
    offers = []
    for one in page:
        drift, case = found.get(one.id), cases[one.smallcase_id]
        if drift is None or case.deleted_at is not None:
            continue
        cause = cause_of(_followed(one, case), drift, _last(last.get(one.id)), ctx.clock.now())
        if cause is not None:
            offers.append((one, cause, case.version, drift))
    if offers:
        investments.put_offers(session, offers, ctx.clock.now())
        _tell(ctx, session, offers, cases)
    return len(offers)


def _drifts(session: Session, page: Sequence[Investment], cases: Mapping[UUID, Smallcase]) -> dict[UUID, int]:
    """Each basket's drift from the version it follows; those with a share without a price are left out."""
    groups: dict[tuple[UUID, int], list[Investment]] = defaultdict(list)
    for one in page:
        groups[one.smallcase_id, one.version].append(one)
    held = investments.list_holdings(session, [one.id for one in page])
    targets = smallcases.list_constituents(session, groups)
    names = {name for some in held.values() for name in some}
    board = read_board(session, names | {part.instrument for some in targets.values() for part in some})
    found: dict[UUID, int] = {}
    for key, group in groups.items():
        target = {part.instrument: part.weight for part in targets.get(key, [])}
        shares = [held.get(one.id, {}) for one in group]
        values = _drifts_of(shares, target, board, is_relative=cases[key[0]].band_is_relative)
        found |= {one.id: value for one, value in zip(group, values, strict=True) if value is not None}
    return found


def _drifts_of(
    shares: Sequence[Mapping[str, int]], target: Mapping[str, int], board: Board, *, is_relative: bool
) -> list[int | None]:
    names = sorted(target.keys() | {name for some in shares for name in some})
    prices = [board.price(name) for name in names]
    unpriced = {name for name, price in zip(names, prices, strict=True) if price is None}
    columns = holdings_matrix([{name: price or 0 for name, price in zip(names, prices, strict=True)}], names)[0]
    goal = holdings_matrix([target], names)[0]
    values = drifts(holdings_matrix(shares, names), columns, goal, is_relative=is_relative)
    return [None if unpriced & some.keys() else int(value) for some, value in zip(shares, values, strict=True)]


def _followed(one: Investment, case: Smallcase) -> Followed:
    return Followed(
        one.version,
        case.version,
        one.rebalanced_at,
        None if case.frequency is None else Frequency(case.frequency),
        case.drift_band,
        timedelta(days=case.cooldown_days),
    )


def _last(offer: Offer | None) -> LastOffer | None:
    return None if offer is None else LastOffer(offer.version, offer.offered_at, offer.taken_at is None)


def _tell(
    ctx: Context,
    session: Session,
    offers: Sequence[tuple[Investment, str, int, int]],
    cases: Mapping[UUID, Smallcase],
) -> None:
    now = ctx.clock.now()
    ctx.outbox.add(
        session,
        [
            RebalanceOffered.model_validate(
                {
                    "at": now,
                    "user_id": one.user_id,
                    "smallcase_id": one.smallcase_id,
                    "name": cases[one.smallcase_id].name,
                    "cause": cause,
                    "version": version,
                    "drift": fraction(drift),
                }
            )
            for one, cause, version, drift in offers
        ],
    )


# --- repairs their users allowed ----------------------------------------------------------------------------------


def repair_automatically(ctx: Context) -> int:
    """Repair partly filled baskets where the repaired one stays within the tracking error its user allows."""
    with ctx.database.for_service() as session:
        candidates = investments.list_to_repair(session, AT_ONCE)
    started = [run_id for one in candidates if (run_id := _repair(ctx, one)) is not None]
    running.place_runs(ctx, started)
    return len(started)


def _repair(ctx: Context, one: Investment) -> UUID | None:
    try:
        with ctx.database.for_users(one.user_id) as session:
            error = repaired_error(session, ctx, one)
            if error is None or one.repair_budget is None or error * UNIT > one.repair_budget:
                return None
            started = start_repairing(session, ctx, one.user_id, one.smallcase_id)
            running.tell(ctx, session, [started.run])
            return started.run.id
    except CallerError:
        return None  # not possible now: it stays offered


def repaired_error(session: Session, ctx: Context, one: Investment) -> float | None:
    """The yearly tracking error the basket would have after its repair; ``None`` while history is too short."""
    held = investments.list_holdings(session, [one.id]).get(one.id, {})
    last = runs.list_latest(session, [one.id]).get(one.id)
    legs, _, _ = plan_repairing(session, ctx, last, held)
    target = {part.instrument: part.weight for part in constituents_of(session, one.smallcase_id, one.version)}
    names = sorted(target.keys() | held.keys())
    board = read_board(session, names)
    after = _after(held, legs)
    prices = holdings_matrix([{name: board.price(name) or 0 for name in names}], names)[0]
    weights = weights_of(holdings_matrix([after], names), prices)[0]
    actual = {name: int(weight) for name, weight in zip(names, weights, strict=True)}
    return tracking_error(actual, target, closes_of(session, names, ctx.today() - HISTORY))


def _after(held: Mapping[str, int], legs: Sequence[Leg]) -> dict[str, int]:
    after = dict(held)
    for leg in legs:
        after[leg.instrument] = after.get(leg.instrument, 0) + (leg.quantity if leg.side == "BUY" else -leg.quantity)
    return after
