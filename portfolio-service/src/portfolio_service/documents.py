"""The JSON of everything but orders: amounts become rupee strings here, and nowhere else."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from portfolio_service.domain.ledger import CASH_ASSET, instrument_of
from portfolio_service.domain.trades import TradeView
from portfolio_service.domain.valuation import Shelf, Totals, by_instrument, weight
from portfolio_service.models import MovementRow
from portfolio_service.store.reports import Line
from portfolio_service.usecases.portfolios import PortfolioView
from saras_common.money import average_price, rupees


def money(paise: int | None) -> str | None:
    """Rupees, or ``None`` for what is not known."""
    return None if paise is None else rupees(paise)


def movement_document(movement: MovementRow) -> dict[str, Any]:
    """A deposit or withdrawal."""
    return {
        "id": movement.id,
        "user_id": movement.user_id,
        "kind": movement.kind,
        "amount": rupees(movement.amount_paise),
        "status": movement.status,
        "created_at": movement.created_at,
        "decided_at": movement.decided_at,
    }


def funds_document(available_paise: int, held_paise: int) -> dict[str, Any]:
    """Cash is all there is, held the part that open orders and withdrawals keep."""
    return {
        "cash": rupees(available_paise + held_paise),
        "held": rupees(held_paise),
        "available": rupees(available_paise),
        "collateral": rupees(0),
        "margin_used": rupees(0),
    }


def holding_document(shelf: Shelf, whole: int | None) -> dict[str, Any]:
    """Shares of one instrument; ``weight`` is their part of ``whole``."""
    return {
        "instrument": shelf.instrument,
        "product": shelf.product,
        "quantity": shelf.quantity,
        "reserved": shelf.reserved,
        "average_price": average_price(shelf.cost, shelf.quantity),
        "fifo_average_price": average_price(shelf.fifo_cost, shelf.quantity),
        "last_price": money(shelf.last),
        "invested": rupees(shelf.cost),
        "market_value": money(shelf.market_value),
        "unrealised_pnl": money(shelf.unrealised),
        "weight": weight(shelf.market_value, whole),
    }


def holdings_documents(shelves: Sequence[Shelf]) -> list[dict[str, Any]]:
    """Holdings by instrument with their weights."""
    merged = by_instrument(shelves)
    values = [shelf.market_value for shelf in merged]
    whole = None if None in values else sum(value for value in values if value is not None)
    return [holding_document(shelf, whole) for shelf in merged]


def portfolio_document(view: PortfolioView) -> dict[str, Any]:
    """A portfolio with its holdings."""
    totals = view.totals
    value = totals.market_value
    return {
        "id": view.id,
        "name": view.name,
        "benchmark": view.benchmark,
        "is_default": view.is_default,
        "cash": rupees(view.cash_paise),
        "market_value": money(value),
        "total_value": None if value is None else rupees(value + view.cash_paise),
        "invested": rupees(totals.invested),
        "realised_pnl": rupees(totals.realised),
        "unrealised_pnl": money(totals.unrealised),
        "day_pnl": money(totals.day),
        "unpriced": totals.unpriced,
        "holdings": holdings_documents(view.shelves),
    }


def position_document(shelf: Shelf, today: date) -> dict[str, Any]:
    """One shelf as a trader looks at it."""
    traded = shelf.day == today
    return {
        **holding_document(shelf, None),
        "portfolio_id": shelf.portfolio_id,
        "realised_pnl": rupees(shelf.realised),
        "realised_pnl_fifo": rupees(shelf.fifo_realised),
        "day_pnl": money(shelf.day_profit(today)),
        "day_buy_quantity": shelf.day_bought if traded else 0,
        "day_buy_value": rupees(shelf.day_bought_paise if traded else 0),
        "day_sell_quantity": shelf.day_sold if traded else 0,
        "day_sell_value": rupees(shelf.day_sold_paise if traded else 0),
        "charges": rupees(shelf.charges),
    }


def pnl_document(totals: Totals, shelves: Sequence[Shelf], today: date) -> dict[str, Any]:
    """Profit both ways, before charges, which stand beside it."""
    return {
        "realised_pnl": rupees(totals.realised),
        "unrealised_pnl": money(totals.unrealised),
        "total_pnl": None if totals.unrealised is None else rupees(totals.realised + totals.unrealised),
        "realised_pnl_fifo": rupees(totals.fifo_realised),
        "unrealised_pnl_fifo": money(totals.fifo_unrealised),
        "day_pnl": money(totals.day),
        "charges": rupees(totals.charges),
        "unpriced": totals.unpriced,
        "items": [position_document(shelf, today) for shelf in shelves],
    }


def exposure_document(
    available_paise: int, held_paise: int, totals: Totals, shelves: Sequence[Shelf]
) -> dict[str, Any]:
    """How the user's worth is spread."""
    value = totals.market_value
    cash = available_paise + held_paise
    worth = None if value is None else value + cash
    by_product: dict[str, int | None] = {}
    for shelf in shelves:
        known, more = by_product.get(shelf.product, 0), shelf.market_value
        by_product[shelf.product] = None if known is None or more is None else known + more
    merged = by_instrument(shelves)
    return {
        "cash": rupees(cash),
        "held": rupees(held_paise),
        "gross_exposure": money(value),
        "net_exposure": money(value),
        "total_value": money(worth),
        "invested_fraction": weight(value, worth),
        "unpriced": totals.unpriced,
        "by_product": {product: money(paise) for product, paise in sorted(by_product.items())},
        "by_instrument": [
            {
                "instrument": shelf.instrument,
                "market_value": money(shelf.market_value),
                "weight": weight(shelf.market_value, worth),
            }
            for shelf in merged
        ],
    }


def line_document(line: Line) -> dict[str, Any]:
    """One line of the statement: rupees as strings, shares as integers."""
    is_cash = line.asset == CASH_ASSET
    instrument, product = (None, None) if is_cash else instrument_of(line.asset)
    return {
        "id": str(line.id),
        "at": line.at,
        "kind": line.kind,
        "asset": CASH_ASSET if is_cash else instrument,
        "product": product,
        "amount": rupees(line.amount) if is_cash else line.amount,
        "balance": rupees(line.balance) if is_cash else line.balance,
        "charges": rupees(line.charges_paise if is_cash else 0),
        "order_id": line.order_id,
    }


def trade_document(trade: TradeView) -> dict[str, Any]:
    """One posting of a fill, priced at the block's average at that moment, or a trade done elsewhere."""
    return {
        "id": trade.id,
        "order_id": trade.order_id,
        "instrument": trade.instrument,
        "product": trade.product,
        "side": trade.side,
        "kind": trade.kind,
        "quantity": trade.quantity,
        "price": average_price(trade.value_paise, trade.quantity),
        "value": rupees(trade.value_paise),
        "charges": money(trade.charges_paise),
        "traded_at": trade.traded_at,
        "source": trade.source,
    }
