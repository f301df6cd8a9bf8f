"""What the reports are made of. Money comes as whole paise and is never a float."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from analytics_service.domain.figures import Figure
from analytics_service.domain.tax import ClosedLot, OpenLot


@dataclass(frozen=True, slots=True)
class Document:
    """A finished report."""

    filename: str
    """``positions_YYYYMMDD.csv``, ``monthly_statement_YYYYMM.pdf`` …"""
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a PDF is addressed to. ``client_id`` is what the document shows of the user's id."""

    client_id: str
    full_name: str
    email: str
    masked_pan: str = ""


@dataclass(frozen=True, slots=True)
class PositionRow:
    """One running position at the close. ``cost_paise`` has the sign of ``quantity``."""

    user_id: str
    portfolio: str
    instrument: str
    product: str
    sector: str
    quantity: int
    cost_paise: int
    last_price_paise: int | None
    """``None`` when there is no mark: value and unrealised stay empty."""
    realised_paise: int

    @property
    def value_paise(self) -> int | None:
        return None if self.last_price_paise is None else self.quantity * self.last_price_paise

    @property
    def unrealised_paise(self) -> int | None:
        return None if self.value_paise is None else self.value_paise - self.cost_paise


@dataclass(frozen=True, slots=True)
class PnlRow:
    """Profit of one user's instrument up to the day, with what was traded."""

    user_id: str
    portfolio: str
    instrument: str
    realised_paise: int
    unrealised_paise: int | None
    charges_paise: int
    buy_quantity: int
    buy_value_paise: int
    sell_quantity: int
    sell_value_paise: int
    trades: int

    @property
    def net_paise(self) -> int | None:
        """Realised and unrealised less charges."""
        if self.unrealised_paise is None:
            return None
        return self.realised_paise + self.unrealised_paise - self.charges_paise


@dataclass(frozen=True, slots=True)
class TradeRow:
    """One stored execution; its price is value by quantity. Charges of an order are shared over its trades before."""

    user_id: str
    portfolio: str
    trade_id: str
    order_id: str
    instrument: str
    side: str
    """``BUY`` or ``SELL``."""
    product: str
    quantity: int
    value_paise: int
    traded_at: datetime
    settles_on: date
    counterparty: str
    source: str
    brokerage_paise: int = 0
    stt_paise: int = 0
    exchange_paise: int = 0
    sebi_paise: int = 0
    stamp_duty_paise: int = 0
    gst_paise: int = 0
    dp_paise: int = 0

    @property
    def charges_paise(self) -> int:
        return (
            self.brokerage_paise
            + self.stt_paise
            + self.exchange_paise
            + self.sebi_paise
            + self.stamp_duty_paise
            + self.gst_paise
            + self.dp_paise
        )

    @property
    def net_paise(self) -> int:
        """What the trade brought in (> 0) or cost (< 0), charges included."""
        return (self.value_paise if self.side == "SELL" else -self.value_paise) - self.charges_paise


@dataclass(frozen=True, slots=True)
class CashRow:
    """One movement of cash: ``amount_paise`` > 0 in, < 0 out; ``balance_paise`` after it."""

    on: date
    description: str
    amount_paise: int
    balance_paise: int


@dataclass(frozen=True, slots=True)
class ReportData:
    """Each report takes the parts it names and ignores the rest.

    positions: ``positions``. pnl_summary: ``pnl``. trades and contract_note (of one user and day): ``trades``.
    tax_lots: ``closed_lots``, ``open_lots``. monthly_statement: everything else, with ``positions`` and ``trades``.
    """

    on: date
    """The day the report is of; the last day of the month for the statement."""
    generated_at: datetime
    """Aware; shown in India's time."""
    person: Person | None = None
    """Required by the PDFs."""
    positions: Sequence[PositionRow] = ()
    pnl: Sequence[PnlRow] = ()
    trades: Sequence[TradeRow] = ()
    closed_lots: Sequence[tuple[str, ClosedLot]] = ()
    """``(user_id, lot)``."""
    open_lots: Sequence[tuple[str, OpenLot]] = ()
    """``(user_id, lot)``."""
    cash: Sequence[CashRow] = ()
    opening_paise: int | None = None
    """Cash and holdings at the end of the month before; ``None`` when it was not valued."""
    closing_paise: int | None = None
    paid_in_paise: int = 0
    paid_out_paise: int = 0
    closing_cash_paise: int = 0
    figures: Sequence[tuple[str, Figure]] = ()
    """``(name, figure)`` by the names of `analytics_service.domain.labels.LABELS`, in the order to show them."""
