"""Where a message goes, by the user's wishes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from notification_service.domain.channels import CONTACT_SHAPES, Channel
from notification_service.domain.deliveries import State
from notification_service.domain.kinds import PERSONAL, Kind, Mode
from notification_service.domain.preferences import STANDARD, Preferences


@dataclass(frozen=True, slots=True)
class Hook:
    """An active webhook; no kinds are all kinds."""

    id: UUID
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a message is for."""

    user_id: UUID
    preferences: Preferences = STANDARD
    hooks: Sequence[Hook] = ()


@dataclass(frozen=True, slots=True)
class Leg:
    """One delivery to be made. ``state`` is pending, or held for the digest."""

    channel: Channel
    target_id: UUID
    state: State
    next_at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """Whether it shows in the inbox, and what leaves the house."""

    in_app: bool
    legs: Sequence[Leg]


def plan(reader: Reader, kind: Kind, offered: Collection[Channel], now: datetime, settle: timedelta) -> Plan:
    """What becomes of a message of ``kind`` for ``reader``."""
    ready = now + settle if kind.comes_in_bursts else now
    legs = [leg for channel in PERSONAL if channel in offered for leg in _personal(reader, kind, channel, ready)]
    if Channel.WEBHOOK in offered and _wanted(reader, kind, Channel.WEBHOOK):
        legs += [
            Leg(Channel.WEBHOOK, hook.id, State.PENDING, ready)
            for hook in reader.hooks
            if not hook.kinds or kind in hook.kinds
        ]
    return Plan(_wanted(reader, kind, Channel.IN_APP), legs)


def _personal(reader: Reader, kind: Kind, channel: Channel, ready: datetime) -> list[Leg]:
    mode = reader.preferences.mode(kind, channel)
    if mode is Mode.OFF or (channel in CONTACT_SHAPES and channel not in reader.preferences.contacts):
        return []
    if mode is Mode.DIGEST:
        return [Leg(channel, reader.user_id, State.HELD, reader.preferences.digest_after(ready))]
    return [Leg(channel, reader.user_id, State.PENDING, reader.preferences.allowed_at(kind, ready))]


def _wanted(reader: Reader, kind: Kind, channel: Channel) -> bool:
    return kind is not Kind.DIGEST and reader.preferences.mode(kind, channel) is not Mode.OFF
