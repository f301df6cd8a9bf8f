"""What waited for the day's digest goes out as one message."""

from datetime import datetime
from itertools import groupby
from uuid import UUID

from sqlalchemy.orm import Session

from notification_service.domain.channels import Channel
from notification_service.domain.deliveries import State
from notification_service.domain.kinds import Kind
from notification_service.domain.planning import Leg
from notification_service.store import deliveries, notifications
from notification_service.store.notifications import Told
from notification_service.usecases.context import Context

PART = 5000


def gather_digests(context: Context) -> int:
    """One digest for each user and channel whose hour has come; how many.

    One transaction a part: a crash leaves the rest held, and it goes out with the next look.
    """
    with context.database.for_service() as session:
        now = context.clock.now()
        held = deliveries.lock_held(session, now, PART)
        made = 0
        for (user_id, channel), rows in groupby(held, key=lambda row: (row.user_id, row.channel)):
            _gather(context, session, user_id, Channel(channel), list(rows), now)
            made += 1
        return made


def _gather(
    context: Context, session: Session, user_id: UUID, channel: Channel, rows: list[deliveries.Held], now: datetime
) -> None:
    digest_id = context.new_id()
    parts = list(dict.fromkeys(str(row.notification_id) for row in rows))
    digest = Told(
        digest_id, user_id, Kind.DIGEST, f"digest:{channel}:{digest_id}", len(parts), {"parts": parts}, in_app=False
    )
    notifications.add(session, [digest], now)
    leg = Leg(channel, user_id, State.PENDING, now)
    deliveries.add(session, [(context.new_id(), digest_id, user_id, leg, 0)], now)
    deliveries.mark_digested(session, [row.id for row in rows], digest_id, now)
