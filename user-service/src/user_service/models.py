"""The tables, in schema ``user_service``. Rows that belong to one user stand behind row-level security."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, MetaData, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from saras_common.outbox import add_outbox_table

SCHEMA = "user_service"
DB_ROLE = "user_service"


class Base(DeclarativeBase):
    """This service's own tables."""

    metadata = MetaData(schema=SCHEMA)
    type_annotation_map = {datetime: DateTime(timezone=True), str: Text, bytes: LargeBinary, int: BigInteger}  # noqa: RUF012 - SQLAlchemy reads it


class UserRow(Base):
    """Users; ``email`` is normalised, so unique means unique whatever the spelling."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'disabled')", name="users_status"),
        CheckConstraint("kyc_status IN ('none', 'pending', 'approved', 'rejected')", name="users_kyc_status"),
        CheckConstraint("email = lower(email)", name="users_email_lower"),
        CheckConstraint("roles <@ ARRAY['user', 'admin'] AND cardinality(roles) > 0", name="users_roles"),
        CheckConstraint("version > 0 AND min_version BETWEEN 0 AND version", name="users_version"),
        Index("users_email_key", "email", unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    full_name: Mapped[str]
    phone: Mapped[str | None]
    password_hash: Mapped[str]
    status: Mapped[str]
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    kyc_status: Mapped[str]
    version: Mapped[int]
    min_version: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class SessionRow(Base):
    """Signed-in devices. A row stays after its end until the refresh tokens of its family are worthless."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("sessions_by_user", "user_id", "id"),
        Index("sessions_by_expiry", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    address: Mapped[str]
    agent: Mapped[str]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]


class RefreshTokenRow(Base):
    """Refresh tokens by hash; the token itself is with its holder alone."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index("refresh_tokens_by_session", "session_id"),)

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    issued_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    successor_sealed: Mapped[bytes | None]


class TotpRow(Base):
    """Authenticators. ``last_step`` is the time step of the last code taken: no code is good twice."""

    __tablename__ = "totp"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    secret_sealed: Mapped[bytes]
    enrolled_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int]


class KycRow(Base):
    """Declarations, sealed."""

    __tablename__ = "kyc"
    __table_args__ = (CheckConstraint("status IN ('pending', 'approved', 'rejected')", name="kyc_status"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    status: Mapped[str]
    sealed: Mapped[bytes]
    submitted_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None]
    reason: Mapped[str | None]


class SigningKeyRow(Base):
    """Token signing keys; the private half is sealed, and erased when the key is retired."""

    __tablename__ = "signing_keys"
    __table_args__ = (CheckConstraint("state IN ('active', 'previous', 'retired')", name="signing_keys_state"),)

    kid: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    sealed: Mapped[bytes]
    created_at: Mapped[datetime]
    signs_from: Mapped[datetime]
    replaced_at: Mapped[datetime | None]


class RevocationRow(Base):
    """What the gateway must refuse from now on. ``txid`` orders rows by what a reader can have seen (see the store)."""

    __tablename__ = "revocations"
    __table_args__ = (Index("revocations_by_txid", "txid"), Index("revocations_by_time", "revoked_at"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    txid: Mapped[int] = mapped_column(server_default=text("pg_current_xact_id()::text::bigint"))
    session_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None]
    min_version: Mapped[int | None]
    revoked_at: Mapped[datetime]


class ThrottleRow(Base):
    """Leaky buckets of failed sign-ins."""

    __tablename__ = "throttles"
    __table_args__ = (Index("throttles_by_busy_until", "busy_until"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    busy_until: Mapped[datetime]


class AuditRow(Base):
    """Security events. The service may insert and read, never change."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_user", "user_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[str]
    user_id: Mapped[UUID | None]
    actor_id: Mapped[UUID | None]
    address: Mapped[str]
    request_id: Mapped[str | None]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    seal: Mapped[bytes | None]
    """The row's digest under a key the database does not know: who has only the database can make no such row."""


outbox_table = add_outbox_table(Base.metadata, SCHEMA)
