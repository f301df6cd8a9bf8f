"""The tables, in schema ``notification_service``. Rows that belong to one user stand behind row-level security."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, MetaData, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from saras_common.inbox import add_inbox_table

SCHEMA = "notification_service"


class Base(DeclarativeBase):
    """This service's own tables."""

    metadata = MetaData(schema=SCHEMA)
    type_annotation_map = {datetime: DateTime(timezone=True), str: Text, int: BigInteger}  # noqa: RUF012 - SQLAlchemy reads it


class PersonRow(Base):
    """Users as user-service last told of them: where their mail goes, who is an administrator."""

    __tablename__ = "people"
    __table_args__ = (Index("people_admins", "user_id", postgresql_where=text("'admin' = ANY (roles)")),)

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    email: Mapped[str]
    full_name: Mapped[str]
    status: Mapped[str]
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    kyc_status: Mapped[str]


class PreferencesRow(Base):
    """What a user changed from the defaults. Minutes count from midnight in the user's time zone."""

    __tablename__ = "preferences"
    __table_args__ = (
        CheckConstraint("language IN ('en', 'hi')", name="preferences_language"),
        CheckConstraint("(quiet_from IS NULL) = (quiet_to IS NULL)", name="preferences_quiet"),
    )

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    language: Mapped[str]
    time_zone: Mapped[str]
    quiet_from: Mapped[int | None]
    quiet_to: Mapped[int | None]
    digest_at: Mapped[int]
    contacts: Mapped[dict[str, str]] = mapped_column(JSONB)
    choices: Mapped[dict[str, dict[str, str]]] = mapped_column(JSONB)
    updated_at: Mapped[datetime]


class NotificationRow(Base):
    """One thing a user is told: facts, put into words when read or sent. ``source`` keeps it one."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index("notifications_source_key", "user_id", "source", unique=True),
        Index("notifications_inbox", "user_id", "id", postgresql_where=text("in_app")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    kind: Mapped[str]
    source: Mapped[str]
    count: Mapped[int]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    in_app: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    read_at: Mapped[datetime | None]


class DeliveryRow(Base):
    """One message to one place. ``id`` is the key receivers de-duplicate by; ``target_id`` a webhook or the user.

    ``round``: a notification that grew after it was sent is sent once more. ``next_at`` is when anybody may take it:
    for SENDING the end of the sender's lease, for HELD the digest.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint(
            "state IN ('PENDING', 'QUEUED', 'SENDING', 'SENT', 'FAILED', 'HELD', 'DIGESTED')", name="deliveries_state"
        ),
        Index("deliveries_once", "notification_id", "channel", "target_id", "round", unique=True),
        Index("deliveries_due", "next_at", postgresql_where=text("state IN ('PENDING', 'QUEUED', 'SENDING')")),
        Index("deliveries_held", "next_at", postgresql_where=text("state = 'HELD'")),
        Index(
            "deliveries_open_by_webhook",
            "target_id",
            postgresql_where=text("channel = 'webhook' AND state IN ('PENDING', 'QUEUED')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    notification_id: Mapped[UUID] = mapped_column(ForeignKey("notifications.id", ondelete="CASCADE"))
    user_id: Mapped[UUID]
    channel: Mapped[str]
    target_id: Mapped[UUID]
    round: Mapped[int]
    state: Mapped[str]
    attempts: Mapped[int]
    next_at: Mapped[datetime]
    answer: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class WebhookRow(Base):
    """Where a user's own program listens. Its secret is derived from the service's key, not stored."""

    __tablename__ = "webhooks"
    __table_args__ = (
        CheckConstraint("state IN ('active', 'disabled')", name="webhooks_state"),
        Index("webhooks_by_user", "user_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    url: Mapped[str]
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))
    state: Mapped[str]
    failing_since: Mapped[datetime | None]
    reason: Mapped[str | None]
    created_at: Mapped[datetime]


class AlertRow(Base):
    """A price a user waits for; told once. ``peak_paise`` is the highest since it was set, for drawdowns."""

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint("condition IN ('above', 'below', 'drawdown')", name="alerts_condition"),
        CheckConstraint(
            "(condition = 'drawdown') = (fall_bp IS NOT NULL) AND (condition = 'drawdown') = (price_paise IS NULL)",
            name="alerts_threshold",
        ),
        Index("alerts_by_user", "user_id", "id"),
        Index("alerts_watching", "instrument", postgresql_where=text("fired_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    instrument: Mapped[str]
    condition: Mapped[str]
    price_paise: Mapped[int | None]
    fall_bp: Mapped[int | None]
    peak_paise: Mapped[int | None]
    created_at: Mapped[datetime]
    fired_at: Mapped[datetime | None]
    fired_paise: Mapped[int | None]


class LeaseRow(Base):
    """Who alone does a job until when, by the database's clock."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[UUID]
    until: Mapped[datetime]


class FeedRow(Base):
    """What live streams tell, kept some days. Positions follow the order of commits: see `store.feed`."""

    __tablename__ = "feed"
    __table_args__ = (Index("feed_by_user", "user_id", "position"),)

    position: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    user_id: Mapped[UUID]
    kind: Mapped[str]
    at: Mapped[datetime]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)


class FeedFloorRow(Base):
    """One row: the last position of the feed that was forgotten."""

    __tablename__ = "feed_floor"
    __table_args__ = (CheckConstraint("one", name="feed_floor_one"),)

    one: Mapped[bool] = mapped_column(primary_key=True)
    position: Mapped[int]


inbox_table, parked_table = add_inbox_table(Base.metadata, SCHEMA)
