"""Rules that hold for every history."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from user_service.domain import people
from user_service.domain.sessions import REFRESH_GRACE, LoginSession, Refresh, RefreshToken, decide_refresh
from user_service.domain.throttle import Limit

START = datetime(2026, 3, 2, 5, tzinfo=UTC)


@given(st.emails())
def test_normalising_an_address_twice_is_normalising_it_once(address):
    try:
        once = people.normalised_email(address)
    except ValueError:
        return
    assert people.normalised_email(once) == once
    assert once == once.lower().strip()


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        assert people.normalised_email(text).count("@") == 1


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), max_size=25))
def test_a_family_has_one_living_token_until_an_old_one_is_shown(history):
    """``history``: which token of the family is shown (by age from the newest), after how many seconds."""
    session = LoginSession(UUID(int=1), UUID(int=2), "", "", START, START, START + timedelta(days=30), None)
    family = [RefreshToken(b"0", session.id, None, None)]
    now = START
    for age, wait_s in history:
        now += timedelta(seconds=wait_s)
        index = max(0, len(family) - 1 - age)
        token = family[index]
        decision = decide_refresh(token, session, now)
        if session.ended_at is not None:
            assert decision is Refresh.REFUSE
        elif token.used_at is None:
            assert index == len(family) - 1
            assert decision is Refresh.ROTATE
            family[index] = replace(token, used_at=now)
            family.append(RefreshToken(b"%d" % len(family), session.id, None, None))
        elif now - token.used_at <= REFRESH_GRACE:
            assert decision is Refresh.REPEAT
        else:
            assert decision is Refresh.REVOKE
            session = replace(session, ended_at=now)
        assert sum(token.used_at is None for token in family) == 1


@given(st.integers(1, 20), st.floats(0.05, 100), st.lists(st.floats(0, 200), max_size=60))
def test_a_bucket_never_lets_more_than_its_burst_and_its_rate_through(burst, every_s, gaps):
    """The rule of `store.throttles.take_slots`, on one bucket: over any span at most burst + span/every_s pass."""
    limit = Limit("k", burst, every_s)
    now = busy_until = 0.0
    passed = []
    for gap in gaps:
        now += gap
        wanted = max(busy_until, now) + limit.every_s
        if wanted - now - limit.full_s <= 1e-9:
            busy_until = wanted
            passed.append(now)
    for first, since in enumerate(passed):
        for count, at in enumerate(passed[first:], start=1):
            assert count <= burst + (at - since) / every_s + 1e-6
