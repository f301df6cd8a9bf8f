"""Wrong turns in the book: holds, journals, states, shares."""

from typing import Any

from prove.bugs.catalogue import Shelf, Swap

from portfolio_service.domain import book, holds
from portfolio_service.domain.ledger import CHARGES
from portfolio_service.domain.orders import Status
from portfolio_service.domain.postings import OpenBook

bug = Shelf("book")


@bug("a hold is released twice")
def _released_twice() -> list[Swap]:
    release = OpenBook._release  # noqa: SLF001 - the method the bug replaces

    def wrong(self: Any, order: Any, journal_id: str, at: Any) -> None:
        kept = order.hold_paise
        release(self, order, journal_id, at)
        order.hold_paise = kept

    return [(OpenBook, "_release", wrong)]


@bug("a hold is not released when the order ends")
def _never_released() -> list[Swap]:
    return [(OpenBook, "_release", lambda *_: None)]


@bug("the first fill releases the whole hold")
def _released_early() -> list[Swap]:
    apply = OpenBook._apply  # noqa: SLF001 - the method the bug replaces

    def wrong(self: Any, order: Any, part: Any, charges: int, journal: Any) -> None:
        apply(self, order, part, charges, journal)
        if order.status is Status.PARTIALLY_FILLED:
            self._release(order, journal.id, journal.at)

    return [(OpenBook, "_apply", wrong)]


@bug("an order leaves a terminal state")
def _no_table() -> list[Swap]:
    return [(book, "follows", lambda _current, _wanted: True)]


@bug("charges are taken from the user and entered nowhere")
def _one_sided() -> list[Swap]:
    house = OpenBook._house  # noqa: SLF001 - the method the bug replaces

    def wrong(self: Any, journal: Any, account: str, *more: Any) -> None:
        if account != CHARGES:
            house(self, journal, account, *more)

    return [(OpenBook, "_house", wrong)]


@bug("true-ups are passed over")
def _no_true_up() -> list[Swap]:
    apply = OpenBook._apply  # noqa: SLF001 - the method the bug replaces

    def wrong(self: Any, order: Any, part: Any, charges: int, journal: Any) -> None:
        if part.quantity:
            apply(self, order, part, charges, journal)

    return [(OpenBook, "_apply", wrong)]


@bug("a hold without room for charges")
def _small_hold() -> list[Swap]:
    return [(holds, "buy_hold", lambda _exchange, _product, quantity, cap, _day: quantity * cap)]


@bug("a sale takes free shares and leaves its hold")
def _wrong_shares() -> list[Swap]:
    give_up = OpenBook._give_up  # noqa: SLF001 - the method the bug replaces

    def wrong(self: Any, order: Any, *more: Any) -> Any:
        kept, order.hold_quantity = order.hold_quantity, 0
        try:
            return give_up(self, order, *more)
        finally:
            order.hold_quantity = kept

    return [(OpenBook, "_give_up", wrong)]
