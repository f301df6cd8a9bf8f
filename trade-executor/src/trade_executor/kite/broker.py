"""`Broker` and `MarketData` over one client of the SDK."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from trade_executor.broker import (
    Answer,
    Balances,
    BookOrder,
    BrokerUnavailable,
    Guard,
    Listed,
    NewOrder,
    NotAllowed,
    Outcome,
    Quote,
    Trade,
)
from trade_executor.kite.shapes import book_order, is_equity, listed, paise, protection, rupees, trade
from trade_executor.kite.wire import DEFINITE_NO, TOO_MANY, Login, WireError, WireKite, because_of, classify

T = TypeVar("T")


@dataclass
class KiteBroker:
    """`Broker` and `MarketData` over one client; not shared between threads."""

    login: Login
    access_token: str = field(repr=False)

    def __post_init__(self) -> None:
        self._kite = WireKite(self.login, self.access_token)

    # --- changing calls

    def place(self, order: NewOrder, guard: Guard) -> Answer:
        exchange, symbol = order.instrument.split(":", 1)
        return self._change(
            lambda: self._kite.place_order(
                variety="regular",
                exchange=exchange,
                tradingsymbol=symbol,
                transaction_type=order.side,
                quantity=order.quantity,
                product=order.product,
                order_type=order.order_type,
                price=rupees(order.price_paise),
                trigger_price=rupees(order.trigger_price_paise),
                validity=order.validity,
                tag=order.tag,
                market_protection=protection(order),
            ),
            guard,
        )

    def modify(self, order_id: str, quantity: int, guard: Guard) -> Answer:
        return self._change(lambda: self._kite.modify_order("regular", order_id, quantity=quantity), guard)

    def cancel(self, order_id: str, guard: Guard) -> Answer:
        return self._change(lambda: self._kite.cancel_order("regular", order_id), guard)

    def _change(self, call: Callable[[], Any], guard: Guard) -> Answer:
        self._kite.guarded(guard)
        try:
            order_id = call()
        except NotAllowed as error:
            return Answer(Outcome.NOT_SENT, message=str(error))
        except WireError as error:
            return classify(error.reply)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            return Answer(Outcome.UNKNOWN, message=f"unexpected answer: {type(error).__name__}")
        finally:
            self._kite.guarded(None)
        if not isinstance(order_id, str | int) or isinstance(order_id, bool) or not str(order_id):
            return Answer(Outcome.UNKNOWN, message="the answer holds no order id")
        return Answer(Outcome.REGISTERED, str(order_id))

    # --- readings

    def orders(self) -> list[BookOrder]:
        return self._rows(self._kite.orders, book_order)

    def trades(self) -> list[Trade]:
        return self._rows(self._kite.trades, trade)

    def order_trades(self, order_id: str) -> list[Trade]:
        return self._rows(lambda: self._kite.order_trades(order_id), trade)

    def balances(self) -> Balances:
        def read() -> Balances:
            shares: dict[str, int] = {}
            for row in self._kite.holdings() or []:
                name = f"{row['exchange']}:{row['tradingsymbol']}"
                shares[name] = shares.get(name, 0) + int(row["opening_quantity"])
            for row in (self._kite.positions() or {}).get("net") or []:
                name = f"{row['exchange']}:{row['tradingsymbol']}"
                shares[name] = shares.get(name, 0) + int(row["quantity"])
            cash = paise(self._kite.margins("equity")["available"]["cash"])
            return Balances({name: count for name, count in shares.items() if count}, cash)

        return self._reading(read)

    def quotes(self, instruments: Sequence[str]) -> dict[str, Quote]:
        def read() -> dict[str, Quote]:
            rows = self._kite.ohlc(list(instruments))
            return {
                name: Quote(paise(row["last_price"]), paise(row["ohlc"]["close"]) or None)
                for name, row in rows.items()
                if row.get("last_price")
            }

        return self._reading(read)

    def instruments(self) -> list[Listed]:
        return self._rows(self._kite.instruments, listed, keep=is_equity)

    def _rows(
        self,
        read: Callable[[], Iterable[Mapping[str, Any]]],
        shape: Callable[[Mapping[str, Any]], T],
        keep: Callable[[Mapping[str, Any]], bool] = lambda _row: True,
    ) -> list[T]:
        return self._reading(lambda: [shape(row) for row in read() or [] if keep(row)])

    def _reading(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except WireError as error:
            reply = error.reply
            definite = reply.status in DEFINITE_NO and (reply.error_type is not None or reply.status == TOO_MANY)
            raise BrokerUnavailable(str(error), because_of(reply) if definite else None) from None
        except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            raise BrokerUnavailable(f"unexpected answer: {type(error).__name__}: {error}") from error
