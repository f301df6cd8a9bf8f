"""What this service does: its table of contents. Each use case is one transaction, unless it says why it is more."""

from user_service.usecases.administration import change_user, list_users
from user_service.usecases.context import Context, Origin
from user_service.usecases.declarations import decide_kyc, get_kyc, submit_kyc
from user_service.usecases.keys import KeyRing, rotate_keys
from user_service.usecases.own_account import change_password, change_profile, get_user, list_sessions
from user_service.usecases.registration import ensure_admin, register
from user_service.usecases.revoking import list_revocations
from user_service.usecases.seeding import open_sessions, seed_users
from user_service.usecases.sessions import TokenPair, end_session, refresh
from user_service.usecases.signing_in import login
from user_service.usecases.two_step import confirm_totp, disable_totp, enroll_totp
from user_service.usecases.upkeep import tidy

__all__ = [
    "Context",
    "KeyRing",
    "Origin",
    "TokenPair",
    "change_password",
    "change_profile",
    "change_user",
    "confirm_totp",
    "decide_kyc",
    "disable_totp",
    "end_session",
    "enroll_totp",
    "ensure_admin",
    "get_kyc",
    "get_user",
    "list_revocations",
    "list_sessions",
    "list_users",
    "login",
    "open_sessions",
    "refresh",
    "register",
    "rotate_keys",
    "seed_users",
    "submit_kyc",
    "tidy",
]
