"""The JSON of this service: amounts become rupee strings here, and nowhere else."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from math import isfinite
from typing import Any
from uuid import UUID

from analytics_service.domain.attribution import Effects, Exposure, exposure
from analytics_service.domain.figures import Figure
from analytics_service.domain.labels import LABELS
from analytics_service.domain.positions import Position
from analytics_service.domain.trades import Source
from analytics_service.store.reports import Report
from analytics_service.store.trades import PositionKey, RejectedTrade
from analytics_service.usecases import contributing
from analytics_service.usecases.attribution import CONVENTION, Attribution
from analytics_service.usecases.contributing import Contributions
from analytics_service.usecases.history import Bar
from analytics_service.usecases.overview import Overview
from analytics_service.usecases.performance import Performance
from analytics_service.usecases.pictures import contributions_of
from saras_common.money import average_price, rupees

CASH, EQUITY, UNKNOWN = "Cash", "Equity", "Unknown"
NO_PRICE = "no_price"
MOST_SHARES = 2**63 - 1
"""Of one instrument in one period; more, as splits counted back may make of them, are said to be unknown."""


def money(paise: int | None) -> str | None:
    """Rupees, or ``None`` for what is not known."""
    return None if paise is None else rupees(paise)


def figures_document(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Every figure with its label, unit and convention."""
    return {
        name: {"label": LABELS[name].text, "unit": "ratio" if LABELS[name].percent else "number", **figure.as_dict()}
        for name, figure in figures.items()
    }


def overview_document(overview: Overview, now: datetime) -> dict[str, Any]:
    """What a user has now. Totals are the book's; ``elsewhere`` is the user's own record and counts in none of them."""
    book = overview.book
    value = book.market_value
    cost = sum(shelf.cost for shelf in book.shelves)
    worth = None if value is None else value + book.cash
    unpriced = sorted({shelf.instrument for shelf in book.shelves if shelf.value is None})
    own = [(key, position) for key, position in overview.positions if key[1] == Source.PLATFORM]
    return {
        "user_id": book.user_id,
        "as_of": now,
        "cash": rupees(book.cash),
        "market_value": money(value),
        "total_value": money(worth),
        "reason": NO_PRICE if unpriced else None,
        "unpriced": unpriced,
        "invested": rupees(cost),
        "realised_pnl": rupees(sum(shelf.realised for shelf in book.shelves)),
        "unrealised_pnl": None if value is None else rupees(value - cost),
        "charges": rupees(sum(shelf.charges for shelf in book.shelves)),
        "deposited": rupees(book.deposited),
        "withdrawn": rupees(book.withdrawn),
        "net_invested": rupees(book.deposited - book.withdrawn),
        "profit": None if worth is None else rupees(worth - book.deposited + book.withdrawn),
        "last_close": overview.last_close,
        "benchmark": overview.performance.benchmark,
        "figures": figures_document(overview.performance.figures),
        "exposure": _exposure_document(overview),
        "contribution": [{"name": name, "profit": rupees(paise)} for name, paise in contributions_of(book)],
        "positions": [_position_document(key, position, overview) for key, position in own],
        "traded": traded_document([position for _, position in own], _unrealised(own, overview.last)),
        "elsewhere": [
            _position_document(key, position, overview)
            for key, position in overview.positions
            if key[1] == Source.ELSEWHERE
        ],
    }


def traded_document(positions: Sequence[Position], unrealised: int | None) -> dict[str, Any]:
    """How much was traded and what it brought, of one position or all of them."""
    volume = sum(position.bought + position.sold for position in positions)
    trades = sum(position.trades for position in positions)
    return {
        "realised_pnl": rupees(sum(position.realised for position in positions)),
        "realised_pnl_fifo": rupees(sum(position.fifo_realised for position in positions)),
        "unrealised_pnl": money(unrealised),
        "charges": rupees(sum(position.charges for position in positions)),
        "bought": sum(position.bought for position in positions),
        "bought_value": rupees(sum(position.bought_paise for position in positions)),
        "sold": sum(position.sold for position in positions),
        "sold_value": rupees(sum(position.sold_paise for position in positions)),
        "volume": volume,
        "trades": trades,
        "average_size": None if trades == 0 else rupees((200 * volume + trades) // (2 * trades)),
    }


def performance_document(
    user_id: UUID, performance: Performance, contributed: Contributions, attribution: Attribution
) -> dict[str, Any]:
    """How a user did over a period, and the days it is computed from."""
    history = performance.history
    days = [day.item() for day in history.days]
    lines = zip(days, history.values[0], history.deposits[0], history.withdrawals[0], strict=True)
    return {
        "user_id": user_id,
        "first_on": days[0] if days else None,
        "last_on": days[-1] if days else None,
        "is_live": performance.is_live,
        "benchmark": performance.benchmark,
        "figures": figures_document(performance.figures),
        "contribution": {
            "items": [
                {"name": one.name, "profit": rupees(one.pnl_paise), "ratio": one.ratio} for one in contributed.items
            ],
            "reason": contributed.reason,
            "convention": contributing.CONVENTION,
        },
        "attribution": {
            "sectors": _effects_documents(attribution.sectors),
            "asset_classes": _effects_documents(attribution.asset_classes),
            "reason": attribution.reason,
            "convention": CONVENTION,
        },
        "history": [
            {
                "day": day,
                "value": rupees(int(value)) if isfinite(value) else None,
                "deposits": rupees(int(put_in)),
                "withdrawals": rupees(int(taken_out)),
            }
            for day, value, put_in, taken_out in lines
        ],
    }


def history_document(instrument: str, interval: str, bars: Sequence[Bar], *, adjusted: bool) -> dict[str, Any]:
    """An instrument over time, gaps as gaps."""
    return {
        "instrument": instrument,
        "interval": interval,
        "adjusted": adjusted,
        "gaps": sum(bar.close is None for bar in bars),
        "items": [
            {
                "day": bar.day,
                "open": _price(bar.open),
                "high": _price(bar.high),
                "low": _price(bar.low),
                "close": _price(bar.close),
                "volume": None if bar.volume is None or bar.volume > MOST_SHARES else bar.volume,
            }
            for bar in bars
        ],
    }


def report_document(report: Report) -> dict[str, Any]:
    """A report asked for."""
    return {
        "id": report.id,
        "name": report.name,
        "date": report.day,
        "all_users": report.all_users,
        "status": report.status,
        "progress": report.progress,
        "reason": report.reason,
        "created_at": report.created_at,
        "finished_at": report.finished_at,
        "filename": report.filename,
    }


def rejected_document(rejected: RejectedTrade) -> dict[str, Any]:
    """A trade that did not pass, as it was told."""
    body = rejected.body
    return {
        "id": rejected.id,
        "user_id": rejected.user_id,
        "trade": {
            "source": body["source"],
            "instrument": body["instrument"],
            "product": body["product"],
            "side": body["side"],
            "kind": body["kind"],
            "quantity": body["quantity"],
            "value": rupees(body["value_paise"]),
            "traded_at": body["traded_at"],
        },
        "reason": rejected.reason,
        "detail": rejected.detail,
        "status": rejected.status,
        "rejected_at": rejected.rejected_at,
        "corrections": rejected.corrections,
        "replayed_at": rejected.replayed_at,
    }


def _position_document(key: PositionKey, position: Position, overview: Overview) -> dict[str, Any]:
    _, source, instrument, product = key
    return {
        "instrument": instrument,
        "product": product,
        "source": source,
        "sector": overview.sectors.get(instrument),
        "side": position.side,
        "quantity": position.quantity,
        "cost": rupees(position.cost),
        "average_price": average_price(abs(position.cost), abs(position.quantity)),
        "fifo_cost": rupees(position.fifo_cost),
        "last_price": money(overview.last.get(instrument)),
        **traded_document([position], _unrealised([(key, position)], overview.last)),
    }


def _unrealised(positions: Iterable[tuple[PositionKey, Position]], last: Mapping[str, int]) -> int | None:
    """At last prices, less cost; unknown when a price is missing."""
    result = 0
    for key, position in positions:
        price = last.get(key[2])
        if position.quantity and price is None:
            return None
        result += position.quantity * (price or 0) - position.cost
    return result


def _exposure_document(overview: Overview) -> dict[str, Any]:
    book = overview.book
    held = [
        (overview.sectors.get(shelf.instrument) or UNKNOWN, shelf.value)
        for shelf in book.shelves
        if shelf.quantity and shelf.value is not None
    ]
    cash = [(CASH, book.cash)] if book.cash else []
    classes = [(EQUITY, value) for _, value in held] + cash
    return {"sectors": _shares(exposure(held + cash)), "asset_classes": _shares(exposure(classes))}


def _shares(parts: Iterable[Exposure]) -> list[dict[str, Any]]:
    return [{"group": part.group, "value": rupees(part.value_paise), "weight": part.weight} for part in parts]


def _effects_documents(effects: Mapping[str, Effects]) -> list[dict[str, Any]]:
    return [
        {
            "group": group,
            "allocation": found.allocation,
            "selection": found.selection,
            "interaction": found.interaction,
        }
        for group, found in effects.items()
    ]


def _price(paise: Decimal | None) -> str | None:
    return None if paise is None else rupees(int(paise.to_integral_value(ROUND_HALF_UP)))
