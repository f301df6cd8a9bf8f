"""The demo's orders, from a seed: who wants what, in which window. Pure; prices in paise, quantities whole shares."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

CNC_IOC_SHARE = 0.25
FAR_LIMIT_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Quote:
    """An instrument to trade, its last price and its tick."""

    instrument: str
    last_paise: int
    tick_paise: int


@dataclass(frozen=True, slots=True)
class Wish:
    """One order of user number ``user``."""

    user: int
    side: str
    instrument: str
    quantity: int
    order_type: str = "MARKET"
    price_paise: int | None = None
    product: str = "CNC"
    validity: str = "DAY"

    def body(self) -> dict[str, object]:
        """The order as the API takes it, without its side."""
        fields: dict[str, object] = {
            "instrument": self.instrument,
            "quantity": self.quantity,
            "order_type": self.order_type,
            "product": self.product,
            "validity": self.validity,
        }
        if self.price_paise is not None:
            fields["price"] = rupees(self.price_paise)
        return fields


class Crowd:
    """Users who make up their minds with the same dice every time."""

    def __init__(self, seed: int, users: int, quotes: Sequence[Quote]) -> None:
        self._dice = random.Random(seed)
        self._users = users
        self._quotes = list(quotes)

    def market_buys(self, count: int) -> list[Wish]:
        """Plain MARKET buys, a few of them intraday."""
        return [replace(self._buy(n), product="MIS" if self._dice.random() < 0.1 else "CNC") for n in range(count)]  # noqa: PLR2004

    def mixed_buys(self, count: int, thin: Sequence[str]) -> list[Wish]:
        """LIMIT buys at the market, LIMIT buys far below it that never fill, IOC buys in the ``thin`` instruments."""
        wishes = []
        for number in range(count):
            wish, dice = self._buy(number), self._dice.random()
            quote = self._quote(wish.instrument)
            if dice < CNC_IOC_SHARE:
                wish = replace(wish, instrument=self._dice.choice(thin), validity="IOC")
            elif dice < CNC_IOC_SHARE + FAR_LIMIT_SHARE:
                wish = replace(wish, order_type="LIMIT", price_paise=on_tick(quote.last_paise * 9 // 10, quote))
            else:
                wish = replace(wish, order_type="LIMIT", price_paise=quote.last_paise)
            wishes.append(wish)
        return wishes

    def ioc_buys(self, count: int, thin: Sequence[str]) -> list[Wish]:
        """MARKET IOC buys in the ``thin`` instruments."""
        wishes = [self._buy(number) for number in range(count)]
        return [replace(wish, instrument=self._dice.choice(thin), validity="IOC") for wish in wishes]

    def sells(self, count: int, holdings: Mapping[int, Mapping[str, int]]) -> list[Wish]:
        """MARKET sells of a part of what each user holds, at most ``count``, one an instrument and user."""
        own = [
            (user, instrument, shares)
            for user, held in sorted(holdings.items())
            for instrument, shares in sorted(held.items())
            if shares > 0
        ]
        self._dice.shuffle(own)
        return [
            Wish(user, "SELL", instrument, self._dice.randint(1, shares)) for user, instrument, shares in own[:count]
        ]

    def _buy(self, number: int) -> Wish:
        quote = self._dice.choice(self._quotes)
        return Wish(number % self._users, "BUY", quote.instrument, self._dice.randint(1, 8))

    def _quote(self, instrument: str) -> Quote:
        return next(quote for quote in self._quotes if quote.instrument == instrument)


def on_tick(price_paise: int, quote: Quote) -> int:
    """The nearest price at or below on the instrument's grid."""
    return max(price_paise // quote.tick_paise, 1) * quote.tick_paise


def rupees(paise: int) -> str:
    """A decimal string of rupees."""
    return f"{paise // 100}.{paise % 100:02d}"
