"""The loops of the worker: one leader an account with its login, and market data with its ticker."""

import logging
import threading

from saras_common.errors import Unavailable
from trade_executor import kite
from trade_executor.broker import BrokerUnavailable, MarketData, Quote
from trade_executor.engine.loop import LeaderLoop
from trade_executor.market import QUOTES_A_CALL, Market
from trade_executor.sealing import Unreadable
from trade_executor.settings import BrokerAccount
from trade_executor.ticker import TickerTarget, TickerWatch
from trade_executor.usecases import control
from trade_executor.wiring import Wiring, session_ends_at

_log = logging.getLogger(__name__)

LOGIN_RETRY_S = 0.5
MARKS_EVERY_S = 0.2


class AccountWork:
    """One account: the sandbox's login at start, then its leader."""

    def __init__(self, wiring: Wiring, account: BrokerAccount, loop: LeaderLoop) -> None:
        self.account = account
        self.loop = loop
        self._wiring = wiring
        self._market_version = 0
        self._market_client: kite.KiteBroker | None = None

    def run(self, stop: threading.Event) -> None:
        """Lead until ``stop``."""
        if not self._wiring.settings.is_live:
            threading.Thread(target=self._log_in_once, args=(stop,), name="sandbox-login", daemon=True).start()
        self.loop.run(stop)

    def _log_in_once(self, stop: threading.Event) -> None:
        """The sandbox asks nobody: log in once at start, when no login is kept. Never again by itself."""
        wiring, account = self._wiring, self.account
        login = wiring.login(account)
        while not stop.is_set():
            try:
                with wiring.transactions() as store:
                    store.ensure_account(account.id)
                    if store.find_session(account.id) is not None:
                        return
                token = kite.log_in(login, kite.sandbox_request_token(login), account.secret.get_secret_value())
                now = wiring.clock.now()
                with wiring.transactions() as store:
                    control.log_in(
                        store,
                        account.id,
                        wiring.sealer.seal(token, account.id),
                        expires_at=session_ends_at(now),
                        now=now,
                    )
            except (BrokerUnavailable, Unavailable) as error:
                _log.info("account %s: the sandbox is not ready: %s", account.id, error)
                stop.wait(LOGIN_RETRY_S)
            else:
                return

    @property
    def leads(self) -> bool:
        """Whether this process leads the account now."""
        return self.loop.leader.desk.leadership.lease is not None

    def find_market_data(self) -> MarketData | None:
        """A client for market data on the caller's thread, while this process leads and somebody is logged in."""
        if not self.leads:
            return None
        with self._wiring.transactions() as store:
            session = store.find_session(self.account.id)
        if session is None:
            return None
        if self._market_client is None or self._market_version != session.version:
            try:
                self._market_client = self._wiring.connect(self.account, session)
            except Unreadable:
                _log.exception("account %s: log in again", self.account.id)
                return None
            self._market_version = session.version
        return self._market_client

    def find_ticker_target(self) -> TickerTarget | None:
        """What a ticker should listen to, under the same conditions."""
        if self.find_market_data() is None or self._market_client is None:
            return None
        with self._wiring.transactions() as store:
            tokens = store.list_tokens(store.list_interesting(QUOTES_A_CALL))
        settings = self._wiring.settings
        return TickerTarget(settings.ticker_url, self.account.api_key, self._market_client.access_token, tokens)


class MarketWork:
    """Quotes by polling, marks and hints by the ticker."""

    def __init__(self, wiring: Wiring, work: AccountWork, market: Market) -> None:
        self._work = work
        self._market = market
        self._enabled = wiring.settings.ticker_enabled
        self._lock = threading.Lock()
        self._fresh: dict[str, Quote] = {}

    def run(self, stop: threading.Event) -> None:
        """Until ``stop``."""
        threads = [threading.Thread(target=self._market.run, args=(stop,), name="quotes", daemon=True)]
        if self._enabled:
            watch = TickerWatch(self._work.find_ticker_target, self._keep, lambda: self._work.loop.wake(hint=True))
            threads.append(threading.Thread(target=watch.run, args=(stop,), name="ticker-watch", daemon=True))
            threads.append(threading.Thread(target=self._store, args=(stop,), name="marks", daemon=True))
        for thread in threads:
            thread.start()
        stop.wait()
        for thread in threads:
            thread.join(timeout=5)

    def _keep(self, quotes: dict[str, Quote]) -> None:
        with self._lock:
            self._fresh.update(quotes)

    def _store(self, stop: threading.Event) -> None:
        """Store what ticked, a few times a second."""
        while not stop.wait(MARKS_EVERY_S):
            with self._lock:
                quotes, self._fresh = self._fresh, {}
            try:
                self._market.keep_quotes(quotes)
            except Unavailable as error:
                _log.warning("marks not stored: %s", error)
