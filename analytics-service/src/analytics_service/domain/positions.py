"""Running positions, long, short or flat: cost and profit by average (what a broker's screen shows) and by FIFO lots.

Quantities are signed, and so are costs: paid for a long position, received for a short one. A fill that flips the side
closes at the old average and opens at its own price. Each share of a cost is rounded to the paisa so that what was paid
is always exactly what remains plus what was realised against it; the book rounds the same way, so both agree.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from saras_common.clock import IST, trading_day
from saras_common.money import round_half_up

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """Since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def _share(amount: int, part: int, whole: int) -> int:
    return amount if part == whole else round_half_up(amount * part, whole)


@dataclass(slots=True)
class Lot:
    """What one order brought in: ``quantity`` ever, ``remaining`` still open (signed), ``cost`` of what remains."""

    order_id: str
    opened_us: int
    quantity: int
    remaining: int
    cost: int

    def as_row(self) -> list[Any]:
        """As it is stored."""
        return [self.order_id, self.opened_us, self.quantity, self.remaining, self.cost]


@dataclass(slots=True)
class Position:
    """One user's position in one instrument and product."""

    quantity: int = 0
    cost: int = 0
    realised: int = 0
    fifo_realised: int = 0
    lots: list[Lot] = field(default_factory=list)
    bought: int = 0
    bought_paise: int = 0
    sold: int = 0
    sold_paise: int = 0
    trades: int = 0
    charges: int = 0
    last_seq: int = 0

    @property
    def side(self) -> str:
        """Long, short or flat."""
        if self.quantity == 0:
            return "flat"
        return "long" if self.quantity > 0 else "short"

    @property
    def fifo_cost(self) -> int:
        """Of the open lots."""
        return sum(lot.cost for lot in self.lots)

    def profit(self, last_paise: int) -> int:
        """Realised and unrealised at ``last_paise``: (sell value - buy value) + net quantity x last."""
        return self.realised + self.quantity * last_paise - self.cost

    def apply(self, order_id: str, side: str, quantity: int, value: int, charges: int, traded_at: datetime) -> None:
        """One trade of the store: a fill, a true-up (``quantity`` 0) or a bust (``quantity`` and ``value`` < 0)."""
        direction = 1 if side == "BUY" else -1
        self._forget_closed(traded_at)
        self.charges += charges
        if side == "BUY":
            self.bought += quantity
            self.bought_paise += value
        else:
            self.sold += quantity
            self.sold_paise += value
        if quantity == 0:
            self._correct(order_id, direction, value)
            return
        self.trades += 1 if quantity > 0 else 0
        signed = direction * quantity
        self._fill_lots(order_id, signed, abs(value), microseconds(traded_at))
        self._fill_average(signed, abs(value))

    def _fill_average(self, signed: int, value: int) -> None:
        sign = 1 if signed > 0 else -1
        if self.quantity * sign < 0:
            closing = min(abs(signed), abs(self.quantity))
            closing_value = _share(value, closing, abs(signed))
            closed_cost = _share(self.cost, closing, abs(self.quantity))
            self.realised -= sign * closing_value + closed_cost
            self.cost -= closed_cost
            self.quantity += sign * closing
            signed, value = signed - sign * closing, value - closing_value
        self.quantity += signed
        self.cost += sign * value

    def _fill_lots(self, order_id: str, signed: int, value: int, at_us: int) -> None:
        sign = 1 if signed > 0 else -1
        left = abs(signed)
        closable = [lot for lot in self.lots if lot.remaining * sign < 0]
        # an undone trade takes back what it brought before it touches older lots
        for lot in sorted(closable, key=lambda lot: (lot.order_id != order_id, lot.opened_us, lot.order_id)):
            if left == 0:
                return
            part = min(left, abs(lot.remaining))
            part_value = _share(value, part, left)
            closed = _share(lot.cost, part, abs(lot.remaining))
            self.fifo_realised -= sign * part_value + closed
            lot.cost -= closed
            lot.remaining += sign * part
            left, value = left - part, value - part_value
        if left:
            self._open(order_id, sign * left, sign * value, at_us)

    def _open(self, order_id: str, quantity: int, cost: int, at_us: int) -> None:
        lot = self._lot_of(order_id)
        if lot is None:
            self.lots.append(Lot(order_id, at_us, quantity, quantity, cost))
            return
        lot.opened_us = min(lot.opened_us, at_us)
        lot.quantity += quantity
        lot.remaining += quantity
        lot.cost += cost

    def _correct(self, order_id: str, direction: int, value: int) -> None:
        """The order turned out to be worth ``value`` more; the part of it that is closed by now is realised."""
        lot = self._lot_of(order_id)
        opened = 0 if lot is None else abs(lot.quantity)
        held = min(max(direction * self.quantity, 0), opened)
        kept = _share(value, held, opened) if opened else 0
        self.cost += direction * kept
        self.realised -= direction * (value - kept)
        kept = 0
        if lot is not None and lot.quantity:
            kept = _share(value, abs(lot.remaining), abs(lot.quantity))
            lot.cost += direction * kept
        self.fifo_realised -= direction * (value - kept)

    def _lot_of(self, order_id: str) -> Lot | None:
        return next((lot for lot in self.lots if lot.order_id == order_id), None)

    def _forget_closed(self, now: datetime) -> None:
        """Closed lots wait out their day: a true-up of their order may still come."""
        if all(lot.remaining for lot in self.lots):
            return
        today = trading_day(now)
        midnight = microseconds(datetime(today.year, today.month, today.day, tzinfo=IST))
        self.lots = [lot for lot in self.lots if lot.remaining or lot.opened_us >= midnight]
