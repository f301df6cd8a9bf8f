"""Market data: the instrument list at start and daily, last prices every second, changes told to the platform."""

import logging
import threading
from collections.abc import Callable
from datetime import date
from typing import Any

import requests

from saras_common.clock import Clock, trading_day
from saras_common.errors import Conflict, NotFound, Unavailable
from saras_common.events import InstrumentsListed, Listing, Mark, MarksChanged
from saras_common.money import rupees
from trade_executor.broker import BrokerUnavailable, Listed, MarketData, Quote
from trade_executor.store.postgres import PostgresTransactions

_log = logging.getLogger(__name__)

OK, BAD_REQUEST = 200, 400
QUOTES_A_CALL = 500
LISTINGS_AN_EVENT = 500


class Market:
    """Reads one broker's market data on a thread of its own, while ``connect`` gives a client."""

    def __init__(
        self,
        transactions: PostgresTransactions,
        clock: Clock,
        connect: Callable[[], MarketData | None],
        *,
        every_s: float,
    ) -> None:
        self._transactions = transactions
        self._clock = clock
        self._connect = connect
        self._every_s = every_s
        self._listed_on: date | None = None

    def run(self, stop: threading.Event) -> None:
        """Poll until ``stop``."""
        while not stop.is_set():
            try:
                self.turn()
            except BrokerUnavailable as error:
                _log.info("no market data: %s", error)
            except Unavailable as error:
                _log.warning("market data waits: %s", error)
            stop.wait(self._every_s)

    def turn(self) -> None:
        """One round: the list if today's was not read, then quotes."""
        source = self._connect()
        if source is None:
            return
        if self._listed_on != trading_day(self._clock.now()):
            self.list_instruments(source)
            self._listed_on = trading_day(self._clock.now())
        with self._transactions() as store:
            names = store.list_interesting(QUOTES_A_CALL)
        if names:
            self.keep_quotes(source.quotes(names))

    def list_instruments(self, source: MarketData) -> None:
        """Read the broker's whole list; tell what is new or changed."""
        listed = {row.instrument: row for row in source.instruments()}
        with self._transactions() as store:
            changed = [listed[name] for name in store.save_instruments(list(listed.values()))]
            now = self._clock.now()
            store.emit(
                InstrumentsListed(
                    at=now, listings=[_listing(row) for row in changed[start : start + LISTINGS_AN_EVENT]]
                )
                for start in range(0, len(changed), LISTINGS_AN_EVENT)
            )
        _log.info("instruments listed: %s, changed %s", len(listed), len(changed))

    def keep_quotes(self, quotes: dict[str, Quote]) -> None:
        """Store last prices and tell those that changed."""
        if quotes:
            with self._transactions() as store:
                tell_marks(store, quotes, self._clock)


def tell_marks(store: Any, quotes: dict[str, Quote], clock: Clock) -> None:
    """Store last prices; publish those that changed, in the caller's transaction."""
    now = clock.now()
    changed = store.save_marks(quotes, now)
    if changed:
        marks = [
            Mark(instrument=name, last_paise=quotes[name].last_paise, close_paise=quotes[name].close_paise)
            for name in changed
        ]
        store.emit([MarksChanged(at=now, marks=marks)])


def _listing(row: Listed) -> Listing:
    return Listing(
        instrument=row.instrument,
        token=row.token,
        name=row.name,
        tick_paise=row.tick_paise,
        lot_size=row.lot_size,
        kind=row.kind,
    )


class SandboxDesk:
    """The sandbox's own routes: its prices, and its account's cash."""

    def __init__(self, root: str, api_key: str, timeouts_s: tuple[float, float]) -> None:
        self._root = root.rstrip("/")
        self._api_key = api_key
        self._timeouts_s = timeouts_s

    def set_price(self, instrument: str, price_paise: int) -> None:
        """Set a last price; orders it reaches trade."""
        status = self._post("/sandbox/prices", {instrument: rupees(price_paise)})
        if status == BAD_REQUEST:
            raise NotFound("The sandbox does not know this instrument")
        if status != OK:
            raise Unavailable("The sandbox did not take the price", retry_after_s=1)

    def move_funds(self, amount_paise: int, reference: str) -> bool:
        """Move the account's cash once per reference; whether the sandbox said so."""
        if amount_paise == 0:
            return True
        body = {"amount": rupees(amount_paise), "ref": reference, "api_key": self._api_key}
        try:
            return self._post("/sandbox/funds", body) == OK
        except Unavailable:
            return False

    def _post(self, path: str, body: dict[str, str]) -> int:
        try:
            return requests.post(
                self._root + path, json=body, timeout=self._timeouts_s, allow_redirects=False
            ).status_code
        except requests.RequestException as error:
            raise Unavailable(f"The sandbox does not answer: {type(error).__name__}", retry_after_s=1) from error


class NotInSandbox(Conflict):
    """Prices come from the market."""

    code, title = "sandbox_only", "Only the sandbox lets prices be set"
