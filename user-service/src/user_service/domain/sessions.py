"""Sessions and the rotation of their refresh tokens.

A session is a family of refresh tokens, each the successor of the one before. A token is good once. Shown again
within the grace it gives the same successor (two tabs, a lost answer); shown later it is taken for stolen and ends the
session.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

REFRESH_GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class LoginSession:
    """One signed-in device."""

    id: UUID
    user_id: UUID
    address: str
    agent: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    ended_at: datetime | None

    def is_live(self, now: datetime) -> bool:
        """Whether it still signs access tokens."""
        return self.ended_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token as stored: its hash, and once used its successor, sealed under itself."""

    token_hash: bytes
    session_id: UUID
    used_at: datetime | None
    successor_sealed: bytes | None


class Refresh(StrEnum):
    """What to do with a refresh token that was shown."""

    ROTATE = "rotate"
    REPEAT = "repeat"
    REVOKE = "revoke"
    REFUSE = "refuse"


def decide_refresh(token: RefreshToken, session: LoginSession, now: datetime) -> Refresh:
    """The rotation rule."""
    if not session.is_live(now):
        return Refresh.REFUSE
    if token.used_at is None:
        return Refresh.ROTATE
    if now - token.used_at <= REFRESH_GRACE:
        return Refresh.REPEAT
    return Refresh.REVOKE
