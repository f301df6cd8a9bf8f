"""Portfolios: shelves with a name. Cash is the user's and counted with the default one."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portfolio_service.domain.refusals import NameTaken
from portfolio_service.domain.valuation import Shelf, Totals, total
from portfolio_service.models import PortfolioRow
from portfolio_service.store import clients, reports
from saras_common.clock import trading_day
from saras_common.db import is_unique_violation
from saras_common.errors import NotFound
from saras_common.ids import NewId


@dataclass(frozen=True, slots=True)
class PortfolioView:
    """A portfolio on today's marks."""

    id: str
    name: str
    benchmark: str | None
    is_default: bool
    cash_paise: int
    shelves: list[Shelf]
    totals: Totals


def create_portfolio(
    session: Session, user_id: UUID, name: str, benchmark: str | None, *, now: datetime, new_id: NewId
) -> PortfolioView:
    """A new, empty portfolio; `NameTaken` when the user has one of that name."""
    clients.lock_wallets(session, [str(user_id)], now, new_id)
    row = PortfolioRow(id=new_id(), user_id=user_id, name=name, benchmark=benchmark, created_at=now)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        if is_unique_violation(error):
            raise NameTaken from None
        raise
    return PortfolioView(str(row.id), name, benchmark, False, 0, [], total([], trading_day(now)))


def list_portfolios(session: Session, user_id: UUID, *, now: datetime, new_id: NewId) -> list[PortfolioView]:
    """All of a user's portfolios, the default one first."""
    owner = str(user_id)
    default_id = clients.get_default_portfolio(session, owner, now, new_id)
    shelves = reports.list_shelves(session, user_id)
    cash = sum(reports.get_funds(session, user_id))
    today = trading_day(now)
    views = [_view(row, default_id, shelves, cash, today) for row in reports.list_portfolios(session, user_id)]
    return sorted(views, key=lambda view: not view.is_default)


def get_portfolio(
    session: Session, user_id: UUID, portfolio_id: UUID | None, *, now: datetime, new_id: NewId
) -> PortfolioView:
    """One portfolio, the default one without an id; `NotFound` when it is not this user's."""
    for view in list_portfolios(session, user_id, now=now, new_id=new_id):
        if view.is_default if portfolio_id is None else view.id == str(portfolio_id):
            return view
    raise NotFound


def _view(row: PortfolioRow, default_id: str, shelves: list[Shelf], cash: int, today: date) -> PortfolioView:
    own = [shelf for shelf in shelves if shelf.portfolio_id == str(row.id)]
    is_default = str(row.id) == default_id
    return PortfolioView(
        str(row.id), row.name, row.benchmark, is_default, cash if is_default else 0, own, total(own, today)
    )
