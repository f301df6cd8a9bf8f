"""What the gateway asks four times a second: whose tokens are worthless."""

from datetime import timedelta

from user_service.store import revocations
from user_service.store.revocations import Revocations
from user_service.usecases.context import Context

KEEP = timedelta(hours=2)
"""Longer than any access token lives."""


def list_revocations(ctx: Context, since: int | None) -> Revocations:
    """Everything revoked since ``since``, with some overlap; all that still matters when it is ``None``."""
    with ctx.database.for_service() as session:
        return revocations.list_revocations(session, since, not_before=ctx.clock.now() - KEEP)
