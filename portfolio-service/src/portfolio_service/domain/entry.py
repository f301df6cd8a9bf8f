"""Whether an order is accepted, decided against what the user has and what the market says.

`Desk` decides a list of orders one after the other: each accepted order lowers what the next one of the same user may
spend. Nothing here reads or writes; the use case loads the wallets under lock and stores what was decided.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple, Protocol

from portfolio_service.domain.holds import buy_hold, protected_price
from portfolio_service.domain.refusals import (
    InstrumentBlocked,
    InsufficientFunds,
    InsufficientHoldings,
    KycRequired,
    LimitBreached,
    PriceOffTick,
    PricesDoNotFit,
    PriceUnavailable,
    QuantityOffLot,
    UnknownInstrument,
    UserDisabled,
)
from saras_common.errors import NotFound
from saras_common.events import OrderType, Product, Side, Validity

ShelfKey = tuple[str, str, str]
"""Portfolio, instrument, product."""


class Terms(Protocol):
    """What the user asked for."""

    @property
    def instrument(self) -> str: ...
    @property
    def side(self) -> Side: ...
    @property
    def quantity(self) -> int: ...
    @property
    def order_type(self) -> OrderType: ...
    @property
    def price(self) -> int | None: ...
    @property
    def trigger_price(self) -> int | None: ...
    @property
    def product(self) -> Product: ...
    @property
    def validity(self) -> Validity: ...
    @property
    def portfolio_id(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits of order entry. Bands are percent of the last price, money is paise."""

    protection_percent: int = 3
    price_band_percent: int = 50
    max_order_paise: int = 10**10
    max_quantity: int = 10**6
    max_open_orders: int = 10**6
    max_day_orders: int = 10**6
    max_day_paise: int = 10**13
    """Of one user, on one trading day, whatever becomes of the orders."""
    require_kyc: bool = False


@dataclass(frozen=True, slots=True)
class Market:
    """What the book knows of one instrument. ``blocked`` holds the broker accounts where buying it is stopped."""

    tick_paise: int
    lot_size: int
    last_paise: int | None
    blocked: frozenset[str] = frozenset()


@dataclass(slots=True)
class Wallet:
    """What one user has to trade with. ``shares`` counts what is free to sell, by shelf."""

    user_id: str
    account_id: str
    status: str
    kyc_status: str
    default_portfolio_id: str
    open_orders: int
    day: date | None = None
    day_orders: int = 0
    """Orders accepted on ``day``, and below what they are worth."""
    day_paise: int = 0
    available_paise: int = 0
    portfolios: frozenset[str] = frozenset()
    shares: dict[ShelfKey, int] = field(default_factory=dict)

    def copy(self) -> "Wallet":
        """An independent copy, to come back to when an atomic batch is refused."""
        return Wallet(
            self.user_id,
            self.account_id,
            self.status,
            self.kyc_status,
            self.default_portfolio_id,
            self.open_orders,
            self.day,
            self.day_orders,
            self.day_paise,
            self.available_paise,
            self.portfolios,
            dict(self.shares),
        )

    def come_back_to(self, before: "Wallet") -> None:
        """Give back what orders since ``before`` took."""
        self.available_paise, self.shares, self.open_orders = before.available_paise, before.shares, before.open_orders
        self.day, self.day_orders, self.day_paise = before.day, before.day_orders, before.day_paise

    def turn_to(self, day: date) -> None:
        """Count from nothing on a new day."""
        if self.day != day:
            self.day, self.day_orders, self.day_paise = day, 0, 0


class Accepted(NamedTuple):
    """An order with its reservation: paise for a buy, units for a sell."""

    terms: Terms
    portfolio_id: str
    hold_paise: int
    hold_quantity: int
    cap_price_paise: int | None
    value_paise: int
    """At its limit or the last price: what it counts against limits."""


_PRICES = {"MARKET": (False, False), "LIMIT": (True, False), "SL": (True, True), "SL-M": (False, True)}


class Desk:
    """Decides orders by ``rules`` on the charges of ``day``."""

    def __init__(self, rules: Rules, markets: Mapping[str, Market], day: date) -> None:
        self._rules = rules
        self._markets = markets
        self._day = day

    def check_user(self, wallet: Wallet) -> None:
        """Refuse everybody who may not order at all."""
        if wallet.status != "active":
            raise UserDisabled
        if self._rules.require_kyc and wallet.kyc_status != "approved":
            raise KycRequired

    def accept(self, wallet: Wallet, terms: Terms) -> Accepted:
        """Take the order's reservation out of ``wallet``, or raise a `Refused` and leave it as it is."""
        portfolio_id = terms.portfolio_id or wallet.default_portfolio_id
        if terms.portfolio_id is not None and portfolio_id not in wallet.portfolios:
            raise NotFound("No such portfolio")
        market = self._markets.get(terms.instrument)
        if market is None:
            raise UnknownInstrument
        self._check_prices(terms, market)
        self._check_limits(wallet, terms, market)
        value = _value(terms, market)
        self._check_value(wallet, value)
        if terms.side == "SELL":
            accepted = self._accept_sell(wallet, terms, portfolio_id, value)
        else:
            accepted = self._accept_buy(wallet, terms, portfolio_id, market, value)
        wallet.open_orders += 1
        wallet.day_orders += 1
        wallet.day_paise += value
        return accepted

    def _accept_buy(self, wallet: Wallet, terms: Terms, portfolio_id: str, market: Market, value: int) -> Accepted:
        if market.blocked and wallet.account_id in market.blocked:
            raise InstrumentBlocked
        cap = terms.price
        if cap is None:
            cap = self._protected(terms, market)
        exchange = terms.instrument.partition(":")[0]
        hold = buy_hold(exchange, terms.product, terms.quantity, cap, self._day)
        if hold > wallet.available_paise:
            raise InsufficientFunds
        wallet.available_paise -= hold
        return Accepted(terms, portfolio_id, hold, 0, cap, value)

    def _accept_sell(self, wallet: Wallet, terms: Terms, portfolio_id: str, value: int) -> Accepted:
        shelf = (portfolio_id, terms.instrument, terms.product)
        free = wallet.shares.get(shelf, 0)
        if terms.quantity > free:
            raise InsufficientHoldings
        wallet.shares[shelf] = free - terms.quantity
        return Accepted(terms, portfolio_id, 0, terms.quantity, None, value)

    def _protected(self, terms: Terms, market: Market) -> int:
        last = market.last_paise
        if last is None:
            raise PriceUnavailable
        # a stop buy fills at its trigger or above, wherever the price stands now
        basis = last if terms.trigger_price is None else max(last, terms.trigger_price)
        return protected_price(basis, self._rules.protection_percent, market.tick_paise)

    def _check_prices(self, terms: Terms, market: Market) -> None:
        price, trigger = terms.price, terms.trigger_price
        if (price is not None, trigger is not None) != _PRICES[terms.order_type]:
            raise PricesDoNotFit(errors=[_prices_error(terms)])
        tick = market.tick_paise
        if price is not None and price % tick:
            raise PriceOffTick(errors=[{"field": "price", "message": "must be a multiple of the tick"}])
        if trigger is not None and trigger % tick:
            raise PriceOffTick(errors=[{"field": "trigger_price", "message": "must be a multiple of the tick"}])
        if terms.quantity % market.lot_size:
            raise QuantityOffLot(errors=[{"field": "quantity", "message": "must be a multiple of the lot size"}])

    def _check_limits(self, wallet: Wallet, terms: Terms, market: Market) -> None:
        rules = self._rules
        if terms.quantity > rules.max_quantity:
            raise LimitBreached("The quantity is over the limit for one order")
        if wallet.open_orders >= rules.max_open_orders:
            raise LimitBreached("Too many open orders")
        price, last = terms.price, market.last_paise
        if price is not None and last is not None:
            # guards against a slip of the finger; an order far from the market on its own side hurts nobody
            if terms.side == "BUY" and price * 100 > last * (100 + rules.price_band_percent):
                raise LimitBreached("The price is too far above the last price")
            if terms.side == "SELL" and price * 100 < last * (100 - rules.price_band_percent):
                raise LimitBreached("The price is too far below the last price")

    def _check_value(self, wallet: Wallet, value: int) -> None:
        rules = self._rules
        if value > rules.max_order_paise:
            raise LimitBreached("The value is over the limit for one order")
        wallet.turn_to(self._day)
        if wallet.day_orders >= rules.max_day_orders:
            raise LimitBreached("Too many orders today")
        if wallet.day_paise + value > rules.max_day_paise:
            raise LimitBreached("The value of today's orders is over the limit for one day")


def _value(terms: Terms, market: Market) -> int:
    basis = terms.price or market.last_paise
    if basis is None:
        raise PriceUnavailable
    return basis * terms.quantity


def _prices_error(terms: Terms) -> dict[str, str]:
    needs_price, needs_trigger = _PRICES[terms.order_type]
    if (terms.price is not None) != needs_price:
        need = "needs a price" if needs_price else "takes no price"
        return {"field": "price", "message": f"{terms.order_type} {need}"}
    need = "needs a trigger price" if needs_trigger else "takes no trigger price"
    return {"field": "trigger_price", "message": f"{terms.order_type} {need}"}
