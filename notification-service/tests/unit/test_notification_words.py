"""Words: every kind in every language, rupees, lines that cannot be broken."""

import pytest

from notification_service.domain.facts import digest_figures
from notification_service.domain.kinds import CHOOSABLE, Kind
from notification_service.domain.preferences import LANGUAGES
from notification_service.words import MAX_TITLE_CHARS, inr, one_line, words_of, words_of_digest

ORDER = {
    "at": "2026-03-02T05:00:00+00:00",
    "instrument": "NSE:INFY",
    "side": "SELL",
    "status": "FILLED",
    "quantity": 5,
    "filled": 5,
    "value_paise": 761700,
    "charges_paise": 812,
    "reason": None,
}
ORDERS = [{"orders": {"a": ORDER}}, {"orders": {"a": ORDER, "b": {**ORDER, "side": "BUY", "status": "CANCELLED"}}}]
FACTS = {
    Kind.ORDER_ACCEPTED: ORDERS,
    Kind.ORDER_FILLED: ORDERS,
    Kind.ORDER_REJECTED: [*ORDERS, {"orders": {"a": {**ORDER, "status": "REJECTED", "reason": "no margin"}}}],
    Kind.ORDER_CANCELLED: [*ORDERS, {"orders": {"a": {**ORDER, "status": "EXPIRED"}}}],
    Kind.ALLOCATION: [
        {"lines": {f"BUY NSE:S{n}": {"quantity": 1, "value_paise": 100, "charges_paise": 7} for n in range(count)}}
        for count in (1, 9)
    ],
    Kind.FUNDS: [{"at": "x", "amount_paise": 100}, {"at": "x", "amount_paise": -100}],
    Kind.BASKET: [
        {
            "name": "Top 10",
            "run": "invest",
            "status": status,
            "reason": reason,
            "spent_paise": 1,
            "received_paise": 0,
            "unspent_paise": 2,
        }
        for status in ("COMPLETED", "COMPLETED_ADJUSTED", "FAILED", "CANCELLED")
        for reason in (None, "why")
    ],
    Kind.REBALANCE_OFFERED: [
        {"name": "Top 10", "cause": cause, "version": 2, "drift": "0.07"} for cause in ("version", "drift", "calendar")
    ],
    Kind.SIP_SKIPPED: [{"name": "Top 10", "due_on": "2026-03-02", "reason": "no funds"}],
    Kind.KYC: [{"status": status} for status in ("none", "pending", "approved", "rejected")],
    Kind.NEW_DEVICE: [{"address": "", "agent": ""}, {"address": "203.0.113.9", "agent": "curl"}],
    Kind.PRICE_ALERT: [
        {
            "instrument": "NSE:INFY",
            "condition": condition,
            "price_paise": 100,
            "peak_paise": 200,
            "fall_percent": "7.50",
            "last_paise": 90,
        }
        for condition in ("above", "below", "drawdown")
    ],
    Kind.BROADCAST: [{"title": "t", "body": "b"}],
    Kind.WEBHOOK_DISABLED: [{"host": "example.com", "reason": "HTTP 500"}],
    Kind.RECONCILIATION: [{"account_id": "main", "state": "broken"}],
    Kind.EXECUTION: [
        {"account_id": "main", "state": "halted", "reason": "drill"},
        {"account_id": "m", "state": "resumed", "reason": ""},
    ],
    Kind.BROKER_LOGIN: [{"account_id": "main", "state": state} for state in ("login_needed", "logged_in")],
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_has_words_for_all_its_facts(language):
    assert set(FACTS) == set(CHOOSABLE)
    for kind, cases in FACTS.items():
        said = [words_of(kind, facts, language) for facts in cases]
        assert all(words.title and words.body and "None" not in words.title + words.body for words in said)
        assert all("{" not in words.title + words.body for words in said)
        if language == "hi" and kind is not Kind.BROADCAST:
            assert all(any("\u0900" <= char <= "\u097f" for char in words.title + words.body) for words in said)
    digest = words_of_digest(digest_figures([{"title": "t", "body": "b"}] * 60), language)
    assert digest.body.count("\n") == 50


def test_rupees_are_grouped_the_indian_way():
    assert [inr(paise) for paise in (0, 5, 99_999, 100_000, 10_000_000, 123_456_789_012, -10_000_050)] == [
        *("₹0.00", "₹0.05", "₹999.99", "₹1,000.00", "₹1,00,000.00", "₹1,23,45,67,890.12", "-₹1,00,000.50")
    ]


def test_a_title_is_one_short_line():
    words = words_of(Kind.BROADCAST, {"title": "a\r\nb\u2028c\x85d" + "x" * 500, "body": "b"}, "en")
    assert words.title.startswith("a b c dxxx")
    assert len(words.title) == MAX_TITLE_CHARS


def test_scripts_that_join_letters_are_left_alone():
    assert one_line("क्\u200dष \u200c") == "क्\u200dष \u200c".strip()


def test_what_people_wrote_is_not_a_template():
    assert words_of(Kind.BROADCAST, {"title": "{{ 7 * 7 }}", "body": "{% raw %}"}, "en").title == "{{ 7 * 7 }}"


def test_there_is_no_third_language():
    with pytest.raises(ValueError, match="language"):
        words_of(Kind.FUNDS, {"amount_paise": 1}, "fr")
