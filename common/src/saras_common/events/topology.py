"""Every kind of event, and which queue receives it."""

from saras_common.events.base import Event
from saras_common.events.baskets import BasketRunChanged, RebalanceOffered, SipSkipped
from saras_common.events.book import (
    BookTotalled,
    BookTotalsRequested,
    CancelRequested,
    FundsMoved,
    OrderAccepted,
    OrderUpdated,
)
from saras_common.events.execution import (
    AllocationPosted,
    ExecutionStateChanged,
    InstrumentsBlocked,
    InstrumentsListed,
    MarksChanged,
    OrderProgressed,
    ReconciliationCompleted,
    SuspenseFound,
)
from saras_common.events.history import CorporateActionsRecorded, DayPricesRecorded, InstrumentsDescribed, TradeRecorded
from saras_common.events.people import UserChanged, UserLoggedIn

EVENT_TYPES: dict[str, type[Event]] = {
    cls.type: cls
    for cls in (
        UserChanged,
        UserLoggedIn,
        FundsMoved,
        OrderAccepted,
        CancelRequested,
        OrderUpdated,
        BookTotalsRequested,
        BookTotalled,
        OrderProgressed,
        AllocationPosted,
        SuspenseFound,
        InstrumentsListed,
        MarksChanged,
        InstrumentsBlocked,
        ExecutionStateChanged,
        ReconciliationCompleted,
        BasketRunChanged,
        RebalanceOffered,
        SipSkipped,
        DayPricesRecorded,
        CorporateActionsRecorded,
        InstrumentsDescribed,
        TradeRecorded,
    )
}

SUBSCRIPTIONS: dict[str, frozenset[str]] = {
    "trade-executor": frozenset({OrderAccepted.type, CancelRequested.type, FundsMoved.type, BookTotalled.type}),
    "portfolio-service": frozenset(
        {
            UserChanged.type,
            AllocationPosted.type,
            OrderProgressed.type,
            InstrumentsBlocked.type,
        }
    ),
    # beside the fills, so that a reconciliation never waits behind thousands of them; what one finds comes before the
    # next one's question, in the same queue
    "portfolio-service.totals": frozenset({SuspenseFound.type, BookTotalsRequested.type}),
    "portfolio-service.market": frozenset({InstrumentsListed.type, MarksChanged.type}),
    "analytics-service": frozenset(
        {
            UserChanged.type,
            InstrumentsListed.type,
            MarksChanged.type,
            AllocationPosted.type,
            TradeRecorded.type,
            FundsMoved.type,
        }
    ),
    "smallcase-service": frozenset({OrderUpdated.type}),
    "smallcase-service.market": frozenset(
        {
            InstrumentsListed.type,
            MarksChanged.type,
            InstrumentsBlocked.type,
            DayPricesRecorded.type,
            CorporateActionsRecorded.type,
            InstrumentsDescribed.type,
        }
    ),
    "notification-service": frozenset(
        {
            UserChanged.type,
            UserLoggedIn.type,
            FundsMoved.type,
            OrderAccepted.type,
            OrderUpdated.type,
            AllocationPosted.type,
            BasketRunChanged.type,
            RebalanceOffered.type,
            SipSkipped.type,
            ExecutionStateChanged.type,
            ReconciliationCompleted.type,
        }
    ),
    "notification-service.feed": frozenset(
        {OrderUpdated.type, FundsMoved.type, BasketRunChanged.type, RebalanceOffered.type, SipSkipped.type}
    ),
    "notification-service.market": frozenset({MarksChanged.type}),
}
"""Which queue receives which kinds: the whole topology. An event nobody subscribes to is not stored."""


def queues_of(kind: str) -> list[str]:
    """The queues an event of this kind goes to."""
    return [queue for queue, kinds in SUBSCRIPTIONS.items() if kind in kinds]
