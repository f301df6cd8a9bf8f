"""Drive runs: place what is planned, take the next step when a round of orders has ended, tell what changed.

Every step is a transaction of its own and can be taken again after a crash: the book knows orders by run, round and
attempt. Many runs go through each step together.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from saras_common.errors import SarasError, Unavailable
from saras_common.events import BasketRunChanged
from smallcase_service.book import Placed, Placement, Wanted
from smallcase_service.domain.refusals import Refused
from smallcase_service.domain.runs import SELL_ROUND, Kind, Leg, Money, State, ending, moved, was_cut_short
from smallcase_service.store import investments, runs, smallcases
from smallcase_service.store.runs import Run
from smallcase_service.usecases.buying import next_buys, next_repair
from smallcase_service.usecases.context import Context

AT_ONCE = 500
"""Runs worked on together."""

PATIENCE = timedelta(seconds=5)
"""A run whose orders were not answered for is left alone so long: whoever placed them may still be waiting."""

MAX_ATTEMPTS = 3


def drive(ctx: Context) -> int:
    """One round for all runs that wait for something; how many were moved."""
    with ctx.database.for_service() as session:
        ready = runs.list_to_advance(session, AT_ONCE)
    advanced = advance_runs(ctx, ready) if ready else []
    with ctx.database.for_service() as session:
        stuck = runs.list_to_place(session, ctx.clock.now() - PATIENCE, AT_ONCE)
    place_runs(ctx, [*advanced, *(run_id for run_id in stuck if run_id not in set(advanced))])
    return len(ready) + len(stuck)


# --- placing ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one run's orders."""

    run: Run
    outcome: Placed | SarasError


def place_runs(ctx: Context, run_ids: Sequence[UUID]) -> dict[UUID, Placed | SarasError]:
    """Place the planned orders of runs; what the book answered, by run.

    Sells the book refused for want of shares are cut to what there is and placed again.
    """
    answers: dict[UUID, Placed | SarasError] = {}
    for start in range(0, len(run_ids), AT_ONCE):
        again = list(run_ids[start : start + AT_ONCE])
        while again:
            found, again = _place(ctx, again)
            answers |= found
    return answers


def _place(ctx: Context, run_ids: Sequence[UUID]) -> tuple[dict[UUID, Placed | SarasError], list[UUID]]:
    with ctx.database.for_service() as session:
        waiting = [run for run in runs.lock(session, run_ids) if not run.is_placed and not run.state.is_over]
        legs = runs.list_legs(session, [run.id for run in waiting])
        for run in waiting:
            run.looked_at, run.is_tried = ctx.clock.now(), True
        runs.save(session, waiting)
    placements = [
        Placement(
            run.user_id,
            run.investment_id,
            run.key,
            [
                Wanted(leg.instrument, leg.side, leg.quantity, leg.limit_paise)
                for leg in legs[run.id]
                if leg.round == run.round
            ],
        )
        for run in waiting
    ]
    outcomes = ctx.book.place(placements) if placements else []
    answers = {run.id: outcome for run, outcome in zip(waiting, outcomes, strict=True)}
    keys = {run.id: run.key for run in waiting}
    free = _free_shares(ctx, [run for run in waiting if _lacks_shares(run, answers[run.id])])
    with ctx.database.for_service() as session:
        cut = _note(ctx, session, answers, keys, free)
    return answers | {run_id: [] for run_id in cut}, cut


def _lacks_shares(run: Run, outcome: Placed | SarasError) -> bool:
    return (
        isinstance(outcome, Refused)
        and outcome.code == "insufficient_holdings"
        and run.round == SELL_ROUND
        and run.attempt + 1 < MAX_ATTEMPTS
        and run.cancel_asked_at is None
    )


def _free_shares(ctx: Context, lacking: Sequence[Run]) -> dict[UUID, dict[str, int]]:
    """What users whose sells were refused can sell; who cannot be asked now is left for the next round."""
    found = {}
    for run in lacking:
        try:
            found[run.user_id] = ctx.book.free_shares(run.user_id)
        except Unavailable:
            continue
    return found


def _note(
    ctx: Context,
    session: Session,
    answers: Mapping[UUID, Placed | SarasError],
    keys: Mapping[UUID, str],
    free: Mapping[UUID, Mapping[str, int]],
) -> list[UUID]:
    """Write down the book's answers, unless somebody else already did; the runs whose sells were cut."""
    present = [
        run
        for run in runs.lock(session, answers)
        if not run.is_placed and not run.state.is_over and run.key == keys[run.id]
    ]
    legs = runs.list_legs(session, [run.id for run in present])
    taken: list[tuple[Run, str, UUID, str]] = []
    changed: list[Run] = []
    cut: list[UUID] = []
    for run in present:
        outcome = answers[run.id]
        if isinstance(outcome, list):
            taken += [(run, order["instrument"], UUID(order["id"]), order["status"]) for order in outcome]
            run.is_placed = True
            run.state = moved(run.state, State.SELLING if run.round == SELL_ROUND else State.BUYING)
            changed.append(run)
        elif isinstance(outcome, Unavailable):
            continue
        elif _lacks_shares(run, outcome):
            if run.user_id in free:
                _sell_less(session, run, legs[run.id], free[run.user_id])
                cut.append(run.id)
        else:
            _refuse(ctx, session, run, legs[run.id], outcome)
            changed.append(run)
    if taken:
        runs.take(session, taken)
    runs.save(session, present)
    tell(ctx, session, changed)
    return cut


def _sell_less(session: Session, run: Run, legs: Sequence[Leg], free: Mapping[str, int]) -> None:
    """The user sold shares of the basket elsewhere: the books follow, and the run sells what there is."""
    investments.trim(session, run.user_id, [leg.instrument for leg in legs], free)
    runs.drop_unplaced(session, run)
    less = [
        Leg(leg.round, leg.instrument, leg.side, quantity)
        for leg in legs
        if leg.round == run.round and (quantity := min(leg.quantity, free.get(leg.instrument, 0))) > 0
    ]
    runs.add_legs(session, [(run, leg) for leg in less])
    run.go_on(run.round, run.attempt + 1)
    run.is_adjusted = True
    run.is_placed = not less


def _refuse(ctx: Context, session: Session, run: Run, legs: Sequence[Leg], error: SarasError) -> None:
    """The book's final no: the first orders of a run fail it, later ones end it with what it has."""
    runs.reject_unplaced(session, run, error.code)
    money = Money.of(list(legs))
    state = State.COMPLETED_ADJUSTED if any(leg.filled_quantity for leg in legs) else State.FAILED
    _end(ctx, run, state, f"{error.code}: {error.detail}"[:500], money)


# --- the next step ----------------------------------------------------------------------------------------------


def advance_runs(ctx: Context, run_ids: Sequence[UUID]) -> list[UUID]:
    """Take the next step of runs whose orders have ended; those that now have orders to place."""
    with ctx.database.for_service() as session:
        present = [run for run in runs.lock(session, run_ids) if run.is_placed and not run.state.is_over]
        legs = runs.list_legs(session, [run.id for run in present])
        present = [run for run in present if all(leg.is_over for leg in _of_round(run, legs))]
        planned: list[tuple[Run, Leg]] = []
        wanted = [run for run in present if run.cancel_asked_at is None]
        for group in _by_target([run for run in wanted if run.kind.is_topped_up]):
            planned += next_buys(session, ctx, group, legs)
        for run in wanted:
            if run.kind == Kind.REPAIR and run.round == SELL_ROUND:
                planned += next_repair(session, ctx, run, legs.get(run.id, []))
        going_on = {run.id for run, _ in planned}
        for run, leg in planned:
            run.go_on(leg.round)
        for run in present:
            if run.id not in going_on:
                finish(ctx, session, run, legs.get(run.id, []))
        runs.add_legs(session, planned)
        runs.save(session, present)
        tell(ctx, session, [run for run in present if run.state.is_over])
    return sorted(going_on)


def _of_round(run: Run, legs: Mapping[UUID, list[Leg]]) -> list[Leg]:
    return [leg for leg in legs.get(run.id, []) if leg.round == run.round]


def _by_target(group: Iterable[Run]) -> list[list[Run]]:
    found: dict[tuple[UUID, int], list[Run]] = defaultdict(list)
    for run in group:
        found[run.smallcase_id, run.version].append(run)
    return list(found.values())


def finish(ctx: Context, session: Session, run: Run, legs: list[Leg]) -> None:
    """End a run whose orders have ended and that has no others to place."""
    state, reason = ending(legs, was_adjusted=run.is_adjusted)
    if run.cancel_asked_at is not None and was_cut_short(run.kind, legs):
        state, reason = State.CANCELLED, "cancelled by its user; what had been filled stays"
    if run.kind == Kind.REBALANCE and state in {State.COMPLETED, State.COMPLETED_ADJUSTED}:
        investments.follow(session, run.investment_id, run.version, ctx.clock.now())
    _end(ctx, run, state, reason, Money.of(legs))


def _end(ctx: Context, run: Run, state: State, reason: str | None, money: Money) -> None:
    run.state = moved(run.state, state)
    run.reason = reason
    run.is_placed = True
    run.spent_paise, run.received_paise = money.spent_paise, money.received_paise
    run.unspent_paise = 0
    if run.kind != Kind.EXIT:
        run.unspent_paise = max(run.budget_paise + money.received_paise - money.spent_paise, 0)
    run.ended_at = ctx.clock.now()


def tell(ctx: Context, session: Session, changed: Sequence[Run]) -> None:
    """Publish the state of runs."""
    if not changed:
        return
    names = {
        one.id: one.name for one in smallcases.list_by_ids(session, {run.smallcase_id for run in changed}).values()
    }
    now = ctx.clock.now()
    ctx.outbox.add(
        session,
        [
            BasketRunChanged(
                at=now,
                run_id=run.id,
                user_id=run.user_id,
                smallcase_id=run.smallcase_id,
                name=names.get(run.smallcase_id, ""),
                kind=run.kind.value,
                status=run.state.value,
                reason=run.reason,
                spent_paise=run.spent_paise,
                received_paise=run.received_paise,
                unspent_paise=run.unspent_paise,
            )
            for run in changed
        ],
    )
