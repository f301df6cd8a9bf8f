"""The shapes Kite answers with. Money becomes a JSON number here and nowhere before."""

from datetime import datetime
from fractions import Fraction
from typing import Any

from kite_sandbox.clock import ist_text, utc_text
from kite_sandbox.engine.market import Quote
from kite_sandbox.engine.model import Account, Holding, Order, Position, Product, Status, Step, Trade
from kite_sandbox.engine.state import JournalItem, State
from saras_common.money import PAISE, rupees

Number = int | float


def number(paise: int) -> Number:
    """Rupees as Kite writes them: ``1500``, ``1523.4``."""
    return paise // PAISE if paise % PAISE == 0 else paise / PAISE


def average(value_paise: int, quantity: int) -> Number:
    """An average price in rupees, 0 for nothing."""
    return (
        number(value_paise // quantity) if quantity and value_paise % quantity == 0 else _ratio(value_paise, quantity)
    )


def _ratio(value_paise: int, quantity: int) -> Number:
    return float(Fraction(value_paise, quantity * PAISE)) if quantity else 0


def order_view(order: Order) -> dict[str, Any]:
    """One order as the book shows it."""
    is_final = order.status.is_final
    left = order.remaining
    return {
        "placed_by": order.user_id,
        "account_id": order.user_id,
        "order_id": order.order_id,
        "exchange_order_id": order.exchange_order_id,
        "parent_order_id": order.parent_order_id,
        "status": order.status.value,
        "status_message": order.message,
        "status_message_raw": order.message,
        "order_timestamp": ist_text(order.placed_at if not is_final else order.updated_at),
        "exchange_update_timestamp": ist_text(order.updated_at) if order.exchange_at else None,
        "exchange_timestamp": ist_text(order.exchange_at) if order.exchange_at else None,
        "variety": order.variety.value,
        "modified": order.modifications > 0,
        "exchange": order.instrument.exchange,
        "tradingsymbol": order.instrument.symbol,
        "instrument_token": order.instrument.token,
        "order_type": order.order_type.value,
        "transaction_type": order.side.value,
        "validity": order.validity.value,
        "validity_ttl": 0,
        "product": order.product.value,
        "quantity": order.quantity,
        "disclosed_quantity": order.disclosed_quantity,
        "price": number(order.price_paise),
        "trigger_price": number(order.trigger_price_paise),
        "average_price": average(order.value_paise, order.filled),
        "filled_quantity": order.filled,
        "pending_quantity": 0 if order.status is Status.REJECTED else left,
        "cancelled_quantity": left if order.status is Status.CANCELLED else 0,
        "market_protection": float(order.market_protection)
        if order.market_protection % 1
        else int(order.market_protection),
        "meta": {},
        "tag": order.tag,
        "tags": list(order.tags),
        "guid": f"{order.api_key}X{order.order_id}",
    }


def history_view(order: Order) -> list[dict[str, Any]]:
    """The order's life, a line a status."""
    now = order_view(order)
    return [{**now, **_step_view(order, step)} for step in order.history]


def _step_view(order: Order, step: Step) -> dict[str, Any]:
    reached = order.exchange_at is not None and step.at >= order.exchange_at and step.status not in _BEFORE_EXCHANGE
    return {
        "status": step.status.value,
        "status_message": step.message,
        "status_message_raw": step.message,
        "order_timestamp": ist_text(step.at),
        "exchange_order_id": order.exchange_order_id if reached else None,
        "exchange_timestamp": ist_text(step.at) if reached else None,
        "exchange_update_timestamp": ist_text(step.at) if reached else None,
        "quantity": step.quantity,
        "price": number(step.price_paise),
        "trigger_price": number(step.trigger_price_paise),
        "average_price": average(step.value_paise, step.filled),
        "filled_quantity": step.filled,
        "pending_quantity": 0 if step.status is Status.REJECTED else step.quantity - step.filled,
        "cancelled_quantity": step.quantity - step.filled if step.status is Status.CANCELLED else 0,
    }


_BEFORE_EXCHANGE = {Status.RECEIVED, Status.VALIDATION_PENDING, Status.OPEN_PENDING, Status.AMO_RECEIVED}


def trade_view(trade: Trade) -> dict[str, Any]:
    """One fill."""
    order = trade.order
    at = ist_text(trade.at)
    return {
        "trade_id": trade.trade_id,
        "order_id": order.order_id,
        "exchange": order.instrument.exchange,
        "tradingsymbol": order.instrument.symbol,
        "instrument_token": order.instrument.token,
        "product": order.product.value,
        "average_price": number(trade.price_paise),
        "quantity": trade.quantity,
        "exchange_order_id": order.exchange_order_id,
        "transaction_type": order.side.value,
        "fill_timestamp": at,
        "order_timestamp": at[11:],
        "exchange_timestamp": at,
    }


def position_view(position: Position, quote: Quote, *, is_day: bool) -> dict[str, Any]:
    """A position: ``net`` with what was carried over, ``day`` without."""
    overnight = 0 if is_day else position.overnight
    overnight_value = 0 if is_day else position.overnight_value_paise
    bought = position.buys + max(overnight, 0)
    sold = position.sells + max(-overnight, 0)
    buy_value = position.buy_value_paise + (overnight_value if overnight > 0 else 0)
    sell_value = position.sell_value_paise + (overnight_value if overnight < 0 else 0)
    buy_m2m = position.buy_value_paise + max(overnight, 0) * quote.close_paise
    sell_m2m = position.sell_value_paise + max(-overnight, 0) * quote.close_paise
    quantity = bought - sold
    pnl = number(sell_value - buy_value + quantity * quote.last_paise)
    held_at = average(buy_value, bought) if quantity > 0 else average(sell_value, sold)
    return {
        "tradingsymbol": position.instrument.symbol,
        "exchange": position.instrument.exchange,
        "instrument_token": position.instrument.token,
        "product": position.product.value,
        "quantity": quantity,
        "overnight_quantity": overnight,
        "multiplier": 1,
        "average_price": held_at if quantity else 0,
        "close_price": number(quote.close_paise) if overnight else 0,
        "last_price": number(quote.last_paise),
        "value": number(sell_value - buy_value),
        "pnl": pnl,
        "m2m": number(sell_m2m - buy_m2m + quantity * quote.last_paise),
        "unrealised": pnl,
        "realised": 0,
        "buy_quantity": bought,
        "buy_price": average(buy_value, bought),
        "buy_value": number(buy_value),
        "buy_m2m": number(buy_m2m),
        "sell_quantity": sold,
        "sell_price": average(sell_value, sold),
        "sell_value": number(sell_value),
        "sell_m2m": number(sell_m2m),
        "day_buy_quantity": position.buys,
        "day_buy_price": average(position.buy_value_paise, position.buys),
        "day_buy_value": number(position.buy_value_paise),
        "day_sell_quantity": position.sells,
        "day_sell_price": average(position.sell_value_paise, position.sells),
        "day_sell_value": number(position.sell_value_paise),
    }


def positions_view(account: Account, state: State, now: datetime) -> dict[str, Any]:
    """Net and day positions."""
    positions = [(position, state.market.get(position.instrument, now)) for position in account.positions.values()]
    return {
        "net": [position_view(position, quote, is_day=False) for position, quote in positions],
        "day": [
            position_view(position, quote, is_day=True)
            for position, quote in positions
            if position.buys or position.sells
        ],
    }


def holding_view(account: Account, holding: Holding, quote: Quote, now: datetime) -> dict[str, Any]:
    """A holding. ``opening_quantity`` is what the day began with; sales of the day show in ``used_quantity``."""
    used = max(-account.net_quantity(holding.instrument.key, Product.CNC), 0)
    arriving = holding.quantity - holding.settled
    settled = max(holding.settled - used, 0)
    t1 = max(arriving - max(used - holding.settled, 0), 0)
    cost = average(holding.cost_paise, holding.quantity)
    change = quote.last_paise - quote.close_paise
    left = settled + t1
    cost_of_left = holding.cost_paise * left // holding.quantity if holding.quantity else 0
    return {
        "tradingsymbol": holding.instrument.symbol,
        "exchange": holding.instrument.exchange,
        "instrument_token": holding.instrument.token,
        "isin": holding.instrument.isin,
        "product": "CNC",
        "price": 0,
        "quantity": settled,
        "used_quantity": used,
        "t1_quantity": t1,
        "realised_quantity": holding.settled,
        "authorised_quantity": 0,
        "authorised_date": ist_text(now)[:10] + " 00:00:00",
        "authorisation": {},
        "opening_quantity": holding.quantity,
        "short_quantity": 0,
        "collateral_quantity": 0,
        "collateral_type": "",
        "discrepancy": False,
        "average_price": cost,
        "last_price": number(quote.last_paise),
        "close_price": number(quote.close_paise),
        "pnl": number(left * quote.last_paise - cost_of_left),
        "day_change": number(change),
        "day_change_percentage": change * 100 / quote.close_paise if quote.close_paise else 0,
        "mtf": {"quantity": 0, "used_quantity": 0, "average_price": 0, "value": 0, "initial_margin": 0},
    }


def equity_margin_view(account: Account) -> dict[str, Any]:
    """The equity segment: ``cash`` after fills and charges, ``net`` and ``live_balance`` less what is blocked."""
    return _margin_view(account.cash_paise, account.opening_paise, account.blocked_paise)


def commodity_margin_view() -> dict[str, Any]:
    """The commodity segment: there, and empty."""
    return _margin_view(0, 0, 0)


def _margin_view(cash: int, opening: int, blocked: int) -> dict[str, Any]:
    return {
        "enabled": True,
        "net": number(cash - blocked),
        "available": {
            "adhoc_margin": 0,
            "cash": number(cash),
            "opening_balance": number(opening),
            "live_balance": number(cash - blocked),
            "collateral": 0,
            "intraday_payin": 0,
        },
        "utilised": {
            "debits": number(blocked),
            "exposure": 0,
            "m2m_realised": 0,
            "m2m_unrealised": 0,
            "option_premium": 0,
            "payout": 0,
            "span": 0,
            "holding_sales": 0,
            "turnover": 0,
            "liquid_collateral": 0,
            "stock_collateral": 0,
            "delivery": 0,
        },
    }


def journal_view(item: JournalItem) -> dict[str, Any]:
    """One line of the sandbox's journal."""
    return {
        "seq": item.seq,
        "at": utc_text(item.at),
        "event": item.event,
        "order_id": item.order_id,
        "tag": item.tag,
        "exchange": item.exchange,
        "tradingsymbol": item.tradingsymbol,
        "transaction_type": item.transaction_type,
        "product": item.product,
        "quantity": item.quantity,
        "price": rupees(item.price_paise),
        "trade_id": item.trade_id,
    }
