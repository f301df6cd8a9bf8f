"""Placing a broker order at most once: tags, and what a reading of the broker's order book says about an intent."""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from trade_executor.broker import BookOrder
from trade_executor.domain import Block, Intent, IntentState

TAG_ID_CHARACTERS = 18
TAG_ATTEMPT_CHARACTERS = 2
MAX_ATTEMPTS = 36**TAG_ATTEMPT_CHARACTERS - 1
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
MOST_SLICES = 100
_FREEZE_LIMIT = re.compile(r"freeze (?:quantity|limit)\D{0,20}(\d+)", re.IGNORECASE)


def tag_of(block_id: UUID, attempt: int) -> str:
    """Twenty alphanumeric characters: eighteen of the block (93 bits), two of the attempt."""
    if not 1 <= attempt <= MAX_ATTEMPTS:
        raise ValueError("attempt does not fit the tag")
    number = int.from_bytes(hashlib.sha256(block_id.bytes).digest(), "big")
    return _base36(number, TAG_ID_CHARACTERS) + _base36(attempt, TAG_ATTEMPT_CHARACTERS)


def _base36(number: int, characters: int) -> str:
    text = ""
    for _ in range(characters):
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text


def slices(quantity: int, refusal: str) -> list[int]:
    """What to send instead of an order refused for being above the exchange's freeze quantity; else nothing.

    The limit stands nowhere but in the text of the refusal. Beyond a hundred slices the refusal stands.
    """
    found = _FREEZE_LIMIT.search(refusal)
    most = int(found[1]) if found else 0
    if not 0 < most < quantity <= most * MOST_SLICES:
        return []
    return [min(most, quantity - start) for start in range(0, quantity, most)]


@dataclass(frozen=True, slots=True)
class AbsenceRule:
    """An order counts as never placed after ``reads`` clean readings over at least ``seconds``."""

    reads: int = 3
    seconds: float = 10.0


class Finding(Enum):
    """What one reading of the order book says about an intent."""

    FOUND = auto()
    MISMATCH = auto()
    """Our tag on something we did not mean to place."""
    ABSENT = auto()
    NOT_YET = auto()


def carries(order: BookOrder, tag: str) -> bool:
    """The tag is ours: the broker adds tags of its own to the list."""
    return order.tag == tag or tag in order.tags


def matches(order: BookOrder, intent: Intent, block: Block) -> bool:
    """Same instrument, side, product and quantity. Never type, price or protection: the broker changes these.

    An order already modified, or ended by a modification, may stand for less than was sent.
    """
    return (
        order.instrument == block.key.instrument
        and order.side == block.key.side
        and order.product == block.key.product
        and (order.quantity == intent.quantity or (order.modified and order.quantity < intent.quantity))
    )


def find(intent: Intent, block: Block, orders: list[BookOrder]) -> tuple[Finding, BookOrder | None]:
    """Look for an intent in one reading of the whole order book."""
    tagged = [order for order in orders if carries(order, intent.tag)]
    if not tagged:
        return Finding.NOT_YET, None
    order = tagged[0]
    fits = len(tagged) == 1 and matches(order, intent, block)
    return (Finding.FOUND if fits else Finding.MISMATCH), order


def count_clean_read(intent: Intent, at: datetime, rule: AbsenceRule) -> tuple[Intent, Finding]:
    """One more reading without the order; `ABSENT` when the rule is met."""
    since = intent.clean_since or at
    counted = replace(intent, clean_reads=intent.clean_reads + 1, clean_since=since)
    enough = counted.clean_reads >= rule.reads and (at - since).total_seconds() >= rule.seconds
    return counted, Finding.ABSENT if enough else Finding.NOT_YET


def forget_clean_reads(intent: Intent) -> Intent:
    """A reading failed: counting starts again."""
    return replace(intent, clean_reads=0, clean_since=None)


def committed(intents: list[Intent], placed: dict[UUID, int]) -> int:
    """Lots of a block that broker orders have bought or may still buy.

    ``placed`` holds, by intent, what each order in the book has or may still fill; an intent in doubt counts whole.
    """
    total = 0
    for intent in intents:
        if intent.state.is_placed or intent.id in placed:
            total += placed.get(intent.id, intent.quantity)
        elif intent.state.is_in_doubt:
            total += intent.quantity
    return total


def has_plan(intents: list[Intent]) -> bool:
    """Whether a broker order of the block still waits to be sent."""
    return any(intent.state is IntentState.PLANNED for intent in intents)
