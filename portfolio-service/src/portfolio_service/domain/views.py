"""Facts as they are shown to people, still in paise and instants."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

NO_CHARGES = (0, 0, 0, 0, 0, 0, 0)


class OrderView(NamedTuple):
    """An order with everything a client sees of it. ``timeline`` is [at, status, note] after acceptance."""

    id: str
    user_id: str
    portfolio_id: str
    instrument: str
    side: str
    order_type: str
    product: str
    quantity: int
    price_paise: int | None
    trigger_price_paise: int | None
    validity: str
    status: str
    status_reason: str | None
    filled_quantity: int
    filled_paise: int
    charges: Sequence[int]
    basket_id: str | None
    batch_id: str | None
    created_at: datetime
    updated_at: datetime
    timeline: Sequence[Sequence[str | None]]

    def as_accepted(self) -> "OrderView":
        """The order as it was answered when it came in."""
        return self._replace(
            status="ACCEPTED",
            status_reason=None,
            filled_quantity=0,
            filled_paise=0,
            charges=NO_CHARGES,
            batch_id=None,
            updated_at=self.created_at,
            timeline=(),
        )
