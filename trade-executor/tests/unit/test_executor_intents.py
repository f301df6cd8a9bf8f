"""Tags, transitions, and what a reading of the order book proves."""

import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from trade_executor.broker import BookOrder
from trade_executor.core.intents import (
    AbsenceRule,
    Finding,
    committed,
    count_clean_read,
    find,
    forget_clean_reads,
    slices,
    tag_of,
)
from trade_executor.domain import TRANSITIONS, Block, BlockKey, IllegalMove, Intent, IntentState

NOW = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
BLOCK = Block(UUID(int=1), UUID(int=2), "main", BlockKey("NSE:INFY", "BUY", "CNC", "MARKET", "DAY", None, None), 10, "")


def intent(state=IntentState.UNKNOWN, quantity=10):
    return Intent(uuid4(), BLOCK.id, "main", 1, tag_of(BLOCK.id, 1), quantity, state)


def row(**fields):
    shown = {
        "order_id": "1",
        "instrument": "NSE:INFY",
        "side": "BUY",
        "product": "CNC",
        "status": "OPEN",
        "quantity": 10,
        "filled": 0,
        "tag": None,
        "tags": (tag_of(BLOCK.id, 1), "mktp", "mktp:2.00"),
    }
    return BookOrder(**{**shown, **fields})


def test_tags_are_twenty_alphanumeric_characters_and_differ_by_attempt():
    tags = [tag_of(uuid4(), attempt) for attempt in (1, 2, 35, 36, 1295)]
    assert all(len(tag) == 20 and tag.isalnum() and tag.isascii() for tag in tags)
    assert tag_of(BLOCK.id, 1)[:18] == tag_of(BLOCK.id, 2)[:18]
    assert tag_of(BLOCK.id, 1)[18:] == "01"
    with pytest.raises(ValueError, match="attempt"):
        tag_of(BLOCK.id, 1296)


@pytest.mark.parametrize(("one", "other"), list(itertools.product(IntentState, IntentState)))
def test_only_the_moves_of_the_table(one, other):
    if other in TRANSITIONS[one]:
        assert intent(one).moved(other).state is other
    else:
        with pytest.raises(IllegalMove):
            intent(one).moved(other)


def test_nothing_leaves_unknown_for_sending():
    """An order in doubt is never sent again, nor reported failed."""
    assert not TRANSITIONS[IntentState.UNKNOWN] & {IntentState.SENDING, IntentState.PLANNED, IntentState.REFUSED}


def test_found_by_tag_in_the_list_or_the_field():
    for shown in (row(), row(tag=tag_of(BLOCK.id, 1), tags=())):
        assert find(intent(), BLOCK, [row(order_id="9", tags=()), shown]) == (Finding.FOUND, shown)


@pytest.mark.parametrize(
    "other", [{"instrument": "BSE:INFY"}, {"side": "SELL"}, {"product": "MIS"}, {"quantity": 11}, {"quantity": 9}]
)
def test_our_tag_on_something_else_is_for_a_person(other):
    assert find(intent(), BLOCK, [row(**other)])[0] is Finding.MISMATCH


def test_one_already_made_smaller_is_ours():
    assert find(intent(), BLOCK, [row(quantity=7, modified=True)])[0] is Finding.FOUND


@pytest.mark.parametrize(
    ("quantity", "refusal", "expected"),
    [
        (250, "Quantity 250 exceeds the freeze quantity 100 of INFY.", [100, 100, 50]),
        (200, "Order above the Freeze Limit: 100", [100, 100]),
        (100, "freeze quantity 100", []),
        (250, "insufficient funds: 100 needed", []),
        (250, "freeze quantity 0", []),
        (10**6, "freeze quantity 100", []),
    ],
)
def test_what_is_above_the_freeze_quantity_goes_in_slices(quantity, refusal, expected):
    assert slices(quantity, refusal) == expected


def test_absent_after_three_clean_readings_over_ten_seconds_and_not_before():
    rule, unknown = AbsenceRule(3, 10), intent()
    for after, expected in ((0, Finding.NOT_YET), (4, Finding.NOT_YET), (9, Finding.NOT_YET), (10, Finding.ABSENT)):
        unknown, finding = count_clean_read(unknown, NOW + timedelta(seconds=after), rule)
        assert finding is expected


def test_few_readings_prove_nothing_however_long():
    unknown, _ = count_clean_read(intent(), NOW, AbsenceRule(3, 10))
    unknown, finding = count_clean_read(unknown, NOW + timedelta(seconds=60), AbsenceRule(3, 10))
    assert finding is Finding.NOT_YET
    assert forget_clean_reads(unknown).clean_reads == 0
    assert forget_clean_reads(unknown).clean_since is None


def test_what_is_in_doubt_counts_whole_and_what_is_refused_not_at_all():
    intents = [intent(state) for state in IntentState]
    doubts = {IntentState.SENDING, IntentState.UNKNOWN, IntentState.OPERATOR, IntentState.SENT, IntentState.ADOPTED}
    assert committed(intents, {}) == 10 * len(doubts)
    sent = next(each for each in intents if each.state is IntentState.SENT)
    assert committed(intents, {sent.id: 4}) == 10 * (len(doubts) - 1) + 4
