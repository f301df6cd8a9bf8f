"""A user as this service needs one."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Person:
    """``version`` grows with every change in user-service; an older one is ignored."""

    user_id: UUID
    version: int
    email: str
    full_name: str
    is_active: bool
    is_admin: bool
    kyc_status: str
