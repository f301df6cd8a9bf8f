"""What one HTTP request for orders asks and gets."""

from collections.abc import Sequence
from dataclasses import dataclass

from portfolio_service.domain.entry import Terms
from portfolio_service.domain.views import OrderView
from saras_common.errors import SarasError


@dataclass(frozen=True, slots=True)
class EntryRequest:
    """Orders of one user that came together. ``atomic``: all of them or none."""

    user_id: str
    orders: Sequence[Terms]
    atomic: bool
    key: str | None = None
    fingerprint: bytes = b""
    request_id: str | None = None
    basket_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to an `EntryRequest`: an error for the whole of it, or one item for each order, in order."""

    items: Sequence[OrderView | SarasError] = ()
    error: SarasError | None = None
    replayed: bool = False
