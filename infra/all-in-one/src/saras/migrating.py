"""`saras migrate`: the roles and schemas of every service, on a server that somebody else runs.

Clusters run it before new code starts. Running it again changes nothing but passwords; processes that start together
wait for one another.
"""

from rich.console import Console

from saras.errors import CannotStart
from saras.fleet import PACKAGES
from saras.schemas import BUS, prepare_database
from saras.settings import PlatformSettings
from saras_common.db import translated
from saras_common.errors import Unavailable


def migrate_all(settings: PlatformSettings, console: Console) -> int:
    """0 when every schema is at its head. `CannotStart` when the server is not there or a password is missing."""
    if settings.database_url is None:
        raise CannotStart("set DATABASE_URL to the server, with a login that may create roles and schemas")
    passwords = _passwords(settings)
    try:
        with translated():
            prepare_database(settings.database_url.get_secret_value(), passwords, PACKAGES)
    except Unavailable as error:
        raise CannotStart(f"the database cannot be prepared now: {error}") from error
    console.print(f"Schemas at their heads: {', '.join(passwords)}")
    return 0


def _passwords(settings: PlatformSettings) -> dict[str, str]:
    text = settings.role_passwords.get_secret_value() if settings.role_passwords else ""
    given = dict(pair.strip().split(":", 1) for pair in text.split(",") if ":" in pair)
    roles = (*PACKAGES, BUS)
    missing = [role for role in roles if not given.get(role)]
    if missing:
        raise CannotStart(f"SARAS_ROLE_PASSWORDS lacks {', '.join(missing)}; it is written role:password, …")
    return {role: given[role] for role in roles}
