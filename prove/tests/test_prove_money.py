"""Slices of the money campaigns, and that their judges are not blind."""

from fractions import Fraction
from unittest.mock import patch

import numpy as np
import pytest
from prove import money
from prove.races import race, raced_book, request

from portfolio_service.store import clients
from portfolio_service.store import entry as stored_entry
from saras_common.errors import SarasError
from saras_common.ids import new_id
from trade_executor.core import book as core_book


def test_random_allocations_are_exact():
    outcome = money.play_some(7, 3_000)
    assert outcome.examples == []
    assert outcome.counts["allocations"] >= 3_000


def test_the_judge_sees_a_lot_too_many_and_a_paisa_too_few():
    exact = money.allocate_array

    def favours_the_first(wanted, allocated, filled, credits_=None):
        lots = exact(wanted, allocated, filled, credits_)
        if len(lots) > 1 and lots[-1] > allocated[-1] and lots[0] < wanted[0]:
            lots[0], lots[-1] = lots[0] + 1, lots[-1] - 1
        return lots

    with patch.object(core_book, "allocate_array", favours_the_first):
        assert money.play_some(7, 500).violations > 0
    judge = money.Judge([3, 2])
    assert judge.shared([2, 1], 3) == []
    assert judge.shared([1, 2], 3) != []


def test_nobody_drifts():
    assert money.drift(11, 300) < money.DRIFT_LIMIT


def test_without_credit_somebody_does():
    with patch.object(money, "next_credit", lambda *_: Fraction(0)):
        assert money.drift(11, 300) > money.DRIFT_LIMIT


@pytest.mark.parametrize("side", ["SELL", "BUY"])
def test_shares_and_cash_are_had_once(postgres, side):
    with raced_book(postgres) as book:
        outcome = race(book, side, 40, 5)
        assert outcome.examples == []
        assert book.faults() == []


def test_without_the_users_lock_the_race_is_lost_or_the_database_says_no(postgres):
    """What the lock is for: without it the ledger's own CHECK is all that is left, and somebody gets an error."""
    unlocked = clients.LOCK.replace("FOR NO KEY UPDATE", "")
    assert unlocked != clients.LOCK
    with raced_book(postgres) as book, patch.object(stored_entry.clients, "LOCK", unlocked):
        with pytest.raises(Exception, match="not_negative"):
            lose(book)
        assert book.faults() == []


def lose(book):
    for seed in range(20):
        assert race(book, "SELL", 40, seed).violations == 0


def test_a_refusal_leaves_what_was_had(postgres):
    with raced_book(postgres) as book:
        user = new_id()
        book.deposit([user], 155_000)
        first, second = (book.place([request(user, "BUY")])[0].items[0] for _ in range(2))
        assert not isinstance(first, SarasError)
        assert second.code == "insufficient_funds"


def test_lots_past_64_bits_are_played_as_well():
    draw = money.random.Random(1)
    assert any(int(money._statement(draw).wanted.max()) > 2**31 for _ in range(600))
    assert np.iinfo(np.int64).max < (4 * 10**9) ** 2
