"""What there is to trade, once the platform knows it: a fresh one needs a second or two to learn that."""

import time
from collections.abc import Sequence

from saras.client import Api
from saras.demo.flow import Quote
from saras.errors import CommandFailed

PATIENCE_S = 30.0
POLL_S = 0.2
UNKNOWN = frozenset({"unknown_instrument", "price_unavailable"})


def list_quotes(api: Api, count: int) -> list[Quote]:
    """The first ``count`` shares of NSE with their last prices; `CommandFailed` when they do not come."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        quotes = _quotes(api, count)
        if len(quotes) == count:
            return quotes
        if time.monotonic() > deadline:
            raise CommandFailed(f"the platform quotes {len(quotes)} instruments, {count} are needed")
        time.sleep(POLL_S)


def wait_tradable(api: Api, quotes: Sequence[Quote]) -> None:
    """Until the book knows every instrument and its price.

    Asked by selling what the user does not hold: that is refused either way and leaves no trace.
    """
    deadline = time.monotonic() + PATIENCE_S
    for quote in quotes:
        order = {"instrument": quote.instrument, "quantity": 1, "order_type": "MARKET"}
        while (answer := api.call("POST", "/sell", order)).code in UNKNOWN:
            if time.monotonic() > deadline:
                raise CommandFailed(f"{quote.instrument} cannot be traded: {answer.describe()}")
            time.sleep(POLL_S)


def _quotes(api: Api, count: int) -> list[Quote]:
    shares = [i for i in api.pages("/instruments") if i["kind"] == "EQ" and i["instrument"].startswith("NSE:")][:count]
    if not shares:
        return []
    names = ",".join(item["instrument"] for item in shares)
    last = {quote["instrument"]: quote["last_price"] for quote in api.get("/quotes", instruments=names)["items"]}
    return [
        Quote(name, paise(last[name]), paise(item["tick_size"]))
        for item in shares
        if (name := item["instrument"]) in last
    ]


def paise(rupees: str) -> int:
    """Whole paise of a decimal string."""
    whole, _, part = rupees.partition(".")
    value = abs(int(whole)) * 100 + int(part.ljust(2, "0")[:2] or "0")
    return -value if rupees.startswith("-") else value
