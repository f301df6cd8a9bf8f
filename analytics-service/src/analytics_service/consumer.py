"""From the queue to the use cases: events of mixed kinds in order, runs of a kind together."""

from collections.abc import Callable
from itertools import groupby

from sqlalchemy.orm import Session

from analytics_service.store import people
from analytics_service.usecases import market, trades
from saras_common.clock import Clock
from saras_common.events import AllocationPosted, Event, FundsMoved, TradeRecorded
from saras_common.ids import NewId
from saras_common.outbox import Outbox

Handler = Callable[[Session, list[Event]], None]
Count = Callable[[int, int], None]
"""Told how many trades went into the store, and how many were set aside."""


def _family(event: Event) -> str:
    if isinstance(event, AllocationPosted | TradeRecorded):
        return "trades"
    return "flows" if isinstance(event, FundsMoved) else "market"


def handler(clock: Clock, new_id: NewId, outbox: Outbox, *, band_percent: int, count: Count) -> Handler:
    """Applies the queue ``analytics-service``."""

    def handle(session: Session, events: list[Event]) -> None:
        for family, run in groupby(events, key=_family):
            if family == "trades":
                count(*trades.take_in(session, run, band_percent=band_percent, now=clock.now(), new_id=new_id))
            elif family == "flows":
                people.add_flows(session, [event for event in run if isinstance(event, FundsMoved)])
            else:
                market.update(session, outbox, run, clock.now())

    return handle
