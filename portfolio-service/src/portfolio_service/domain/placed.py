"""An order as it was accepted."""

from datetime import datetime
from typing import NamedTuple

from portfolio_service.domain.entry import Accepted


class Placed(NamedTuple):
    """An accepted order with its identity: what is stored, told to the executor and answered."""

    id: str
    user_id: str
    account_id: str
    basket_id: str | None
    journal_id: str
    created_at: datetime
    accepted: Accepted
