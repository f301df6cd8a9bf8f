"""What the use cases behind HTTP work with; wired once, in `app`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from saras_common.clock import Clock
from saras_common.errors import Conflict, NotFound, ServiceError
from saras_common.ids import NewId
from trade_executor.core.windows import Hours, WindowRules
from trade_executor.store.postgres import PostgresTransactions


class MarketShut(Conflict):
    code, title = "market_shut", "The market is shut; orders wait for the next session"


class BookSilent(ServiceError):
    code, status, title = "book_silent", 504, "The book did not give its totals in time"


class LoginRefused(Conflict):
    code, title = "broker_login_refused", "The broker did not accept the login"


@dataclass(frozen=True, slots=True)
class BrokerDoor:
    """How one account is reached from outside the leader."""

    account_id: str
    login_url: str
    log_in: Callable[[str], bytes]
    """Request token to sealed access token; `LoginRefused`."""
    is_genuine: Callable[[str, str, str], bool]
    """Whether a postback's checksum fits (order id, order timestamp, checksum)."""


@dataclass(frozen=True, slots=True)
class Context:
    """The tools of this service's HTTP side."""

    transactions: PostgresTransactions
    clock: Clock
    new_id: NewId
    mode: str
    window: WindowRules
    hours: Hours
    doors: dict[str, BrokerDoor]
    set_price: Callable[[str, int], None] | None
    """Sets a sandbox price; ``None`` in live mode."""
    session_ends_at: Callable[[datetime], datetime]

    @property
    def main_account(self) -> str:
        """The account the single-account answers speak of."""
        return next(iter(self.doors))

    def get_door(self, account_id: str | None) -> BrokerDoor:
        """The account asked for, or the main one; `NotFound`."""
        door = self.doors.get(account_id or self.main_account)
        if door is None:
            raise NotFound("No such broker account")
        return door
