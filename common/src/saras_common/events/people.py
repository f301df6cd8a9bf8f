"""People: who they are and when they come in."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from saras_common.events.base import Event


class UserChanged(Event):
    """A user was registered, or its status, roles or KYC changed; carries the state after the change."""

    type: ClassVar[str] = "user.changed.v1"

    user_id: UUID
    version: int = Field(description="Grows with each change of this user; an older one is ignored.")
    email: str
    full_name: str
    status: Literal["active", "disabled"]
    roles: list[str]
    kyc_status: Literal["none", "pending", "approved", "rejected"]


class UserLoggedIn(Event):
    """Somebody signed in."""

    type: ClassVar[str] = "user.logged_in.v1"

    user_id: UUID
    session_id: UUID
    new_device: bool
    address: str
    agent: str
