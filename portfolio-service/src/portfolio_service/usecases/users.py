"""What user-service tells the book about people."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from portfolio_service.store import clients
from saras_common.events import UserChanged
from saras_common.ids import NewId


def change_users(session: Session, events: Sequence[UserChanged], *, now: datetime, new_id: NewId) -> None:
    """Keep users' status and KYC; a user never met gets a default portfolio."""
    if events:
        clients.lock_wallets(session, (str(event.user_id) for event in events), now, new_id)
        clients.change_clients(session, events)
