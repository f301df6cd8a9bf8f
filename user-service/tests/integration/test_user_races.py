"""Two at once: real threads against a real database."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyotp
import pytest

from user_service import usecases
from user_service.domain.refusals import InvalidCredentials, LoginThrottled
from user_service.passwords import PasswordHasher
from user_service.usecases import Origin

HOME = Origin("203.0.113.9", "test")


def at_once(count, work):
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def outcome(work):
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - the outcome is what is asked
        return type(error).__name__


def test_fifty_refreshes_of_one_token_give_one_successor(door):
    person = door.person()
    token = person.tokens["refresh_token"]
    pairs = at_once(50, lambda _: usecases.refresh(door.context, HOME, token))
    assert len({pair.refresh_token for pair in pairs}) == 1
    following = usecases.refresh(door.context, HOME, pairs[0].refresh_token)
    assert following.refresh_token != pairs[0].refresh_token


def test_one_address_is_registered_once(door):
    register = lambda number: outcome(  # noqa: E731
        lambda: (
            usecases.register(
                door.context, HOME, email="asha@example.com", password=door.password, full_name=f"Asha {number}"
            ).email
        )
    )
    assert Counter(at_once(12, register)) == {"asha@example.com": 1, "EmailTaken": 11}


def test_a_code_signs_in_once(door):
    person = door.person()
    secret = person.call("POST", "/me/totp/enroll").json()["secret"]
    code = lambda: pyotp.TOTP(secret).at(door.clock.now())  # noqa: E731
    person.call("POST", "/me/totp/confirm", json={"code": code()})
    door.clock.advance(30)
    sign_in = lambda _: outcome(  # noqa: E731
        lambda: (
            type(
                usecases.login(door.context, HOME, email=person.email, password=door.password, totp_code=code())
            ).__name__
        )
    )
    assert Counter(at_once(8, sign_in)) == {"TokenPair": 1, "InvalidCredentials": 7}


def test_guesses_at_once_cannot_pass_the_throttle(open_door):
    door = open_door(login_account_burst=4)
    door.register()

    def guess(number):
        try:
            usecases.login(door.context, HOME, email="asha@example.com", password=f"guess-number-{number}")
        except (InvalidCredentials, LoginThrottled) as error:
            return type(error).__name__

    assert Counter(at_once(20, guess)) == {"InvalidCredentials": 4, "LoginThrottled": 16}


def test_many_processes_make_one_first_administrator(door):
    make = lambda _: usecases.ensure_admin(door.context, email="boss@example.com", password=None)  # noqa: E731
    passwords = [password for password in at_once(6, make) if password is not None]
    assert len(passwords) == 1
    door.login("boss@example.com", passwords[0])


def test_a_password_is_changed_once(door):
    person = door.person()
    change = lambda number: outcome(  # noqa: E731
        lambda: (
            type(
                usecases.change_password(
                    door.context,
                    HOME,
                    person.identity.user_id,
                    current_password=door.password,
                    new_password=f"another-Orchard-{number}",
                )
            ).__name__
        )
    )
    assert Counter(at_once(6, change)) == {"TokenPair": 1, "InvalidCredentials": 5}


def test_logins_and_an_ending_account_leave_no_live_session(door):
    """A login that was judged before the account was disabled must not outlive it."""
    person, admin = door.person(), door.admin()
    user_id = person.identity.user_id

    def act(number):
        if number == 4:
            disabled = usecases.administration.UserStatus.DISABLED
            return usecases.change_user(
                door.context, HOME, user_id, by=admin.identity.user_id, status=disabled
            ).status.value
        return outcome(lambda: usecases.login(door.context, HOME, email=person.email, password=door.password))

    at_once(8, act)
    assert usecases.list_sessions(door.context, user_id, after=None, limit=50) == []


def test_one_rotation_of_keys_at_a_time(door):
    from datetime import timedelta

    ctx = door.context
    door.client.get("/.well-known/jwks.json")
    door.clock.advance(40 * 86400)
    rotate = lambda _: usecases.rotate_keys(  # noqa: E731
        ctx.database, ctx.vault, ctx.clock, max_age=timedelta(days=30)
    )
    assert len([made for made in at_once(6, rotate) if made is not None]) == 1


def test_a_login_judged_by_the_old_password_does_not_outlive_it(door):
    """The password is changed after the login was judged and before its session is made."""
    person = door.person()
    meanwhile = []

    class Slow(PasswordHasher):
        def verify(self, password, stored):
            good = super().verify(password, stored)
            if meanwhile:
                return good
            meanwhile.append(True)
            usecases.change_password(
                door.context,
                HOME,
                person.identity.user_id,
                current_password=door.password,
                new_password="another-Orchard-88",
            )
            return good

    slow = replace(door.context, hasher=Slow(door.context.hasher._scheme))
    with pytest.raises(InvalidCredentials):
        usecases.login(slow, HOME, email=person.email, password=door.password)
    assert len(usecases.list_sessions(door.context, person.identity.user_id, after=None, limit=50)) == 1


def test_an_old_hash_is_replaced_at_login_and_no_login_suffers(door):
    person = door.person()
    stored = lambda: usecases.get_user(door.context, person.identity.user_id).password_hash  # noqa: E731
    before = stored()
    stronger = replace(door.context, hasher=PasswordHasher())
    at_once(6, lambda _: usecases.login(stronger, HOME, email=person.email, password=door.password))
    after = stored()
    assert after != before
    assert after.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    usecases.login(stronger, HOME, email=person.email, password=door.password)
    assert stored() == after
    assert usecases.get_user(door.context, person.identity.user_id).version == 1, "nothing about the user changed"
