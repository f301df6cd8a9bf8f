"""The HTTP bodies of this service."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, StringConstraints, model_validator

from saras_common.schemas import Answer, Strict, Text
from user_service.domain import kyc, passwords, people

Email = Annotated[str, Field(max_length=320, examples=["asha@example.com"]), AfterValidator(people.normalised_email)]
Phone = Annotated[str, Field(max_length=32, examples=["+919812345678"]), AfterValidator(people.normalised_phone)]
Password = Annotated[str, Field(min_length=1, max_length=passwords.MAX_CHARS)]
"""Capped before it is hashed; what else is asked of a new one is the use case's to say."""
TotpCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
OpaqueId = Annotated[str, Field(max_length=64)]

MAX_SEEDED = 1_000


def _iso_date(value: Any) -> date:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("must be a date, YYYY-MM-DD")
    return date.fromisoformat(value)


class Registration(Strict):
    email: Email
    password: Password
    full_name: Text
    phone: Phone | None = None


class Login(Strict):
    email: Annotated[str, Field(max_length=320)]
    password: Password
    totp_code: TotpCode | None = None


class RefreshRequest(Strict):
    refresh_token: Annotated[str, Field(max_length=512)]


class TokenPairAnswer(Answer):
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a kind of token, not one
    expires_in: Annotated[int, Field(description="Seconds the access token is good for")]


class UserAnswer(Answer):
    id: UUID
    email: str
    full_name: str
    phone: str | None
    roles: list[str]
    status: people.UserStatus
    kyc_status: people.KycStatus
    created_at: datetime

    @classmethod
    def of(cls, user: people.User) -> Self:
        """The part of ``user`` that is shown."""
        shown: dict[str, Any] = {name: getattr(user, name) for name in cls.model_fields}
        return cls(**{**shown, "roles": sorted(user.roles)})


class ProfileChange(Strict):
    """At least one field; ``phone: null`` removes it."""

    full_name: Text | None = None
    phone: Phone | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("nothing to change")
        if "full_name" in self.model_fields_set and self.full_name is None:
            raise ValueError("full_name cannot be removed")
        return self


class PasswordChange(Strict):
    current_password: Password
    new_password: Password


class TotpCodeRequest(Strict):
    code: TotpCode = Field(validation_alias=AliasChoices("code", "totp_code"))


class EnrolmentAnswer(Answer):
    """Shown once; ``otpauth_uri`` is what authenticators read from a QR code."""

    secret: str
    otpauth_uri: str


class SessionAnswer(Answer):
    id: UUID
    address: str
    agent: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    current: bool


class KycDeclaration(Strict):
    pan: Annotated[str, Field(max_length=32, examples=["ABCPE1234F"]), AfterValidator(kyc.normalised_pan)]
    date_of_birth: Annotated[date, BeforeValidator(_iso_date), Field(examples=["1990-05-17"])]
    address: Annotated[str, StringConstraints(strip_whitespace=True, min_length=5, max_length=500)]
    bank_account: Annotated[
        str, Field(max_length=32, examples=["001234567890"]), AfterValidator(kyc.normalised_bank_account)
    ]
    ifsc: Annotated[str, Field(max_length=32, examples=["HDFC0000123"]), AfterValidator(kyc.normalised_ifsc)]


class KycAnswer(Answer):
    """A declaration, masked."""

    status: people.KycStatus
    pan: str | None = None
    date_of_birth: str | None = None
    address: str | None = None
    bank_account: str | None = None
    ifsc: str | None = None
    submitted_at: datetime | None = None
    decided_at: datetime | None = None
    reason: str | None = None

    @classmethod
    def of(cls, stored: kyc.KycRecord, details: kyc.KycDetails) -> Self:
        """The little of ``details`` that is shown."""
        return cls(
            status=stored.status,
            pan=kyc.masked(details.pan),
            date_of_birth=f"{details.date_of_birth.year:04d}-XX-XX",
            address=kyc.masked_address(details.address),
            bank_account=kyc.masked(details.bank_account),
            ifsc=details.ifsc,
            submitted_at=stored.submitted_at,
            decided_at=stored.decided_at,
            reason=stored.reason,
        )


class UserChange(Strict):
    status: Annotated[people.UserStatus, Field(strict=False)] | None = None
    roles: Annotated[list[Annotated[people.Role, Field(strict=False)]], Field(min_length=1, max_length=2)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.status is None and self.roles is None:
            raise ValueError("nothing to change")
        if self.roles is not None and len(set(self.roles)) != len(self.roles):
            raise ValueError("a role stands twice")
        return self


class KycRejection(Strict):
    reason: Text


class SeedUser(Strict):
    email: Email
    full_name: Text


class SeedUsers(Strict):
    users: Annotated[list[SeedUser], Field(min_length=1, max_length=MAX_SEEDED)]
    password: Password
    kyc_approved: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len({user.email for user in self.users}) != len(self.users):
            raise ValueError("an email address stands twice")
        return self


class SeededUser(Answer):
    id: UUID
    email: str


class SeedSessions(Strict):
    user_ids: Annotated[list[Annotated[UUID, Field(strict=False)]], Field(min_length=1, max_length=MAX_SEEDED)]


class SeededSession(Answer):
    user_id: UUID
    session_id: UUID
    access_token: str


class Seeded(Answer):
    """What was asked for, in one list."""

    items: list[SeededUser] | list[SeededSession]


class UserRevocation(Answer):
    user_id: UUID
    min_version: int


class RevocationsAnswer(Answer):
    """Refuse tokens of these sessions, and of these users below the version; ask again from ``cursor``."""

    cursor: str
    sessions: list[UUID]
    users: list[UserRevocation]
