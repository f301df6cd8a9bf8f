"""Deliveries sent: taken in one transaction, sent in none, recorded in another."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from notification_service.domain.channels import Channel
from notification_service.domain.deliveries import TRANSITIONS, Delivery, Letter, Outcome, State, backoff_s
from notification_service.domain.facts import digest_figures
from notification_service.domain.kinds import Kind
from notification_service.domain.preferences import STANDARD, Preferences
from notification_service.domain.views import Notification
from notification_service.store import deliveries, notifications, people, preferences, webhooks
from notification_service.usecases.context import Context
from notification_service.usecases.webhooks import note_webhook
from notification_service.words import Words, words_of, words_of_digest

Send = Callable[[Letter, Words], Outcome]
"""One try by one channel. Raises nothing that could be expected."""


@dataclass(frozen=True, slots=True)
class PostRoom:
    """The ways out of the house, a count of what became of each try, and the randomness of retries."""

    senders: Mapping[Channel, Send]
    count: Callable[[Channel, State], None]
    rng: random.Random = field(default_factory=random.Random)


def claim_due(context: Context, limit: int) -> list[Delivery]:
    """Take what is due."""
    with context.database.for_service() as session:
        return deliveries.claim_due(session, context.clock.now(), context.rules.lease, limit)


def claim_one(context: Context, delivery_id: UUID) -> Delivery | None:
    """Take this one, when it may be taken."""
    with context.database.for_service() as session:
        return deliveries.claim_one(session, delivery_id, context.clock.now(), context.rules.lease)


def queue_due(context: Context, room: int, lease: timedelta) -> list[UUID]:
    """Deliveries to hand to the task queue, so that no more than ``room`` are handed over and not yet begun."""
    with context.database.for_service() as session:
        now = context.clock.now()
        free = room - deliveries.count_queued(session, now)
        return deliveries.queue_due(session, now, lease, free) if free > 0 else []


def release(context: Context, delivery_ids: Sequence[UUID]) -> None:
    """Take back what the task queue would not have."""
    with context.database.for_service() as session:
        deliveries.release(session, delivery_ids, context.clock.now())


def deliver(context: Context, post_room: PostRoom, delivery: Delivery) -> State | None:
    """Send what was taken and record what came of it; the new state, ``None`` when it is in other hands by now."""
    ready = _prepare(context, delivery)
    if isinstance(ready, Outcome):
        return _record(context, post_room, delivery, ready, lambda at: at)
    letter, words = ready
    outcome = post_room.senders.get(delivery.channel, _not_set_up)(letter, words)
    return _record(context, post_room, delivery, outcome, letter.may_leave_at)


def _not_set_up(_letter: Letter, _words: Words) -> Outcome:
    return Outcome(sent=False, answer="this channel is not set up", permanent=True)


def _prepare(context: Context, delivery: Delivery) -> tuple[Letter, Words] | Outcome:
    """The letter and its words, or why there is none."""
    with context.database.for_users(delivery.user_id) as session:
        found = notifications.list_some(session, [delivery.notification_id])
        person = people.find_people(session, [delivery.user_id]).get(delivery.user_id)
        chosen = preferences.find_preferences(session, [delivery.user_id]).get(delivery.user_id, STANDARD)
        address = _address(session, delivery, chosen, None if person is None else person.email)
        if isinstance(address, Outcome):
            return address
        (notification,) = found
        words = _words(session, notification, chosen.language)
    letter = Letter(
        delivery=delivery,
        kind=notification.kind,
        count=notification.count,
        data=notification.data,
        created_at=notification.created_at,
        preferences=chosen,
        full_name="" if person is None else person.full_name,
        address=address,
    )
    return letter, words


def _address(session: Session, delivery: Delivery, chosen: Preferences, email: str | None) -> str | Outcome:
    if delivery.channel is Channel.EMAIL:
        return email or Outcome(sent=False, answer="no address known yet")
    if delivery.channel is Channel.WEBHOOK:
        webhook = webhooks.find(session, [delivery.target_id]).get(delivery.target_id)
        if webhook is None or webhook.status != "active":
            return Outcome(sent=False, answer="the webhook is gone or disabled", permanent=True)
        return webhook.url
    address = chosen.contacts.get(delivery.channel)
    return address or Outcome(sent=False, answer="the address was removed", permanent=True)


def _words(session: Session, notification: Notification, language: str) -> Words:
    if notification.kind is not Kind.DIGEST:
        return words_of(notification.kind, notification.data, language)
    parts = notifications.list_some(session, [UUID(text) for text in notification.data["parts"]])
    told = [words_of(part.kind, part.data, language) for part in parts]
    return words_of_digest(digest_figures([{"title": one.title, "body": one.body} for one in told]), language)


def _record(
    context: Context,
    post_room: PostRoom,
    delivery: Delivery,
    outcome: Outcome,
    may_leave_at: Callable[[datetime], datetime],
) -> State | None:
    now = context.clock.now()
    if outcome.sent:
        state = State.SENT
    elif outcome.permanent or delivery.attempts >= context.rules.attempts:
        state = State.FAILED
    else:
        state = State.PENDING
    assert state in TRANSITIONS[State.SENDING]  # noqa: S101 - the table of what may follow
    pause = timedelta(seconds=backoff_s(delivery.attempts, context.rules.backoff_s, post_room.rng))
    next_at = may_leave_at(now + pause) if state is State.PENDING else now
    with context.database.for_service() as session:
        is_ours = deliveries.record(session, delivery, state=state, next_at=next_at, answer=outcome.answer, now=now)
        if is_ours and delivery.channel is Channel.WEBHOOK:
            note_webhook(context, session, delivery.target_id, failed=None if outcome.sent else outcome.answer)
    if not is_ours:
        return None
    post_room.count(delivery.channel, state)
    return state
