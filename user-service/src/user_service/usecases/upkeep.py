"""What has to be done from time to time."""

from datetime import timedelta

from user_service.store import revocations, sessions, throttles
from user_service.usecases.context import Context
from user_service.usecases.keys import rotate_keys
from user_service.usecases.revoking import KEEP

_SESSIONS_AT_ONCE = 1000
_KEEP_SESSIONS = timedelta(days=1)


def tidy(ctx: Context) -> None:
    """Replace an old signing key; forget what is over. Several small transactions: none of them needs another."""
    now = ctx.clock.now()
    rotate_keys(ctx.database, ctx.vault, ctx.clock, max_age=ctx.rules.signing_key_max_age)
    with ctx.database.for_service() as session:
        throttles.delete_idle_throttles(session, now)
    with ctx.database.for_service() as session:
        revocations.delete_revocations(session, before=now - KEEP)
    while True:
        with ctx.database.for_service() as session:
            gone = sessions.delete_sessions(session, over_before=now - _KEEP_SESSIONS, limit=_SESSIONS_AT_ONCE)
        if gone < _SESSIONS_AT_ONCE:
            return
