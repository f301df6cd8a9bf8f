"""The life of a signing key: published, then signing, then only verifying, then gone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

PUBLISH_LEAD = timedelta(seconds=30)
"""A new key is published this long before it signs, so that every verifier knows it by then."""

VERIFY_TAIL = timedelta(hours=2)
"""A replaced key stays published this long: longer than any token signed with it."""


class KeyState(StrEnum):
    """Active signs; previous verifies; retired does neither and its private half is erased."""

    ACTIVE = "active"
    PREVIOUS = "previous"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key as stored, its private half sealed."""

    kid: str
    state: KeyState
    sealed: bytes
    signs_from: datetime
    replaced_at: datetime | None

    def is_over(self, now: datetime) -> bool:
        """Whether nothing signed with it can still be alive."""
        return self.replaced_at is not None and now - self.replaced_at > VERIFY_TAIL


def published(keys: Sequence[StoredKey], now: datetime) -> list[StoredKey]:
    """The keys verifiers should know, newest first."""
    known = [key for key in keys if key.state is not KeyState.RETIRED and not key.is_over(now)]
    return sorted(known, key=lambda key: key.signs_from, reverse=True)


def signing(keys: Sequence[StoredKey], now: datetime) -> StoredKey | None:
    """The key to sign with: the newest whose time has come."""
    return next((key for key in published(keys, now) if key.signs_from <= now), None)


def is_due(keys: Sequence[StoredKey], now: datetime, max_age: timedelta) -> bool:
    """Whether it is time for a new key."""
    newest = next(iter(published(keys, now)), None)
    return newest is None or now - newest.signs_from > max_age
