"""What the use cases work with."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from notification_service.domain.channels import Channel
from saras_common.clock import Clock
from saras_common.db import Database
from saras_common.ids import NewId


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers behind deliveries. ``offered``: channels this installation can send by."""

    offered: Collection[Channel]
    settle: timedelta
    attempts: int
    backoff_s: float
    lease: timedelta
    webhook_give_up: timedelta
    keep: timedelta
    keep_feed: timedelta
    allow_loopback: bool
    webhook_key: bytes


@dataclass(frozen=True, slots=True)
class Context:
    """Tools and rules, made once at the start."""

    database: Database
    clock: Clock
    new_id: NewId
    rules: Rules
