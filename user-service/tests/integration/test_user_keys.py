"""Signing keys over their life."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from saras_common.auth import InvalidToken, PublishedKeys, TokenVerifier
from user_service import usecases
from user_service.usecases import KeyRing

MONTH = timedelta(days=30)


def rotate(door, **how):
    ctx = door.context
    return usecases.rotate_keys(ctx.database, ctx.vault, ctx.clock, **{"max_age": timedelta(0), **how})


def published(door):
    return [key["kid"] for key in door.client.get("/.well-known/jwks.json").json()["keys"]]


def kid_of(token):
    import jwt

    return jwt.get_unverified_header(token)["kid"]


def states(door):
    with door.context.database.for_service() as session:
        return dict(session.execute(text("SELECT kid, state FROM signing_keys")).all())


def test_a_new_key_is_published_before_it_signs_and_the_old_one_verifies_on(door):
    old_token = door.person().tokens["access_token"]
    (old,) = published(door)
    door.clock.advance(1)
    new = rotate(door)
    door.clock.advance(11)
    assert published(door) == [new, old]
    assert kid_of(door.login().tokens["access_token"]) == old
    door.clock.advance(30)
    token = door.login().tokens["access_token"]
    assert kid_of(token) == new
    assert door.verifier.verify(token)
    assert door.verifier.verify(old_token)
    assert states(door) == {old: "previous", new: "active"}


def test_a_replaced_key_is_erased_when_nothing_of_it_lives(door):
    (old,) = published(door)
    door.clock.advance(1)
    new = rotate(door)
    door.clock.advance(30 + 7200 + 1)
    assert published(door) == [new]
    assert rotate(door, max_age=MONTH) is None
    assert states(door) == {old: "retired", new: "active"}
    with door.context.database.for_service() as session:
        sealed = session.execute(text("SELECT sealed FROM signing_keys WHERE kid = :kid"), {"kid": old}).scalar_one()
    assert bytes(sealed) == b""
    door.register()
    assert kid_of(door.login().tokens["access_token"]) == new


def test_a_key_is_replaced_by_age_alone(door):
    (old,) = published(door)
    door.clock.advance(29 * 86400)
    usecases.tidy(door.context)
    assert list(states(door)) == [old]
    door.clock.advance(2 * 86400)
    usecases.tidy(door.context)
    assert sorted(states(door).values()) == ["active", "previous"]


def test_after_a_compromise_every_token_of_the_old_key_dies(door):
    person = door.person()
    keys = PublishedKeys(door.clock, lambda: door.client.get("/.well-known/jwks.json").json(), min_interval_s=3)
    verifier = TokenVerifier(keys, door.clock, remember_s=5)
    assert verifier.verify(person.tokens["access_token"])
    door.clock.advance(1)
    new = rotate(door, is_compromised=True)
    door.clock.advance(11)
    assert published(door) == [new]
    assert verifier.verify(door.login().tokens["access_token"])
    with pytest.raises(InvalidToken):
        verifier.verify(person.tokens["access_token"])


def test_two_rotations_in_a_row_leave_every_token_verifiable(door):
    door.register()
    tokens = [door.login().tokens["access_token"]]
    for _ in range(12):
        rotate(door)
        door.clock.advance(13)
        tokens.append(door.login().tokens["access_token"])
    door.clock.advance(11)
    for token in tokens:
        assert door.verifier.verify(token)
    assert len({kid_of(token) for token in tokens}) > 3


def test_processes_share_the_keys_and_a_restart_keeps_them(door, open_door):
    before = published(door)
    assert published(open_door()) == before
    ctx = door.context
    assert KeyRing(ctx.database, ctx.vault, ctx.clock).current().kid == before[0]


def test_a_key_moved_to_another_row_does_not_open(door):
    from user_service.vault import Unreadable

    published(door)
    ctx = door.context
    with ctx.database.for_service() as session:
        sealed = session.execute(text("SELECT sealed FROM signing_keys")).scalar_one()
    with pytest.raises(Unreadable):
        ctx.vault.open(bytes(sealed), "signing key:another")
