"""Reports: what they say, gathered from the book's closes and the trade store; on demand, queued, and after a close."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from analytics_service.book import UserBook
from analytics_service.domain.positions import Position
from analytics_service.domain.replaying import Deal, deals_of, positions_of
from analytics_service.domain.tax import LotTrade, match_fifo
from analytics_service.domain.trades import NOBODY, Source
from analytics_service.reports import NAMES, CashRow, Document, Person, PnlRow, PositionRow, ReportData, TradeRow
from analytics_service.store import market, people, reports, trades, valuations
from analytics_service.store.reports import Report
from analytics_service.usecases.context import Context
from analytics_service.usecases.performance import get_performance
from saras_common.auth import Identity
from saras_common.charges import KINDS
from saras_common.clock import IST, trading_day
from saras_common.errors import InvalidInput, NotFound

AFTER_CLOSE = ("positions", "pnl_summary", "trades")
"""Made for all users after each close; anybody's own are made when they are asked for."""

ABOUT_ALL_USERS = frozenset({"positions", "pnl_summary", "trades", "tax_lots"})
USERS_AT_ONCE = 200
STALE_S = 120
UNKNOWN_SECTOR = "Unknown"
_FIGURES = ("twr", "xirr", "volatility", "max_drawdown", "best_day", "worst_day")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose, of which day, until which instant."""

    user_id: UUID
    day: date
    now: datetime
    books: Mapping[UUID, UserBook] | None = None
    """What the book says of everybody, where it was asked already."""

    @property
    def until(self) -> datetime:
        """The end of the day in India."""
        return _midnight(self.day + timedelta(days=1))


def build_report(ctx: Context, name: str, user_id: UUID, day: date | None, *, password: str = "") -> Document:
    """One user's report of a day, today unless told; `NotFound` for an unknown name."""
    from analytics_service.reports import build

    if name not in NAMES:
        raise NotFound
    scope = _scope(ctx, user_id, day)
    if name == "monthly_statement":
        scope = replace(scope, day=_month_end(scope.day))
    return build(name, _gather(ctx, name, scope), password=password)


def visible_to(ctx: Context, caller: Identity) -> AbstractContextManager[Session]:
    """A transaction that sees the caller's reports alone; an administrator's sees those about all users too."""
    return ctx.database.for_service() if caller.is_admin else ctx.database.for_users(caller.user_id)


def queue_report(ctx: Context, name: str, owner_id: UUID, day: date | None, *, all_users: bool) -> Report:
    """Have it made by the worker; about all users only what is a table."""
    if name not in NAMES or (all_users and name not in ABOUT_ALL_USERS):
        raise InvalidInput(errors=[{"field": "name", "message": "there is no such report"}])
    now = ctx.clock.now()
    report = Report(
        ctx.new_id(), owner_id, all_users, name, day or trading_day(now), "queued", 0, None, now, None, None
    )
    with ctx.database.for_service() if all_users else ctx.database.for_users(owner_id) as session:
        reports.add_report(session, report)
    return report


def schedule(ctx: Context, day: date) -> None:
    """The tables of all users after the close of ``day``."""
    for name in AFTER_CLOSE:
        queue_report(ctx, name, NOBODY, day, all_users=True)


def work_one(ctx: Context) -> bool:
    """Make the next report that waits; false when none does."""
    with ctx.database.for_service() as session:
        report = reports.take_report(session, STALE_S)
    if report is None:
        return False
    try:
        document = (
            _for_all(ctx, report) if report.all_users else build_report(ctx, report.name, report.owner_id, report.day)
        )
    except (ValueError, NotFound) as error:
        with ctx.database.for_service() as session:
            reports.fail_report(session, report.id, str(error), ctx.clock.now())
        return True
    with ctx.database.for_service() as session:
        reports.finish_report(
            session,
            report.id,
            filename=document.filename,
            media_type=document.media_type,
            content=document.content,
            now=ctx.clock.now(),
        )
    return True


def _for_all(ctx: Context, report: Report) -> Document:
    from analytics_service.reports import build

    users, books = _everybody(ctx, report.day)
    joined = ReportData(on=report.day, generated_at=report.created_at)
    parts: list[ReportData] = []
    told = 0
    for number, user_id in enumerate(users):
        parts.append(_gather(ctx, report.name, replace(_scope(ctx, user_id, report.day), books=books)))
        progress = (number + 1) * 99 // len(users)
        if progress > told:
            told = progress
            with ctx.database.for_service() as session:
                reports.set_progress(session, report.id, progress)
    return build(
        report.name,
        replace(
            joined,
            positions=[row for part in parts for row in part.positions],
            pnl=[row for part in parts for row in part.pnl],
            trades=[row for part in parts for row in part.trades],
            closed_lots=[row for part in parts for row in part.closed_lots],
            open_lots=[row for part in parts for row in part.open_lots],
        ),
    )


def _everybody(ctx: Context, day: date) -> tuple[list[UUID], Mapping[UUID, UserBook] | None]:
    """Whoever was valued, has traded, or is in the book; before the day's close the book too, asked once for all."""
    users: set[UUID] = set()
    with ctx.database.for_service() as session:
        after: UUID | None = None
        while part := valuations.list_valued_users(session, after, USERS_AT_ONCE):
            users.update(part)
            after = part[-1]
        users.update(trades.list_traders(session))
        is_closed = bool(valuations.list_close_days(session, day, day))
    if is_closed or day != trading_day(ctx.clock.now()):
        return sorted(users), None
    books = {book.user_id: book for page in ctx.book.pages() for book in page}
    return sorted(users | books.keys()), books


def _scope(ctx: Context, user_id: UUID, day: date | None) -> Scope:
    now = ctx.clock.now()
    today = trading_day(now)
    if day is not None and day > today:
        raise InvalidInput(errors=[{"field": "date", "message": "is in the future"}])
    return Scope(user_id, day or today, now)


def _gather(ctx: Context, name: str, scope: Scope) -> ReportData:
    """Everything the report ``name`` needs, in one transaction of the user's own rows."""
    data = ReportData(on=scope.day, generated_at=scope.now)
    with ctx.database.for_users(scope.user_id) as session:
        rows = trades.list_trades_until(session, [scope.user_id], scope.until)
        own = positions_of(rows)
        match name:
            case "positions":
                return replace(data, positions=_positions(ctx, session, scope, own))
            case "pnl_summary":
                return replace(data, pnl=_pnl(ctx, session, scope, own))
            case "trades":
                today = [trade for trade in rows if trading_day(trade.traded_at) == scope.day]
                return replace(data, trades=_trade_rows(scope, deals_of(today)))
            case "tax_lots":
                names = {trade.instrument for trade in rows}
                actions = market.list_actions_until(session, names, scope.day)
                lots = match_fifo(_lot_trades(deals_of(rows)), actions)
                return replace(
                    data,
                    closed_lots=[(str(scope.user_id), lot) for lot in lots.closed],
                    open_lots=[(str(scope.user_id), lot) for lot in lots.open],
                )
            case "contract_note":
                today = [
                    trade
                    for trade in rows
                    if trading_day(trade.traded_at) == scope.day and trade.source == Source.PLATFORM
                ]
                return replace(data, person=_person(session, scope), trades=_trade_rows(scope, deals_of(today)))
            case _:
                return _statement(ctx, session, scope, data, own, deals_of(rows))


def _positions(
    ctx: Context, session: Session, scope: Scope, own: dict[tuple[str, str, str], Position]
) -> list[PositionRow]:
    """What the book said at the close of the day, or says now; realised profit from the trade store."""
    held = _held(ctx, session, scope)
    names = {line[1] for line in held}
    sectors = market.list_sectors(session, names)
    realised = {key[1:]: position.realised for key, position in own.items() if key[0] == Source.PLATFORM}
    return [
        PositionRow(
            str(scope.user_id),
            str(portfolio_id),
            instrument,
            product,
            sectors.get(instrument) or UNKNOWN_SECTOR,
            quantity,
            cost,
            last,
            realised.pop((instrument, product), 0),
        )
        for portfolio_id, instrument, product, quantity, cost, last in held
    ]


def _held(ctx: Context, session: Session, scope: Scope) -> list[tuple[UUID, str, str, int, int, int | None]]:
    """(portfolio, instrument, product, quantity, cost, last price) at the close of the day, or as it stands today."""
    closed = valuations.list_close_days(session, scope.day, scope.day)
    if not closed and scope.day == trading_day(scope.now):
        book = ctx.book.find(scope.user_id) if scope.books is None else scope.books.get(scope.user_id)
        shelves = () if book is None else book.shelves
        return [(s.portfolio_id, s.instrument, s.product, s.quantity, s.cost, s.last) for s in shelves if s.quantity]
    lines = valuations.list_held_on(session, scope.user_id, scope.day)
    last = _closes(session, {line.instrument for line in lines}, scope.day)
    return [(ln.portfolio_id, ln.instrument, ln.product, ln.quantity, ln.cost, last.get(ln.instrument)) for ln in lines]


def _closes(session: Session, names: Iterable[str], day: date) -> dict[str, int]:
    """Closes of a day; what has none that day is left out."""
    return {row[0]: row[5] for row in market.list_prices(session, sorted(names), day, day)}


def _pnl(ctx: Context, session: Session, scope: Scope, own: dict[tuple[str, str, str], Position]) -> list[PnlRow]:
    names = {key[1] for key in own if key[0] == Source.PLATFORM}
    last = _closes(session, names, scope.day)
    if scope.day == trading_day(scope.now):
        last |= {line[1]: line[5] for line in _held(ctx, session, scope) if line[5] is not None}
    rows = []
    for instrument in sorted(names):
        parts = [position for key, position in own.items() if key[:2] == (Source.PLATFORM, instrument)]
        quantity, cost = sum(part.quantity for part in parts), sum(part.cost for part in parts)
        price = last.get(instrument)
        unrealised = -cost if quantity == 0 else None if price is None else quantity * price - cost
        rows.append(
            PnlRow(
                str(scope.user_id),
                "",
                instrument,
                sum(part.realised for part in parts),
                unrealised,
                sum(part.charges for part in parts),
                sum(part.bought for part in parts),
                sum(part.bought_paise for part in parts),
                sum(part.sold for part in parts),
                sum(part.sold_paise for part in parts),
                sum(part.trades for part in parts),
            )
        )
    return rows


def _trade_rows(scope: Scope, deals: Sequence[Deal]) -> list[TradeRow]:
    return [
        TradeRow(
            str(scope.user_id),
            "",
            str(deal.order_id),
            str(deal.order_id),
            deal.instrument,
            deal.side,
            deal.product,
            deal.quantity,
            deal.value_paise,
            deal.traded_at,
            deal.settles_on,
            deal.counterparty,
            deal.source,
            **{f"{kind}_paise": paise for kind, paise in zip(KINDS, deal.charges, strict=True)},
        )
        for deal in deals
        if deal.quantity
    ]


def _lot_trades(deals: Sequence[Deal]) -> list[LotTrade]:
    return [
        LotTrade(
            str(deal.order_id),
            deal.instrument,
            deal.traded_at,
            trading_day(deal.traded_at),
            deal.quantity if deal.side == "BUY" else -deal.quantity,
            deal.value_paise,
            deal.product if deal.source == Source.PLATFORM else deal.source,
        )
        for deal in deals
        if deal.quantity
    ]


def _statement(
    ctx: Context,
    session: Session,
    scope: Scope,
    data: ReportData,
    own: dict[tuple[str, str, str], Position],
    deals: Sequence[Deal],
) -> ReportData:
    begins = scope.day.replace(day=1)
    flows = [flow for flow in people.list_flows(session, scope.user_id) if flow.at < scope.until]
    paid = [(flow.at, "Deposit" if flow.amount_paise > 0 else "Withdrawal", flow.amount_paise) for flow in flows]
    traded = [
        (deal.traded_at, f"{deal.side.title()} {deal.quantity} {deal.instrument}", deal.cash_paise)
        for deal in deals
        if deal.source == Source.PLATFORM
    ]
    moves = sorted([*paid, *traded], key=lambda move: move[0])
    balance = sum(amount for at, _, amount in moves if at < _midnight(begins))
    cash = []
    for at, what, amount in moves:
        if at >= _midnight(begins):
            balance += amount
            cash.append(CashRow(trading_day(at), what, amount, balance))
    moved = [flow.amount_paise for flow in flows if flow.at >= _midnight(begins)]
    figures = get_performance(
        session,
        scope.user_id,
        first=begins,
        last=scope.day,
        benchmark=ctx.rules.benchmark,
        risk_free=ctx.rules.risk_free,
    ).figures
    last_day = min(scope.day, trading_day(scope.now))
    monthly = [deal for deal in deals if deal.source == Source.PLATFORM and deal.traded_at >= _midnight(begins)]
    return replace(
        data,
        person=_person(session, scope),
        positions=_positions(ctx, session, replace(scope, day=last_day), own),
        trades=_trade_rows(scope, monthly),
        cash=cash,
        opening_paise=_worth(session, scope.user_id, begins - timedelta(days=1)),
        closing_paise=_worth(session, scope.user_id, scope.day),
        paid_in_paise=sum(amount for amount in moved if amount > 0),
        paid_out_paise=-sum(amount for amount in moved if amount < 0),
        closing_cash_paise=balance,
        figures=[(name, figures[name]) for name in _FIGURES],
    )


def _worth(session: Session, user_id: UUID, day: date) -> int | None:
    """Cash and holdings at the last close up to ``day``; unknown without one or without a price."""
    rows = valuations.list_valuations(session, user_id, day - timedelta(days=31), day)
    latest = [row for on, row in rows if on == rows[-1][0]]
    values = [None if row.market is None else row.cash + row.market for row in latest]
    return sum(value for value in values if value is not None) if values and None not in values else None


def _person(session: Session, scope: Scope) -> Person:
    found = people.find_person(session, scope.user_id)
    name, email = ("", "") if found is None else found
    return Person(str(scope.user_id), name, email)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=IST)


def _month_end(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
