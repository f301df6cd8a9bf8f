"""Where the book's events go: its own outbox, in the transaction they tell of."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from portfolio_service.models import SCHEMA
from saras_common.events import Event, pack_rows
from saras_common.outbox import Outbox

_OUTBOX = Outbox(SCHEMA)


def tell(session: Session, events: Iterable[Event]) -> None:
    """Publish ``events`` once the caller's transaction is committed."""
    _OUTBOX.add(session, events)


def tell_rows(session: Session, cls: type[Event], rows: Iterable[Mapping[str, Any]], *, soon: bool = False) -> None:
    """`tell` for hot paths: events of one kind as plain mappings, complete; ``soon``: they wait for no company."""
    _OUTBOX.add_messages(session, list(pack_rows(cls, rows)), soon=soon)


def waiting(session: Session) -> int:
    """Events not yet on the bus."""
    return _OUTBOX.depth(session)
