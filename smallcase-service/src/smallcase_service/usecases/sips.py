"""Regular investments: made on session days; an instalment that was not made says why."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from saras_common.calendar import session_hours
from saras_common.errors import CallerError, InvalidInput, NotFound, SarasError
from saras_common.events import SipSkipped
from smallcase_service.book import Placed
from smallcase_service.domain.schedule import Frequency, first_after, nominal, session_of
from smallcase_service.store import sips, smallcases
from smallcase_service.store.sips import Sip
from smallcase_service.usecases import running
from smallcase_service.usecases.composing import get_smallcase
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.starting import start_investing

AT_ONCE = 200


def start_sip(
    session: Session,
    ctx: Context,
    user_id: UUID,
    smallcase_id: UUID,
    amount_paise: int,
    frequency: Frequency,
    start_on: date,
) -> Sip:
    """A regular investment from ``start_on``; a day that is no session moves to the next one."""
    get_smallcase(session, smallcase_id, user_id)
    if start_on < ctx.today():
        raise InvalidInput(errors=[{"field": "start_on", "message": "is in the past"}])
    today_is_over = ctx.clock.now() >= session_hours(ctx.today())[1]
    first = max(start_on, ctx.today() + timedelta(days=1)) if today_is_over else start_on
    sip = Sip(
        ctx.new_id(),
        user_id,
        smallcase_id,
        amount_paise,
        frequency.value,
        start_on,
        0,
        session_of(first),
        ctx.clock.now(),
        None,
    )
    sips.add(session, sip)
    return sip


def end_sip(session: Session, ctx: Context, user_id: UUID, sip_id: UUID) -> None:
    """No more instalments; what was invested stays."""
    if sips.find(session, sip_id, user_id) is None:
        raise NotFound
    sips.end(session, sip_id, user_id, ctx.clock.now())


def make_instalments(ctx: Context) -> int:
    """Invest what is due today once the session has begun, explain what was missed; how many were settled."""
    now, today = ctx.clock.now(), ctx.today()
    opens_at, closes_at = session_hours(today)
    started: list[UUID] = []
    with ctx.database.for_service() as session:
        due = [sip for sip in sips.take_due(session, today, AT_ONCE) if sip.session_on < today or now >= opens_at]
        for sip in due:
            run_id = _settle(session, ctx, sip, now, is_late=sip.session_on < today or now >= closes_at)
            if run_id is not None:
                started.append(run_id)
    _explain_refused(ctx, running.place_runs(ctx, started))
    return len(due)


def _explain_refused(ctx: Context, answers: Mapping[UUID, Placed | SarasError]) -> None:
    """Instalments the book said no to, for want of cash most often, are skipped ones."""
    refused = {run_id: answer for run_id, answer in answers.items() if isinstance(answer, CallerError)}
    if not refused:
        return
    with ctx.database.for_service() as session:
        for sip, due_on, run_id in sips.list_of_runs(session, refused):
            error = refused[run_id]
            reason = f"{error.code}: {error.detail}"[:500]
            sips.skip(session, sip.id, due_on, reason)
            _tell_skipped(session, ctx, sip, due_on, reason)


def _settle(session: Session, ctx: Context, sip: Sip, now: datetime, *, is_late: bool) -> UUID | None:
    """One instalment: the run it started, or ``None`` with the reason written down; then the next date."""
    frequency = Frequency(sip.frequency)
    due_on = nominal(sip.start_on, frequency, sip.number)
    run_id, reason = None, f"the session of {sip.session_on.isoformat()} had passed before it could be placed"
    if not is_late:
        try:
            with session.begin_nested():
                started = start_investing(session, ctx, sip.user_id, sip.smallcase_id, sip.amount_paise, is_sip=True)
            run_id, reason = started.run.id, ""
            running.tell(ctx, session, [started.run])
        except CallerError as refusal:
            reason = f"{refusal.code}: {refusal.detail}"[:500]
    sips.note(session, sip, due_on, run_id=run_id, reason=reason or None, now=now)
    if run_id is None:
        _tell_skipped(session, ctx, sip, due_on, reason)
    number = first_after(sip.start_on, frequency, sip.number + 1, max(sip.session_on, _yesterday_of(ctx, is_late)))
    sips.advance(session, sip.id, number, session_of(nominal(sip.start_on, frequency, number)))
    return run_id


def _yesterday_of(ctx: Context, is_late: bool) -> date:
    """Instalments of sessions that passed while nobody was there are not made up for one by one."""
    today = ctx.today()
    return date.fromordinal(today.toordinal() - 1) if is_late else today


def _tell_skipped(session: Session, ctx: Context, sip: Sip, due_on: date, reason: str) -> None:
    found = smallcases.list_by_ids(session, [sip.smallcase_id]).get(sip.smallcase_id)
    ctx.outbox.add(
        session,
        [
            SipSkipped(
                at=ctx.clock.now(),
                sip_id=sip.id,
                user_id=sip.user_id,
                smallcase_id=sip.smallcase_id,
                name="" if found is None else found.name,
                due_on=due_on,
                reason=reason,
            )
        ],
    )


def list_sips(
    session: Session, user_id: UUID, before: UUID | None, limit: int
) -> Sequence[tuple[Sip, Sequence[object]]]:
    """The user's regular investments with their latest instalments."""
    found = sips.list_page(session, user_id, before=before, limit=limit)
    instalments = sips.list_instalments(session, [sip.id for sip in found])
    return [(sip, instalments.get(sip.id, [])) for sip in found]
