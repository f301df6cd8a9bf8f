"""What the edges show."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from notification_service.domain.kinds import Kind


@dataclass(frozen=True, slots=True)
class Notification:
    """A row of the inbox, still facts."""

    id: UUID
    user_id: UUID
    kind: Kind
    count: int
    data: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """How one message fares on one channel."""

    id: UUID
    channel: str
    status: str
    attempts: int
    answer: str | None
    next_at: datetime | None
    created_at: datetime
    updated_at: datetime
