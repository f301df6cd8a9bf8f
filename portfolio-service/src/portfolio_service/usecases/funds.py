"""Cash in and out of users' accounts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from portfolio_service.domain.ledger import CASH, CASH_ASSET, EXTERNAL, HELD, Entry, move
from portfolio_service.domain.refusals import InsufficientFunds, MovementDecided, UserDisabled
from portfolio_service.models import MovementRow
from portfolio_service.store import clients, funds, ledger, outbox
from saras_common.errors import NotFound
from saras_common.events import FundsMoved
from saras_common.ids import NewId


def deposit(
    session: Session, user_id: UUID, amount_paise: int, *, instant: bool, now: datetime, new_id: NewId
) -> MovementRow:
    """Record a deposit; the cash is there at once when ``instant``, else when an admin approves it."""
    return _start(session, user_id, "deposit", amount_paise, instant=instant, now=now, new_id=new_id)


def withdraw(
    session: Session, user_id: UUID, amount_paise: int, *, instant: bool, now: datetime, new_id: NewId
) -> MovementRow:
    """Pay out at once when ``instant``, else hold the cash until an admin decides; `InsufficientFunds`."""
    return _start(session, user_id, "withdrawal", amount_paise, instant=instant, now=now, new_id=new_id)


def _start(
    session: Session, user_id: UUID, kind: str, amount_paise: int, *, instant: bool, now: datetime, new_id: NewId
) -> MovementRow:
    owner = str(user_id)
    wallet = clients.lock_wallets(session, [owner], now, new_id)[owner]
    if wallet.status != "active":
        raise UserDisabled
    if kind == "withdrawal" and ledger.list_cash(session, [owner]).get((owner, wallet.account_id), 0) < amount_paise:
        raise InsufficientFunds
    movement = MovementRow(
        id=new_id(),
        user_id=user_id,
        account_id=wallet.account_id,
        kind=kind,
        amount_paise=amount_paise,
        status="completed" if instant else "pending",
        created_at=now,
        decided_at=now if instant else None,
        decided_by=None,
    )
    funds.add_movement(session, movement)
    if instant:
        _complete(session, movement, CASH, now)
    elif kind == "withdrawal":
        _hold(session, movement, (CASH, HELD), "reserve", now, new_id)
    return movement


def approve(session: Session, movement_id: UUID, *, by: UUID, now: datetime) -> MovementRow:
    """Let a pending movement happen."""
    movement = _pending(session, movement_id)
    funds.decide(session, movement, "completed", by, now)
    _complete(session, movement, HELD, now)
    return movement


def reject(session: Session, movement_id: UUID, *, by: UUID, now: datetime, new_id: NewId) -> MovementRow:
    """Refuse a pending movement; what a withdrawal held is free again."""
    movement = _pending(session, movement_id)
    funds.decide(session, movement, "rejected", by, now)
    if movement.kind == "withdrawal":
        _hold(session, movement, (HELD, CASH), "release", now, new_id)
    return movement


def _pending(session: Session, movement_id: UUID) -> MovementRow:
    movement = funds.find_for_decision(session, movement_id)
    if movement is None:
        raise NotFound
    if movement.status != "pending":
        raise MovementDecided
    return movement


def _complete(session: Session, movement: MovementRow, source: str, now: datetime) -> None:
    """Book the movement and tell the executor, whose broker account has to move by as much."""
    incoming = movement.kind == "deposit"
    amount = movement.amount_paise if incoming else -movement.amount_paise
    journal, owner, account_id = str(movement.id), str(movement.user_id), movement.account_id
    account = CASH if incoming else source
    ledger.add_entries(
        session,
        [
            Entry(journal, owner, account, account_id, CASH_ASSET, amount, movement.kind, None, 0, 0, now),
            Entry(journal, owner, EXTERNAL, account_id, CASH_ASSET, -amount, movement.kind, None, 0, 0, now),
        ],
    )
    moved = FundsMoved(
        at=now,
        movement_id=movement.id,
        user_id=movement.user_id,
        account_id=account_id,
        amount_paise=amount,
    )
    outbox.tell(session, [moved])


def _hold(
    session: Session, movement: MovementRow, route: tuple[str, str], kind: str, now: datetime, new_id: NewId
) -> None:
    owner, amount = str(movement.user_id), movement.amount_paise
    legs = move(str(new_id()), owner, movement.account_id, CASH_ASSET, amount, route, kind, None, now)
    ledger.add_entries(session, legs)
