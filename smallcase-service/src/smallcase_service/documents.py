"""What goes out, as the API writes it: money as strings of rupees, weights and rates as decimal fractions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from saras_common import jsonio
from saras_common.clock import rfc3339
from saras_common.money import rupees
from smallcase_service.domain import figures as method
from smallcase_service.domain.figures import Figures
from smallcase_service.domain.pricing import charges_of, sell_charges
from smallcase_service.domain.proposals import fraction
from smallcase_service.domain.runs import Leg
from smallcase_service.domain.validation import Issue
from smallcase_service.store.runs import Run
from smallcase_service.store.sips import Sip
from smallcase_service.usecases.previewing import Preview
from smallcase_service.usecases.pricing import Board
from smallcase_service.usecases.starting import Started
from smallcase_service.usecases.suggesting import Suggested
from smallcase_service.usecases.views import HoldingView, InvestmentView, SmallcaseView
from smallcase_service.usecases.whatif import ORDERS_A_SECOND, WhatIf

NO_UNITS = "the index starts once every constituent has had a price"
NO_PRICE = "a constituent has no price yet"


def money(paise: int | None) -> str | None:
    """Rupees, or nothing."""
    return None if paise is None else rupees(paise)


def rate(value: float | None) -> str | None:
    """A figure as a decimal fraction, six places."""
    return None if value is None else f"{value:.6f}"


def smallcase_document(view: SmallcaseView) -> dict[str, Any]:
    """A smallcase: composition, version, figures with the reasons of those that are ``null``, validation."""
    one, shown = view.smallcase, view.figures
    reasons = _reasons(view)
    return {
        "id": str(one.id),
        "owner_id": str(one.owner_id),
        "name": one.name,
        "description": one.description,
        "visibility": one.visibility,
        "weighting": one.weighting,
        "version": one.version,
        "constituents": [
            {
                "instrument": part.instrument,
                "weight": fraction(part.weight),
                "floor": None if part.floor is None else fraction(part.floor),
                "cap": None if part.cap is None else fraction(part.cap),
                "sector": None if (known := view.board.known.get(part.instrument)) is None else known.sector,
                "last_price": money(view.board.price(part.instrument)),
                "minimum_quantity": None if view.least is None else view.least.quantities[n],
            }
            for n, part in enumerate(view.constituents)
        ],
        "rebalance": {
            "frequency": one.frequency,
            "drift_band": None if one.drift_band is None else fraction(one.drift_band),
            "band_kind": "relative" if one.band_is_relative else "absolute",
            "cooldown_days": one.cooldown_days,
        },
        "min_investment": money(view.minimum_paise),
        "index_value": None if view.index_level is None else f"{view.index_level:.4f}",
        "expected_return": rate(shown.expected_return),
        "volatility": rate(shown.volatility),
        "max_drawdown": rate(shown.max_drawdown),
        "correlation": _correlation(shown),
        "reasons": reasons,
        "reason": "; ".join(dict.fromkeys(reasons.values())) or None,
        "statistics": _statistics(shown),
        "validation": validation_document(view.issues),
        "created_at": rfc3339(one.created_at),
        "updated_at": rfc3339(one.updated_at),
    }


def _reasons(view: SmallcaseView) -> dict[str, str]:
    reasons = {}
    if view.minimum_paise is None:
        reasons["min_investment"] = NO_PRICE
    if view.index_level is None:
        reasons["index_value"] = NO_UNITS
    if view.figures.reason is not None:
        for name in ("expected_return", "volatility", "max_drawdown", "correlation"):
            reasons[name] = view.figures.reason
    return reasons


def _correlation(shown: Figures) -> dict[str, dict[str, str | None]] | None:
    if shown.correlation is None:
        return None
    return {name: {other: rate(value) for other, value in row.items()} for name, row in shown.correlation.items()}


def _statistics(shown: Figures) -> dict[str, Any]:
    return {
        "method": method.METHOD,
        "window_sessions": method.WINDOW,
        "least_sessions": method.LEAST,
        "sessions": shown.sessions,
        "since": None if shown.since is None else shown.since.isoformat(),
        "until": None if shown.until is None else shown.until.isoformat(),
    }


def validation_document(issues: Sequence[Issue]) -> dict[str, Any]:
    """Whether a basket can be traded, and every issue."""
    return {
        "valid": all(issue.severity != "error" for issue in issues),
        "issues": [
            {
                "code": issue.code,
                "instrument": issue.instrument,
                "message": issue.message,
                "severity": issue.severity,
            }
            for issue in issues
        ],
    }


def version_document(row: Any, constituents: Sequence[Any]) -> dict[str, Any]:
    """One version with its diff to the one before."""
    return {
        "version": row.version,
        "weighting": row.weighting,
        "constituents": [{"instrument": one.instrument, "weight": fraction(one.weight)} for one in constituents],
        "rebalance": {
            "frequency": row.frequency,
            "drift_band": None if row.drift_band is None else fraction(row.drift_band),
            "band_kind": "relative" if row.band_is_relative else "absolute",
            "cooldown_days": row.cooldown_days,
        },
        "diff": row.diff,
        "index_value": None if row.index_level is None else f"{row.index_level:.4f}",
        "created_at": rfc3339(row.created_at),
    }


def what_if_document(found: WhatIf) -> dict[str, Any]:
    """What a version would set off if every subscriber agreed."""
    effects = found.effects
    return {
        "diff": found.diff,
        "constituents": [{"instrument": name, "weight": fraction(weight)} for name, weight in found.weights.items()],
        "min_investment": money(found.minimum_paise),
        "validation": validation_document(found.issues),
        "subscribers": effects.subscribers,
        "subscribers_traded": effects.traded,
        "subscribers_below_minimum": effects.below_minimum,
        "orders": effects.orders,
        "sell_value": rupees(effects.turnover("SELL")),
        "buy_value": rupees(effects.turnover("BUY")),
        "turnover": _share(effects.turnover("SELL") + effects.turnover("BUY"), effects.worth_paise),
        "charges": rupees(found.charges_paise),
        "broker_orders": effects.broker_orders,
        "seconds": _seconds(effects.broker_orders),
        "seconds_one_by_one": _seconds(effects.orders),
    }


def _share(part: int, whole: int) -> str | None:
    return None if whole == 0 else fraction(part * 1_000_000 // whole)


def _seconds(orders: int) -> str:
    """At ten orders a second, with one decimal."""
    return f"{orders // ORDERS_A_SECOND}.{orders % ORDERS_A_SECOND}"


def suggestions_document(found: Suggested) -> dict[str, Any]:
    """Proposed baskets, each with why."""
    return {
        "sessions": found.sessions,
        "universe": found.universe,
        "caution": found.caution,
        "items": [
            {
                "method": one.method.value,
                "constituents": [
                    {"instrument": name, "weight": fraction(weight)} for name, weight in one.weights.items()
                ],
                "min_investment": rupees(one.minimum_paise),
                "expected_return": rate(one.figures.expected_return),
                "volatility": rate(one.figures.volatility),
                "max_drawdown": rate(one.figures.max_drawdown),
                "reason": one.figures.reason,
                "why": one.why,
            }
            for one in found.proposals
        ],
    }


def performance_document(points: Sequence[tuple[date, float]], view: SmallcaseView) -> dict[str, Any]:
    """The index since inception."""
    return {
        "smallcase_id": str(view.smallcase.id),
        "base": "100.0000",
        "index": [{"date": day.isoformat(), "value": f"{level:.10f}"} for day, level in points],
        "index_value": None if view.index_level is None else f"{view.index_level:.4f}",
        "total_return": rate(points[-1][1] / points[0][1] - 1.0) if len(points) > 1 else None,
        "reason": None if len(points) > 1 else "no two closes of all constituents are known since inception",
        "expected_return": rate(view.figures.expected_return),
        "volatility": rate(view.figures.volatility),
        "max_drawdown": rate(view.figures.max_drawdown),
        "correlation": _correlation(view.figures),
        "statistics": _statistics(view.figures),
        "figures_reason": view.figures.reason,
    }


def leg_document(leg: Leg) -> dict[str, Any]:
    """One order of a run."""
    return {
        "order_id": leg.order_id,
        "round": leg.round,
        "instrument": leg.instrument,
        "side": leg.side,
        "quantity": leg.quantity,
        "status": leg.status,
        "status_reason": leg.status_reason,
        "filled_quantity": leg.filled_quantity,
        "value": rupees(leg.filled_paise),
        "charges": rupees(leg.charges_paise),
        "limit_price": money(leg.limit_paise),
    }


def run_document(run: Run, legs: Sequence[Leg]) -> dict[str, Any]:
    """A run as it stands."""
    return {
        "run_id": str(run.id),
        "basket_id": str(run.investment_id),
        "smallcase_id": str(run.smallcase_id),
        "kind": run.kind.value,
        "status": run.state.value,
        "reason": run.reason,
        "version": run.version,
        "spent": rupees(run.spent_paise),
        "received": rupees(run.received_paise),
        "unspent": rupees(run.unspent_paise),
        "legs": [leg_document(leg) for leg in legs],
        "created_at": rfc3339(run.created_at),
        "cancel_requested_at": None if run.cancel_asked_at is None else rfc3339(run.cancel_asked_at),
        "ended_at": None if run.ended_at is None else rfc3339(run.ended_at),
    }


def trades_document(legs: Sequence[Leg], board: Board, budget_paise: int, today: date) -> dict[str, Any]:
    """What legs should come to on the last prices, charges included."""
    values = {side: _values(legs, board, side) for side in ("BUY", "SELL")}
    buy_value, sell_value = (sum(values[side].values()) for side in ("BUY", "SELL"))
    buy_charges = charges_of({(name, "BUY"): value for name, value in values["BUY"].items()}, today)
    charges = buy_charges + sell_charges(list(values["SELL"].items()), today)
    return {
        "buy_value": rupees(buy_value),
        "sell_value": rupees(sell_value),
        "charges": rupees(charges),
        "unspent": rupees(max(budget_paise - buy_value - buy_charges, 0)),
    }


def _values(legs: Sequence[Leg], board: Board, side: str) -> dict[str, int]:
    values: Counter[str] = Counter()
    for leg in legs:
        if leg.side == side:
            values[leg.instrument] += (board.price(leg.instrument) or 0) * leg.quantity
    return values


def run_answer(started: Started, orders: Sequence[Mapping[str, Any]], today: date) -> bytes:
    """The answer to a run's start: the book's orders, and what the plan leaves of the budget on the last prices."""
    run = started.run
    expected = trades_document(started.legs, started.board, run.budget_paise, today)
    return jsonio.dumps(
        {
            "basket_id": str(run.investment_id),
            "run_id": str(run.id),
            "kind": run.kind.value,
            "status": "QUEUED" if not orders else ("SELLING" if started.legs[0].side == "SELL" else "BUYING"),
            "orders": list(orders),
            "unspent": expected["unspent"],
            "expected": expected,
        }
    )


def preview_document(action: str, found: Preview, today: date) -> dict[str, Any]:
    """What a run would do, on the last prices."""
    return {
        "action": action,
        "version": found.version,
        "legs": [_preview_leg(leg, found.board) for leg in found.legs],
        "top_up": [_preview_leg(leg, found.board) for leg in found.top_up],
        "expected": trades_document(found.legs, found.board, found.budget_paise, today),
        "expected_in_all": trades_document([*found.legs, *found.top_up], found.board, found.budget_paise, today),
    }


def _preview_leg(leg: Leg, board: Board) -> dict[str, Any]:
    price = board.price(leg.instrument) or 0
    return {
        "instrument": leg.instrument,
        "side": leg.side,
        "quantity": leg.quantity,
        "price": rupees(price),
        "value": rupees(price * leg.quantity),
    }


def investment_document(view: InvestmentView) -> dict[str, Any]:
    """A basket: holdings against target weights, drift, worth and return."""
    one = view.investment
    run = view.run
    return {
        "id": str(one.id),
        "basket_id": str(one.id),
        "smallcase_id": str(one.smallcase_id),
        "name": view.smallcase.name,
        "version": one.version,
        "latest_version": view.smallcase.version,
        "holdings": [_holding_document(row) for row in view.holdings],
        "drift": None if view.drift is None else fraction(view.drift),
        "invested": rupees(view.invested_paise),
        "value": money(view.value_paise),
        "pnl": None if view.value_paise is None else rupees(view.value_paise - view.invested_paise),
        "xirr": rate(view.rate.value),
        "reason": view.rate.reason,
        "run": None if run is None else {"run_id": str(run.id), "kind": run.kind.value, "status": run.state.value},
        "repair": _repair_document(view),
        "auto_repair_budget": None if one.repair_budget is None else fraction(one.repair_budget),
        "rebalance_offer": _offer_document(view),
        "created_at": rfc3339(one.created_at),
    }


def _holding_document(row: HoldingView) -> dict[str, Any]:
    return {
        "instrument": row.instrument,
        "quantity": row.quantity,
        "last_price": money(row.last_paise),
        "value": money(row.value_paise),
        "weight": None if row.weight is None else fraction(row.weight),
        "target_weight": fraction(row.target),
    }


def _repair_document(view: InvestmentView) -> dict[str, Any] | None:
    if not view.missing or view.run is None:
        return None
    return {
        "leftover": rupees(view.run.unspent_paise),
        "missing": [
            {"instrument": name, "side": side, "quantity": quantity} for name, (side, quantity) in view.missing.items()
        ],
    }


def _offer_document(view: InvestmentView) -> dict[str, Any] | None:
    offer = view.offer
    if offer is None or offer.taken_at is not None:
        return None
    return {
        "cause": offer.cause,
        "version": offer.version,
        "drift": fraction(offer.drift),
        "offered_at": rfc3339(offer.offered_at),
    }


def sip_document(sip: Sip, instalments: Sequence[Any]) -> dict[str, Any]:
    """A regular investment and its latest instalments."""
    return {
        "id": str(sip.id),
        "smallcase_id": str(sip.smallcase_id),
        "amount": rupees(sip.amount_paise),
        "frequency": sip.frequency,
        "start_on": sip.start_on.isoformat(),
        "next_on": None if sip.ended_at is not None else sip.session_on.isoformat(),
        "status": "active" if sip.ended_at is None else "ended",
        "instalments": [
            {
                "due_on": row.due_on.isoformat(),
                "status": row.status,
                "run_id": None if row.run_id is None else str(row.run_id),
                "reason": row.reason,
            }
            for row in instalments[:24]
        ],
        "created_at": rfc3339(sip.created_at),
    }
