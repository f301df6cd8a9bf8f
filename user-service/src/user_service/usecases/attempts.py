"""Attempts at a password or a code: counted before they are judged, forgiven when they succeed."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from user_service.domain.refusals import LoginThrottled
from user_service.domain.throttle import Limit, login_limits
from user_service.store import throttles
from user_service.usecases.context import Context, Origin


def limits_of(ctx: Context, email: str, origin: Origin) -> list[Limit]:
    """The buckets of an attempt on ``email``, whether or not there is such a user."""
    rules = ctx.rules
    return login_limits(
        email,
        origin.address,
        account_burst=rules.account_burst,
        address_burst=rules.address_burst,
        global_burst=rules.global_burst,
    )


@contextmanager
def counted(ctx: Context, limits: list[Limit]) -> Iterator[Session]:
    """A transaction that takes a slot of each bucket; `LoginThrottled` when one is full."""
    with ctx.database.for_service() as session:
        wait_s = throttles.take_slots(session, limits, ctx.clock.now())
        if wait_s > 0:
            raise LoginThrottled(retry_after_s=math.ceil(wait_s))
        yield session


def forgive(session: Session, limits: list[Limit]) -> None:
    """The attempt was good: its slots are free again."""
    throttles.give_back_slots(session, limits)
