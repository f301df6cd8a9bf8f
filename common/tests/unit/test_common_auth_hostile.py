"""No hostile token is accepted, none crashes the verifier."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saras_common.auth import (
    ACCESS_AUDIENCE,
    Identity,
    InternalTokens,
    InvalidToken,
    PublishedKeys,
    SigningKey,
    TokenSigner,
    TokenVerifier,
    key_set,
)
from saras_common.clock import ManualClock
from saras_common.testing.hostile_tokens import hostile_tokens

CLOCK = ManualClock(datetime(2026, 11, 2, 4, 0, tzinfo=UTC))
KEY = SigningKey.generate()
SECRET = b"an internal key of 32 bytes, or so"
IDENTITY = Identity(
    UUID("0190abcd-0000-7000-8000-0000000000aa"),
    UUID("0190abcd-0000-7000-8000-0000000000bb"),
    frozenset({"user"}),
    1,
    CLOCK.now().timestamp() + 600,
)
GOOD = TokenSigner(lambda: KEY, CLOCK).sign(IDENTITY, 600)
NOW = CLOCK.now().timestamp()
ALL = hostile_tokens(GOOD, KEY, internal_key=SECRET, now=NOW)
OUTSIDERS = hostile_tokens(GOOD, now=NOW)


def verifier_of():
    keys = PublishedKeys(CLOCK)
    keys.load(key_set([KEY]))
    return TokenVerifier(keys, CLOCK)


def test_the_corpus_is_large_sendable_and_not_good():
    assert len(OUTSIDERS) >= 120
    assert len(ALL) >= 220
    assert len({name for name, _ in ALL}) == len(ALL)
    assert len({token for _, token in ALL}) == len(ALL)
    assert GOOD not in {token for _, token in ALL}
    for name, token in ALL:
        assert token.isascii(), name
        assert token.strip() == token != "", name
        assert "\n" not in token, name
        assert "\r" not in token, name


def test_the_good_token_is_accepted():
    assert verifier_of().verify(GOOD).user_id == IDENTITY.user_id


@pytest.mark.parametrize(("name", "token"), ALL, ids=[name for name, _ in ALL])
def test_hostile_tokens_are_refused(name, token):
    verifier = verifier_of()
    with pytest.raises(InvalidToken):
        verifier.verify(token)
    with pytest.raises(InvalidToken):
        InternalTokens(SECRET, CLOCK).verify(token, ACCESS_AUDIENCE + ":internal")


def test_the_genuine_signatures_of_the_corpus_are_genuine():
    """Else the claims behind them would not have been looked at."""
    import jwt

    public = jwt.PyJWK(KEY.public_jwk()).key
    genuine = [(name, token) for name, token in ALL if name.startswith("claim: ")]
    assert len(genuine) > 60
    for name, token in genuine:
        try:
            jwt.decode(
                token,
                public,
                algorithms=["ES256"],
                options={
                    "verify_signature": True,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                    "verify_iss": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except jwt.InvalidTokenError as error:
            pytest.fail(f"{name}: {error!r}")


@pytest.mark.parametrize(
    "token",
    [" ", f" {GOOD}", f"{GOOD} ", f"{GOOD}\n", f"{GOOD}\x00", "é" * 90, "\ud800", GOOD.encode(), None, 7],
)
def test_what_no_header_carries_is_refused_too(token):
    with pytest.raises(InvalidToken):
        verifier_of().verify(token)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_single_changed_letter_passes(data):
    position = data.draw(st.integers(0, len(GOOD) - 1))
    letter = data.draw(st.characters(min_codepoint=32, max_codepoint=126))
    token = GOOD[:position] + letter + GOOD[position + 1 :]
    if token == GOOD:
        return
    with pytest.raises(InvalidToken):
        verifier_of().verify(token)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400))
def test_any_text_is_refused(text):
    with pytest.raises(InvalidToken):
        verifier_of().verify(text)
