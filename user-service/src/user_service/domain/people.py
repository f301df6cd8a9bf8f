"""A user and its states."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

MAX_EMAIL_CHARS = 254
_EMAIL = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]"
)
_PHONE = re.compile(r"\+?[0-9]{8,15}")


class UserStatus(StrEnum):
    """Whether a user may sign in."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Role(StrEnum):
    """What a user may do beyond its own things."""

    USER = "user"
    ADMIN = "admin"


class KycStatus(StrEnum):
    """Where a user stands with the proof of who it is."""

    NONE = "none"
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


KYC_TRANSITIONS: dict[KycStatus, frozenset[KycStatus]] = {
    KycStatus.NONE: frozenset({KycStatus.PENDING}),
    KycStatus.PENDING: frozenset({KycStatus.PENDING, KycStatus.APPROVED, KycStatus.REJECTED}),
    KycStatus.REJECTED: frozenset({KycStatus.PENDING}),
    KycStatus.APPROVED: frozenset({KycStatus.PENDING}),
}
"""New details, even of an approved user, are looked at again."""


@dataclass(frozen=True, slots=True)
class User:
    """A person with a login.

    ``version`` grows with every change. Access tokens carry the version they were signed at; one below
    ``min_version`` is revoked.
    """

    id: UUID
    email: str
    full_name: str
    phone: str | None
    password_hash: str
    status: UserStatus
    roles: frozenset[str]
    kyc_status: KycStatus
    version: int
    min_version: int
    created_at: datetime
    updated_at: datetime

    def __repr__(self) -> str:
        return f"User(id={self.id}, version={self.version})"


def normalised_email(text: str) -> str:
    """The one spelling under which an address is stored and compared; ``ValueError`` when it is not an address."""
    email = text.strip().lower()
    if len(email) > MAX_EMAIL_CHARS or not _EMAIL.fullmatch(email) or ".." in email:
        raise ValueError("not an email address")
    return email


def normalised_phone(text: str) -> str:
    """Digits with an optional plus in front; ``ValueError`` when it is not a phone number."""
    phone = re.sub(r"[ ()-]", "", text)
    if not _PHONE.fullmatch(phone):
        raise ValueError("not a phone number")
    return phone
