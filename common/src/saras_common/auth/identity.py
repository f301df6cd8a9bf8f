"""The caller as every service sees it."""

from dataclasses import dataclass
from uuid import UUID

NOBODY = UUID(int=0)
"""The user and session of a caller that is not a person."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a verified token speaks for.

    ``version`` is the user's at the time of signing: a token below the user's ``min_version`` is revoked.
    ``expires_at`` is in unix seconds. Roles are ``user`` and ``admin`` for people, ``anonymous`` for a request that
    came through the gateway without signing in, ``service`` for another process of the platform.
    """

    user_id: UUID
    session_id: UUID
    roles: frozenset[str]
    version: int
    expires_at: float

    @property
    def is_user(self) -> bool:
        """A signed-in person."""
        return self.user_id != NOBODY and not self.roles.isdisjoint(("user", "admin"))

    @property
    def is_admin(self) -> bool:
        """A signed-in person with the admin role."""
        return self.user_id != NOBODY and "admin" in self.roles

    @property
    def is_service(self) -> bool:
        """Another process of the platform."""
        return "service" in self.roles


def anonymous(expires_at: float) -> Identity:
    """A caller without a login, as the gateway vouches for it."""
    return Identity(NOBODY, NOBODY, frozenset({"anonymous"}), 0, expires_at)


def service(expires_at: float) -> Identity:
    """A process of the platform calling another."""
    return Identity(NOBODY, NOBODY, frozenset({"service"}), 0, expires_at)
