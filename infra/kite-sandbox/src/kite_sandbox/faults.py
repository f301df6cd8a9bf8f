"""Faults to inject: which call of which route goes wrong, and how.

A fault counts the calls of its route from when it was set: ``after`` calls pass, the next ``count`` are hit. Faults set
together hit the same call together, as far as they can go together: what happens to the answer is one fault a
call, what happens to the order (``partial``, ``reject``, ``late_visibility``) and ``delay`` come on top.
"""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from kite_sandbox.errors import input_error

ORDER_ROUTES = frozenset(
    {"place_order", "modify_order", "cancel_order", "orders", "order_history", "order_trades", "trades"}
)
ACCOUNT_ROUTES = frozenset({"session", "profile", "margins", "positions", "convert_position", "holdings"})
MARKET_ROUTES = frozenset({"instruments", "quote", "ohlc", "ltp", "historical_data", "trigger_range"})
OTHER_ROUTES = frozenset(
    {
        *("order_margins", "basket_order_margins", "get_virtual_contract_note"),
        *("get_gtts", "get_gtt", "place_gtt", "modify_gtt", "delete_gtt"),
        *("get_auction_instruments", "authorise_holdings", "mutual_funds"),
    },
)
ROUTES = ORDER_ROUTES | ACCOUNT_ROUTES | MARKET_ROUTES | OTHER_ROUTES
"""Names a fault may use: the client library's methods."""

BEFORE = frozenset({"timeout_before_accept", "reset_before_accept", "http_429", "refuse", "token_expired"})
"""The broker does nothing."""

AFTER = frozenset(
    {
        "timeout_after_accept",
        "reset_after_accept",
        "http_500",
        "http_502_html",
        "http_400_timed_out",
        "truncated",
        "redirect",
    },
)
"""The broker does what was asked; the answer is lost or wrong."""

MODIFIERS = frozenset({"reject"})
PARAMETRIC = frozenset({"partial", "late_visibility", "delay"})
MAX_SECONDS = Decimal(3600)
MAX_COUNT = 1_000_000


@dataclass(slots=True)
class Fault:
    """One pending fault; ``value`` is the fraction or the seconds of a kind that has one."""

    route: str
    kind: str
    value: Fraction | None
    count: int
    after: int

    def as_dict(self) -> dict[str, object]:
        """How `GET /sandbox/faults` shows it."""
        kind = self.kind if self.value is None else f"{self.kind}:{float(self.value):g}"
        return {"route": self.route, "kind": kind, "count": self.count, "after": self.after}


@dataclass(frozen=True, slots=True)
class Hit:
    """What goes wrong with one call."""

    outcome: str | None = None
    is_rejected: bool = False
    partial: Fraction | None = None
    invisible_s: float = 0.0
    delay_s: float = 0.0


NO_HIT = Hit()


def parse_fault(route: object, kind: object, count: object, after: object) -> Fault:
    """A fault from ``POST /sandbox/faults``, or 400."""
    if not isinstance(route, str) or route not in ROUTES:
        raise input_error(f"`route` must be one of {', '.join(sorted(ROUTES))}.")
    if not isinstance(kind, str):
        raise input_error("Missing or empty field `kind`")
    name, separator, text = kind.partition(":")
    value = _parameter(name, text) if separator or name in PARAMETRIC else None
    if name not in BEFORE | AFTER | MODIFIERS | PARAMETRIC:
        raise input_error(f"`kind` must be one of {', '.join(sorted(BEFORE | AFTER | MODIFIERS | PARAMETRIC))}.")
    for field_name, number, least in (("count", count, 1), ("after", after, 0)):
        if type(number) is not int or not least <= number <= MAX_COUNT:
            raise input_error(f"`{field_name}` must be a whole number of at least {least}.")
    return Fault(route, name, value, int(str(count)), int(str(after)))


def _parameter(name: str, text: str) -> Fraction:
    if name not in PARAMETRIC:
        raise input_error(f"`{name}` takes no parameter.")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise input_error(f"`{name}` needs a number, as in `{name}:0.5`.") from None
    most = Decimal(1) if name == "partial" else MAX_SECONDS
    if not number.is_finite() or not 0 <= number <= most:
        raise input_error(f"`{name}` must be between 0 and {most}.")
    return Fraction(number)


class Faults:
    """Pending faults by route."""

    def __init__(self) -> None:
        self._pending: dict[str, list[Fault]] = defaultdict(list)

    def add(self, fault: Fault) -> None:
        """Set a fault."""
        self._pending[fault.route].append(fault)

    def pending(self) -> list[Fault]:
        """Faults that have calls left."""
        return [fault for faults in self._pending.values() for fault in faults]

    def clear(self) -> None:
        """Forget all faults."""
        self._pending.clear()

    def take(self, route: str) -> Hit:
        """Count one call of ``route`` and say what goes wrong with it."""
        faults = self._pending.get(route)
        if not faults:
            return NO_HIT
        hits: dict[str, Fault] = {}
        for fault in faults:
            if fault.after:
                fault.after -= 1
                continue
            slot = "outcome" if fault.kind in BEFORE | AFTER else fault.kind
            if slot not in hits:
                hits[slot] = fault
                fault.count -= 1
        self._pending[route] = [fault for fault in faults if fault.count]
        values = {slot: fault.value for slot, fault in hits.items()}
        return Hit(
            outcome=hits["outcome"].kind if "outcome" in hits else None,
            is_rejected="reject" in hits,
            partial=values.get("partial"),
            invisible_s=float(values.get("late_visibility") or 0),
            delay_s=float(values.get("delay") or 0),
        )
