"""What arrives from the book, applied in order, each run of one kind at once."""

from collections.abc import Callable
from itertools import groupby

from sqlalchemy.orm import Session

from saras_common.clock import Clock
from saras_common.db import driver
from saras_common.events import BookTotalled, CancelRequested, Event, FundsMoved, OrderAccepted
from saras_common.ids import NewId
from trade_executor.core.windows import WindowRules
from trade_executor.failpoints import Failpoint
from trade_executor.store.postgres import PostgresStore
from trade_executor.usecases import intake

Handler = Callable[[Session, list[Event]], None]


def make_handler(clock: Clock, rules: WindowRules, new_id: NewId, failpoint: Failpoint) -> Handler:
    """The handler of the queue ``trade-executor``."""

    def handle(session: Session, events: list[Event]) -> None:
        with driver(session).pipeline():  # what is only written is not waited for
            store = PostgresStore(session)
            for kind, run in groupby(events, key=type):
                _apply(store, kind, list(run))
            store.flush()
        failpoint("orders_taken")

    def _apply(store: PostgresStore, kind: type[Event], events: list[Event]) -> None:
        if kind is OrderAccepted:
            orders = [event for event in events if isinstance(event, OrderAccepted)]
            intake.take_orders(store, orders, now=clock.now(), rules=rules, new_id=new_id)
        elif kind is CancelRequested:
            intake.request_cancels(store, [event for event in events if isinstance(event, CancelRequested)])
        elif kind is FundsMoved:
            intake.take_movements(store, [event for event in events if isinstance(event, FundsMoved)])
        elif kind is BookTotalled:
            for event in events:
                if isinstance(event, BookTotalled):
                    store.answer_reconciliation(event)
                    store.wake(event.account_id)

    return handle
