"""From a window's orders to blocks: what is consolidated, in which order it is sent, and what is kept out.

One block = same instrument (with its exchange), side, product, order class, validity, price and trigger. A buy of
one user is never netted with another's sale. Sells go before buys.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from uuid import UUID

import numpy as np
import numpy.typing as npt

from saras_common.charges import CAP_BROKERAGE_PAISE, DP_CHARGE_PAISE, has_dp_charge, rates_on
from trade_executor.core.allocation import Lots
from trade_executor.core.book import Statement
from trade_executor.core.ids import Ids
from trade_executor.domain import Batch, Block, BlockKey, Demand

BEYOND_HOLD = "the price has moved beyond what was reserved for this order"
BLOCKED = "buys in this instrument are stopped until the broker account is reconciled"

NEEDS_PROTECTION = frozenset({"MARKET", "SL-M"})
"""Order types the broker takes only with a protection band."""


Group = tuple[BlockKey, Statement]
"""Orders that may share a broker order, rows in canonical order, credits not yet looked up."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Blocks in the order they are sent, and orders kept out by reason."""

    blocks: tuple[tuple[Block, Statement], ...]
    refused: Mapping[str, tuple[UUID, ...]]


def key_of(demand: Demand) -> BlockKey:
    """What an order must share with others to join them."""
    return BlockKey(
        demand.instrument,
        demand.side,
        demand.product,
        demand.order_type,
        demand.validity,
        demand.price_paise,
        demand.trigger_price_paise,
    )


def group(demands: Iterable[Demand]) -> list[Group]:
    """Orders by what they share, each group's rows in canonical order."""
    groups: dict[BlockKey, list[Demand]] = {}
    for demand in demands:
        groups.setdefault(key_of(demand), []).append(demand)
    return [(key, _statement(sorted(mine, key=_canonical))) for key, mine in groups.items()]


def _canonical(demand: Demand) -> tuple[bool, int, int, UUID]:
    return demand.house, -demand.quantity, demand.arrival, demand.order_id


def _statement(demands: Sequence[Demand]) -> Statement:
    return Statement(
        order_ids=Ids.of(demand.order_id for demand in demands),
        user_ids=Ids.of(demand.user_id for demand in demands),
        wanted=np.array([demand.quantity for demand in demands], np.int64),
        arrivals=np.array([demand.arrival for demand in demands], np.int64),
        caps_paise=np.array([demand.cap_price_paise or 0 for demand in demands], np.int64),
        house=np.array([demand.house for demand in demands], np.bool_),
        credits=None,
    )


def plan(
    batch: Batch,
    groups: Iterable[Group],
    *,
    marks: Mapping[str, int],
    blocked: frozenset[str],
    owed: Mapping[tuple[str, UUID], Fraction],
    new_id: Callable[[], UUID],
) -> Plan:
    """Blocks of a window's groups. ``owed`` are credits by instrument and user, ``marks`` last prices in paise."""
    blocks: list[tuple[Block, Statement]] = []
    refused: dict[str, list[UUID]] = {}
    creditors: dict[str, dict[UUID, Fraction]] = {}
    for (instrument, user_id), lots in owed.items():
        creditors.setdefault(instrument, {})[user_id] = lots
    for key, statement in sorted(groups, key=lambda pair: _sends_before(pair[0])):
        kept, reason = _keep(key, statement, marks.get(key.instrument), blocked)
        if not kept.all():
            refused.setdefault(reason, []).extend(statement.order_ids.keep(np.flatnonzero(~kept)))
            statement = statement.keep(np.flatnonzero(kept))  # noqa: PLW2901 - what is left of it
        if len(statement):
            mine = creditors.get(key.instrument)
            if mine:
                statement = replace(statement, credits=_shared_credits(statement.user_ids, mine))  # noqa: PLW2901 - as above
            block = Block(new_id(), batch.id, batch.account_id, key, statement.quantity, "")
            blocks.append((replace(block, statement_hash=hash_statement(block, statement)), statement))
    return Plan(tuple(blocks), {reason: tuple(orders) for reason, orders in refused.items()})


def _keep(
    key: BlockKey, statement: Statement, mark: int | None, blocked: frozenset[str]
) -> tuple[npt.NDArray[np.bool_], str]:
    """Rows that may be sent, and why the others may not."""
    kept = np.ones(len(statement), np.bool_)
    if key.side != "BUY":
        return kept, ""
    if key.instrument in blocked:
        return ~kept, BLOCKED
    return ~beyond_hold(key, statement, mark), BEYOND_HOLD


def beyond_hold(key: BlockKey, statement: Statement, mark: int | None, room: int = 0) -> npt.NDArray[np.bool_]:
    """Rows of a protected buy whose hold does not cover the price with ``room`` hundredths of a percent to spare."""
    caps = statement.caps_paise
    if key.side != "BUY" or key.order_type not in NEEDS_PROTECTION:
        return np.zeros(len(caps), np.bool_)
    reference = max(mark or 0, key.trigger_price_paise or 0)
    out: npt.NDArray[np.bool_] = (caps > 0) & (caps * 10_000 < reference * (10_000 + room))
    return out


def _sends_before(key: BlockKey) -> tuple[bool, str, str, str, str, int, int]:
    return (
        key.side == "BUY",
        key.instrument,
        key.product,
        key.order_type,
        key.validity,
        key.price_paise or 0,
        key.trigger_price_paise or 0,
    )


def _shared_credits(users: Ids, owed: Mapping[UUID, Fraction]) -> tuple[Fraction, ...] | None:
    """A user's credit counts once, for its first order in the block; ``None`` when nobody here is owed anything."""
    credits_ = [Fraction(0)] * len(users)
    found = False
    for user_id, lots in owed.items():
        row = users.find(user_id)
        if row is not None:
            credits_[row] = lots
            found = True
    return tuple(credits_) if found else None


def hash_statement(block: Block, statement: Statement) -> str:
    """SHA-256 over the block's key and every row of it, in order: what the certificate pins before trading."""
    digest = hashlib.sha256(f"saras statement 1\n{block.id}\n{block.batch_id}\n{tuple(block.key)}\n".encode())
    digest.update(statement.order_ids.packed)
    digest.update(statement.user_ids.packed)
    for column in (statement.wanted, statement.arrivals, statement.caps_paise):
        digest.update(column.astype("<i8").tobytes())
    digest.update(statement.house.tobytes())
    digest.update(",".join(str(credit) for credit in statement.credits or ()).encode())
    return digest.hexdigest()


def individual_charges(key: BlockKey, wanted: Lots, mark_paise: int, day: date) -> int:
    """Paise of brokerage and depository fees had every order gone to a broker alone at ``mark_paise``."""
    total = DP_CHARGE_PAISE * len(wanted) if has_dp_charge(key.product, key.side) else 0
    if key.product == "MIS":
        rate = rates_on(day).brokerage_intraday
        each = wanted * mark_paise * rate.numerator // rate.denominator
        total += int(np.minimum(each, CAP_BROKERAGE_PAISE).sum())
    return total


def find_protection(
    block: Block, statement: Statement, kept: npt.NDArray[np.bool_], mark_paise: int | None, most: int
) -> int:
    """The band to send with a MARKET or SL-M order, in hundredths of a percent, at most ``most``; 0 when none is left.

    No buy may fill above what its hold covers, so the tightest hold among the rows ``kept`` sets the band.
    """
    caps = statement.caps_paise[kept & (statement.caps_paise > 0)]
    reference = max(mark_paise or 0, block.key.trigger_price_paise or 0)
    if not block.is_buy or len(caps) == 0 or reference == 0:
        return most
    return max(0, min(most, (int(caps.min()) - reference) * 10_000 // reference))
