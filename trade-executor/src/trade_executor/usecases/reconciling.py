"""Reconciliation: what the broker holds against what the book says, and what nobody explains."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from saras_common.events import BookTotalsRequested, ReconciliationCompleted, SuspenseFound
from saras_common.ids import NewId
from trade_executor.broker import Balances
from trade_executor.core.reconcile import BookTotals, BrokerTotals, ExecutorTotals, Report, compare
from trade_executor.domain import Reconciliation
from trade_executor.store import Store
from trade_executor.usecases.control import block_buys

DOUBT = timedelta(minutes=5)
"""How long an order declared absent may still explain a difference."""

CONFIRM_AFTER = timedelta(seconds=10)
"""A difference is real when two reconciliations at least so far apart show the same one."""


def begin_reconciliation(
    store: Store, account_id: str, balances: Balances, *, moves_cash: bool, now: datetime, new_id: NewId
) -> UUID:
    """Keep both sides as they are at this moment and ask the book for its totals.

    ``balances`` were read while no fill came in. ``moves_cash`` tells whether deposits move the broker account through
    us (the sandbox); otherwise the broker is taken to have seen them. The first reading of all fixes the opening.
    """
    shares, cash = store.list_totals(account_id)
    mirrored = store.mirrored_cash(account_id)
    opening = store.find_opening(account_id)
    if opening is None:
        names = set(balances.shares) | set(shares)
        held = {name: balances.shares.get(name, 0) - shares.get(name, 0) for name in names}
        opening = ({name: count for name, count in held.items() if count}, balances.cash_paise - cash - mirrored)
        store.set_opening(account_id, opening[1], opening[0])
    doubts = store.list_unresolved(account_id, now - DOUBT)
    behind = [order for order in store.list_unsettled(account_id) if order.filled > order.traded]
    figures = {
        "in_doubt": bool(doubts or behind),
        "fills": shares,
        "fills_cash_paise": cash,
        "mirrored_cash_paise": mirrored if moves_cash else None,
        "opening": opening[0],
        "opening_cash_paise": opening[1],
        "broker": dict(balances.shares),
        "broker_cash_paise": balances.cash_paise,
    }
    asked = Reconciliation(new_id(), account_id, now, figures)
    store.add_reconciliation(asked)
    store.emit([BookTotalsRequested(at=now, reconciliation_id=asked.id, account_id=account_id)])
    return asked.id


def finish_reconciliation(store: Store, asked: Reconciliation, *, now: datetime) -> Report:
    """Compare, report, and put what two reconciliations running could not explain into suspense.

    Not while an order is in doubt, or was declared absent lately: it may be the explanation.
    """
    if asked.book is None:
        raise ValueError("the book has not answered yet")
    report = _compare(asked.figures, asked.book)
    last = store.find_last_reconciliation(asked.account_id)
    store.save_reconciliation(replace(asked, report=_as_json(report), finished_at=now))
    store.emit(
        [
            ReconciliationCompleted(
                at=now, account_id=asked.account_id, reconciliation_id=asked.id, balanced=report.balanced
            )
        ]
    )
    if report.differences and not asked.figures["in_doubt"]:
        block_buys(store, asked.account_id, list(report.differences), now=now)
        apart = last is not None and asked.at - last.at >= CONFIRM_AFTER
        if apart and last is not None and last.report and _differences(last.report) == report.differences:
            _to_suspense(store, asked.account_id, report.differences, now)
    return report


def _to_suspense(store: Store, account_id: str, differences: Mapping[str, int], now: datetime) -> None:
    store.emit(
        SuspenseFound(
            at=now,
            account_id=account_id,
            instrument=instrument,
            quantity=quantity,
            value_paise=0,
            reason="the broker account differs from the books twice running",
        )
        for instrument, quantity in differences.items()
    )


def _compare(figures: Mapping[str, Any], book: Mapping[str, Any]) -> Report:
    totals = BookTotals(
        users=book["users"],
        suspense=book["suspense"],
        applied=book["applied"],
        users_cash_paise=book["users_cash_paise"],
        suspense_cash_paise=book["suspense_cash_paise"],
        applied_cash_paise=book["applied_cash_paise"],
        external_cash_paise=book["external_cash_paise"],
    )
    mirrored = figures["mirrored_cash_paise"]
    executor = ExecutorTotals(
        fills=figures["fills"],
        fills_cash_paise=figures["fills_cash_paise"],
        mirrored_cash_paise=totals.external_cash_paise if mirrored is None else mirrored,
        opening=figures["opening"],
        opening_cash_paise=figures["opening_cash_paise"],
    )
    return compare(totals, executor, BrokerTotals(figures["broker"], figures["broker_cash_paise"]))


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "balanced": report.balanced,
        "instruments": [
            {
                "instrument": name,
                "users": line.users,
                "unallocated": line.unallocated,
                "broker": line.broker,
                "difference": line.difference,
            }
            for name, line in report.instruments.items()
        ],
        "cash": {
            "users": report.cash.users,
            "unallocated": report.cash.unallocated,
            "broker": report.cash.broker,
            "difference": report.cash.difference,
        },
    }


def _differences(report: Mapping[str, Any]) -> dict[str, int]:
    lines = report["instruments"]
    return {line["instrument"]: line["difference"] for line in lines if line["difference"]}
