"""Allocation certificates: everything needed to recompute who got what, chained by hash per account. Pure.

A certificate is a JSON document. Its order columns stand in canonical order; ``steps`` tells after which fills lots
were shared out, who had asked to cancel and whose order had ended by then. ``hash`` is SHA-256 over the document
without it, keys sorted.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
import orjson

from saras_common.charges import DP_CHARGE_PAISE, KINDS, order_charges
from saras_common.clock import rfc3339
from trade_executor.core.blocks import hash_statement
from trade_executor.core.book import FROZEN, TOLD, Shares, Statement, share_out
from trade_executor.core.ids import Ids
from trade_executor.core.pricing import price_exactly
from trade_executor.domain import NO_CHARGES, Block, BlockKey, BrokerOrder, Fill

GENESIS = "0" * 64
"""Previous hash of an account's first certificate."""


def make(
    block: Block,
    statement: Statement,
    shares: Shares,
    orders: Sequence[BrokerOrder],
    fills: Sequence[Fill],
    previous: str | None,
    at: datetime,
) -> dict[str, Any]:
    """The certificate of a finished block."""
    document: dict[str, Any] = {
        "version": 1,
        "account_id": block.account_id,
        "batch_id": str(block.batch_id),
        "block_id": str(block.id),
        "at": rfc3339(at),
        "key": list(block.key),
        "quantity": block.quantity,
        "statement_hash": block.statement_hash,
        "orders": {
            "order_id": statement.order_ids.texts,
            "user_id": statement.user_ids.texts,
            "requested": statement.wanted.tolist(),
            "arrival": statement.arrivals.tolist(),
            "cap_paise": statement.caps_paise.tolist(),
            "house": statement.house.tolist(),
            "credit": None if statement.credits is None else [str(credit) for credit in statement.credits],
        },
        "broker_orders": [
            {"id": order.broker_order_id, "quantity": order.quantity, "status": order.status} for order in orders
        ],
        "fills": [
            {
                "exchange": fill.exchange,
                "trade_id": fill.trade_id,
                "broker_order_id": fill.broker_order_id,
                "quantity": fill.quantity,
                "value_paise": fill.value_paise,
                "traded_on": fill.traded_on.isoformat(),
            }
            for fill in fills
        ],
        "steps": [[filled, list(frozen), list(told)] for filled, frozen, told in block.steps],
        "charged_on": block.first_fill_on.isoformat() if block.first_fill_on else None,
        "charges": dict(zip(KINDS, block.charges, strict=True)),
        "result": {
            "allocated": shares.allocated.tolist(),
            "value_paise": shares.value_paise.tolist(),
            "charges": shares.charges.tolist(),
            "suspense": [block.suspense_quantity, block.suspense_value_paise, block.suspense_charges_paise],
        },
        "previous_hash": previous or GENESIS,
    }
    return {**document, "hash": hash_of(document)}


def hash_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of the document without its ``hash``."""
    plain = {name: value for name, value in document.items() if name != "hash"}
    return hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()


def verify(document: Mapping[str, Any]) -> list[str]:
    """What is wrong with a certificate, recomputed from its own figures; nothing, when it holds."""
    try:
        return _verify(document)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
        return [f"the certificate is malformed: {type(error).__name__}"]


def _verify(document: Mapping[str, Any]) -> list[str]:
    wrong = []
    if hash_of(document) != document["hash"]:
        wrong.append("hash")
    block, statement = _read(document)
    if hash_statement(block, statement) != document["statement_hash"]:
        wrong.append("statement_hash")
    shares = _replay(document, statement)
    filled = sum(fill["quantity"] for fill in document["fills"])
    value = sum(fill["value_paise"] for fill in document["fills"])
    charges = _charges(document, block)
    if list(charges) != [document["charges"][kind] for kind in KINDS]:
        wrong.append("charges")
    result = document["result"]
    if shares.allocated.tolist() != result["allocated"]:
        wrong.append("allocated")
    if int(shares.allocated.sum()) + result["suspense"][0] != filled:
        wrong.append("filled")
    if filled:
        exact = price_exactly(shares.allocated, filled, value, charges)
        if exact.value_paise.tolist() != result["value_paise"]:
            wrong.append("value_paise")
        if exact.charges.tolist() != result["charges"]:
            wrong.append("result charges")
    return wrong


def _read(document: Mapping[str, Any]) -> tuple[Block, Statement]:
    orders = document["orders"]
    credits_ = orders["credit"]
    statement = Statement(
        Ids.of(UUID(text) for text in orders["order_id"]),
        Ids.of(UUID(text) for text in orders["user_id"]),
        np.array(orders["requested"], np.int64),
        np.array(orders["arrival"], np.int64),
        np.array(orders["cap_paise"], np.int64),
        np.array(orders["house"], np.bool_),
        None if credits_ is None else tuple(Fraction(text) for text in credits_),
    )
    block = Block(
        UUID(document["block_id"]),
        UUID(document["batch_id"]),
        document["account_id"],
        BlockKey(*document["key"]),
        document["quantity"],
        document["statement_hash"],
    )
    return block, statement


def _replay(document: Mapping[str, Any], statement: Statement) -> Shares:
    shares = Shares.none(len(statement))
    for filled, frozen, told in document["steps"]:
        shares = shares.flagged(frozen, FROZEN).flagged(told, TOLD)
        lots, _ = share_out(statement, shares, filled)
        shares = Shares(lots, shares.value_paise, shares.charges, shares.flags)
    return shares


def _charges(document: Mapping[str, Any], block: Block) -> tuple[int, ...]:
    """Each broker order's charges afresh; the depository fee, once a day and instrument, as the certificate says."""
    total = np.array(NO_CHARGES)
    if not document["fills"]:
        return NO_CHARGES
    day = date.fromisoformat(document["charged_on"])
    by_order: dict[str, int] = {}
    for fill in document["fills"]:
        by_order[fill["broker_order_id"]] = by_order.get(fill["broker_order_id"], 0) + fill["value_paise"]
    exchange = block.key.instrument.partition(":")[0]
    for value in by_order.values():
        total += np.array(order_charges(exchange, block.key.product, block.key.side, value, day).as_tuple())
    if document["charges"]["dp"]:
        total[KINDS.index("dp")] += DP_CHARGE_PAISE
    return tuple(total.tolist())
