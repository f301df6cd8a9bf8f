"""What user-service tells of people."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from notification_service.domain.people import Person
from notification_service.store import people
from saras_common.events import UserChanged


def change_people(session: Session, events: Sequence[UserChanged]) -> list[UserChanged]:
    """Keep the newest state of each user; the events whose KYC status was not the stored one."""
    newest: dict[UUID, UserChanged] = {}
    for event in events:
        if event.user_id not in newest or event.version > newest[event.user_id].version:
            newest[event.user_id] = event
    known = people.lock_people(session, newest)
    fresh = [
        event for event in newest.values() if event.user_id not in known or event.version > known[event.user_id].version
    ]
    people.save_people(session, fresh)
    return [event for event in fresh if event.kyc_status != _kyc(known.get(event.user_id))]


def _version(person: Person | None) -> int:
    return 0 if person is None else person.version


def _kyc(person: Person | None) -> str:
    return "none" if person is None else person.kyc_status
