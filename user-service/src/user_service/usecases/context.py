"""What every use case works with, and the two traces it leaves: an audit row and an event."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from saras_common.auth import TokenSigner
from saras_common.clock import Clock
from saras_common.db import Database
from saras_common.events import UserChanged
from saras_common.ids import NewId
from saras_common.logs import request_id_var
from saras_common.outbox import Outbox
from user_service.domain.people import User
from user_service.passwords import PasswordHasher
from user_service.store.audit import add_audit
from user_service.vault import Vault


@dataclass(frozen=True, slots=True)
class Rules:
    """Durations and limits, as the settings give them."""

    access_ttl_s: int
    session_ttl: timedelta
    signing_key_max_age: timedelta
    account_burst: int
    address_burst: int
    global_burst: int
    is_sandbox: bool


@dataclass(frozen=True, slots=True)
class Context:
    """The tools of this service, wired once in ``app``."""

    database: Database
    outbox: Outbox
    hasher: PasswordHasher
    common_passwords: frozenset[str]
    vault: Vault
    signer: TokenSigner
    rules: Rules
    clock: Clock
    new_id: NewId


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from: the client's address as the gateway saw it, and its program."""

    address: str
    agent: str


NOWHERE = Origin("", "")
"""The origin of what the platform does by itself."""


def record(
    ctx: Context,
    session: Session,
    kind: str,
    *,
    user_id: UUID | None,
    actor_id: UUID | None = None,
    origin: Origin = NOWHERE,
    **detail: Any,
) -> None:
    """Leave an audit row; ``actor_id`` is the user itself unless somebody else acted."""
    add_audit(
        session,
        audit_id=ctx.new_id(),
        at=ctx.clock.now(),
        kind=kind,
        user_id=user_id,
        actor_id=actor_id or user_id,
        address=origin.address,
        request_id=request_id_var.get(),
        detail=detail,
        seal=ctx.vault.vouch,
    )


def announce(ctx: Context, session: Session, *users: User) -> None:
    """Tell the other services how these users stand now."""
    at, request_id = ctx.clock.now(), request_id_var.get()
    ctx.outbox.add(session, [_changed(user, at, request_id) for user in users])


def _changed(user: User, at: Any, request_id: str | None) -> UserChanged:
    return UserChanged(
        at=at,
        request_id=request_id,
        user_id=user.id,
        version=user.version,
        email=user.email,
        full_name=user.full_name,
        status=user.status.value,
        roles=sorted(user.roles),
        kyc_status=user.kyc_status.value,
    )
