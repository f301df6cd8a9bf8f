"""Price alerts: set, listed, removed, fired."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from notification_service.domain.alerts import Alert, Condition
from notification_service.domain.kinds import Kind
from notification_service.domain.news import News
from notification_service.domain.refusals import TooManyAlerts
from notification_service.store import alerts
from notification_service.usecases.context import Context
from notification_service.usecases.telling import tell
from saras_common.errors import NotFound
from saras_common.events import MarksChanged

MAX_ALERTS = 200


def add_alert(
    context: Context,
    user_id: UUID,
    instrument: str,
    condition: Condition,
    *,
    price_paise: int | None,
    fall_bp: int | None,
) -> Alert:
    """Wait for a price."""
    alert = Alert(
        context.new_id(), user_id, instrument, condition, price_paise, fall_bp, None, created_at=context.clock.now()
    )
    with context.database.for_users(user_id) as session:
        if alerts.count_waiting(session, user_id) >= MAX_ALERTS:
            raise TooManyAlerts
        alerts.add(session, alert)
    return alert


def list_alerts(context: Context, user_id: UUID, *, after: UUID | None, limit: int) -> list[Alert]:
    """One more than ``limit``, to know whether there are more."""
    with context.database.for_users(user_id) as session:
        return alerts.list_of(session, user_id, after=after, limit=limit + 1)


def delete_alert(context: Context, user_id: UUID, alert_id: UUID) -> None:
    """Wait no more; `NotFound` when the user has none such."""
    with context.database.for_users(user_id) as session:
        if not alerts.delete(session, user_id, alert_id):
            raise NotFound


def watch_marks(context: Context, session: Session, events: Sequence[MarksChanged]) -> None:
    """Show prices, in the order they came, to the alerts that wait for them; tell of those reached."""
    waiting: dict[str, list[Alert]] = {}
    for alert in alerts.lock_watching(session, {mark.instrument for event in events for mark in event.marks}):
        waiting.setdefault(alert.instrument, []).append(alert)
    if not waiting:
        return
    news: list[News] = []
    changed: dict[UUID, Alert] = {}
    for event in events:
        for mark in event.marks:
            for alert in waiting.get(mark.instrument, ()):
                peak = alert.peak_paise
                is_reached = alert.see(mark.last_paise, event.at)
                if is_reached:
                    news.append(_fired(alert))
                if is_reached or alert.peak_paise != peak:
                    changed[alert.id] = alert
    if changed:
        alerts.save(session, list(changed.values()))
    tell(context, session, news)


def _fired(alert: Alert) -> News:
    assert alert.fired_at is not None  # noqa: S101 - it has just fired
    whole, part = divmod(alert.fall_bp or 0, 100)
    data = {
        "at": alert.fired_at.isoformat(),
        "instrument": alert.instrument,
        "condition": alert.condition.value,
        "price_paise": alert.price_paise,
        "peak_paise": alert.peak_paise,
        "fall_percent": f"{whole}.{part:02d}",
        "last_paise": alert.fired_paise,
    }
    return News(alert.user_id, Kind.PRICE_ALERT, f"alert:{alert.id}", alert.fired_at, data)
