"""The facts services tell one another: frozen, past tense, versioned. Their schemas are kept under diff in docs/events.

An event travels inside a `Message`: one outbox row, one packet on the bus, carrying many events of one kind. What a
message carries never changes after it was written, so redelivery repeats it exactly. Amounts are paise, quantities
whole units of the instrument's ``quantity_step``, instruments ``EXCHANGE:SYMBOL``, instants UTC.
"""

from saras_common.events.base import MAX_EVENTS_A_MESSAGE, Event, OrderStatus, OrderType, Part, Product, Side, Validity
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
    Allocation,
    AllocationPosted,
    ExecutionStateChanged,
    InstrumentsBlocked,
    InstrumentsListed,
    Listing,
    Mark,
    MarksChanged,
    OrderProgressed,
    ReconciliationCompleted,
    SuspenseFound,
)
from saras_common.events.history import (
    CorporateAction,
    CorporateActionsRecorded,
    DayPrice,
    DayPricesRecorded,
    InstrumentFacts,
    InstrumentsDescribed,
    TradeRecorded,
)
from saras_common.events.messages import Message, pack, pack_rows, unpack
from saras_common.events.people import UserChanged, UserLoggedIn
from saras_common.events.topology import EVENT_TYPES, SUBSCRIPTIONS, queues_of

__all__ = [
    "EVENT_TYPES",
    "MAX_EVENTS_A_MESSAGE",
    "SUBSCRIPTIONS",
    "Allocation",
    "AllocationPosted",
    "BasketRunChanged",
    "BookTotalled",
    "BookTotalsRequested",
    "CancelRequested",
    "CorporateAction",
    "CorporateActionsRecorded",
    "DayPrice",
    "DayPricesRecorded",
    "Event",
    "ExecutionStateChanged",
    "FundsMoved",
    "InstrumentFacts",
    "InstrumentsBlocked",
    "InstrumentsDescribed",
    "InstrumentsListed",
    "Listing",
    "Mark",
    "MarksChanged",
    "Message",
    "OrderAccepted",
    "OrderProgressed",
    "OrderStatus",
    "OrderType",
    "OrderUpdated",
    "Part",
    "Product",
    "RebalanceOffered",
    "ReconciliationCompleted",
    "Side",
    "SipSkipped",
    "SuspenseFound",
    "TradeRecorded",
    "UserChanged",
    "UserLoggedIn",
    "Validity",
    "pack",
    "pack_rows",
    "queues_of",
    "unpack",
]
