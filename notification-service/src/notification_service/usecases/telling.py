"""News become notifications and deliveries, in one transaction with the event that brought them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from notification_service.domain.feed import notified
from notification_service.domain.news import News, fold, kyc_news, news_of, size
from notification_service.domain.planning import Leg, Plan, plan
from notification_service.store import deliveries, feed, notifications, people
from notification_service.store.notifications import Told
from notification_service.store.preferences import list_readers
from notification_service.usecases.context import Context
from notification_service.usecases.people import change_people
from saras_common.events import Event, ExecutionStateChanged, ReconciliationCompleted, UserChanged

_FOR_ADMINS = (ReconciliationCompleted, ExecutionStateChanged)

Key = tuple[UUID, str]


def tell_events(context: Context, session: Session, events: Sequence[Event]) -> None:
    """Tell whom these events concern. Each event comes here once; the consumer's inbox sees to that."""
    news = [kyc_news(event) for event in change_people(session, [e for e in events if isinstance(e, UserChanged)])]
    admins = people.list_admins(session) if any(isinstance(event, _FOR_ADMINS) for event in events) else []
    for event in events:
        news += news_of(event, admins)
    tell(context, session, news)


def tell(context: Context, session: Session, news: Sequence[News]) -> list[Told]:
    """Write ``news``: one notification for each user and source, grown if it is there already; what now stands."""
    if not news:
        return []
    now = context.clock.now()
    gathered = _gather(news)
    readers = list_readers(session, {user_id for user_id, _ in gathered})
    plans: dict[Key, Plan] = {}
    fresh: list[Told] = []
    for key in sorted(gathered):
        item = gathered[key]
        made = plan(readers[item.user_id], item.kind, context.rules.offered, now, context.rules.settle)
        if made.in_app or made.legs:
            plans[key] = made
            fresh.append(
                Told(context.new_id(), item.user_id, item.kind, item.source, size(item.data), item.data, made.in_app)
            )
    if not fresh:
        return []
    added = notifications.add(session, fresh, now)
    written = [item for item in fresh if item.id in added]
    legs = [(item, leg, 0) for item in written for leg in plans[item.user_id, item.source].legs]
    if len(written) < len(fresh):
        grown = _grow(session, [item for item in fresh if item.id not in added], now)
        legs += _again(session, grown, plans)
        written += grown
    if legs:
        deliveries.add(session, [(context.new_id(), item.id, item.user_id, leg, n) for item, leg, n in legs], now)
    feed.add(session, [notified(item.user_id, item.id, item.kind, item.count, now) for item in written if item.in_app])
    return written


def _gather(news: Sequence[News]) -> dict[Key, News]:
    gathered: dict[Key, News] = {}
    for item in news:
        key = (item.user_id, item.source)
        known = gathered.get(key)
        if known is None:
            gathered[key] = item
        else:
            known.data = fold(known.data, item.data)
    return gathered


def _grow(session: Session, more: Sequence[Told], now: datetime) -> list[Told]:
    """Fold ``more`` into what stands under its sources."""
    standing = notifications.lock_by_source(session, [(item.user_id, item.source) for item in more])
    for item in more:
        known = standing[item.user_id, item.source]
        known.data = fold(dict(known.data), dict(item.data))
        known.count = size(known.data)
        known.in_app = item.in_app
    grown = list(standing.values())
    notifications.grow(session, grown, now)
    return grown


def _again(session: Session, grown: Sequence[Told], plans: dict[Key, Plan]) -> list[tuple[Told, Leg, int]]:
    """Legs of grown notifications that are not waiting to leave anyway, with their rounds."""
    ids = [item.id for item in grown]
    waiting = deliveries.lock_waiting(session, ids)
    rounds = deliveries.next_rounds(session, ids)
    found = []
    for item in grown:
        for leg in plans[item.user_id, item.source].legs:
            key = (item.id, leg.channel.value, leg.target_id)
            if key not in waiting:
                found.append((item, leg, rounds.get(key, 0)))
    return found
