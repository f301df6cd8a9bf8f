"""Baskets hold no more than their users: who sold on their own is asked about, and what is gone leaves the baskets.

A basket learns of its user's own sales by the book's events. Until one has arrived the basket claims shares that are
gone; it still cannot sell them, because the book refuses sells of more than there is and the run is cut to that.
"""

from datetime import timedelta
from uuid import UUID

from saras_common.errors import Unavailable
from smallcase_service.store import checks, investments
from smallcase_service.usecases.context import Context

AT_ONCE = 500
"""Users asked about in one round."""

PATIENCE = timedelta(seconds=5)
"""Who was asked about while a run was buying is left alone so long."""


def check_holdings(ctx: Context) -> int:
    """Ask the book about every user who is to be; how many were. The book not answering ends the round."""
    with ctx.database.for_service() as session:
        suspects = checks.list_due(session, ctx.clock.now() - PATIENCE, AT_ONCE)
    for number, user_id in enumerate(suspects):
        if not check_user(ctx, user_id):
            return number
    return len(suspects)


def check_user(ctx: Context, user_id: UUID) -> bool:
    """Take what the user holds no more out of the user's baskets, if that is in doubt; whether all is known now.

    Not while sells of a basket are on their way: what they bring is told by their own events. While buys are, the
    book may know of more shares than the baskets do: the user is asked about again.
    """
    with ctx.database.for_users(user_id) as session:
        asked_at = ctx.clock.now()
        if not checks.ask(session, user_id, asked_at):
            return True
    try:
        held = ctx.book.held_shares(user_id)
    except Unavailable:
        return False
    with ctx.database.for_users(user_id) as session:
        investments.trim(session, user_id, checks.list_asked(session, user_id, asked_at), held)
        checks.clear(session, user_id, asked_at)
    return True
