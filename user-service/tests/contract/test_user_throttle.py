"""Login is throttled per account, per address and in all; the count is in the database."""

import pytest


def attempt(door, email="asha@example.com", password="wrong-Orchard-77", **where):
    return door.call("POST", "/login", json={"email": email, "password": password}, **where)


@pytest.mark.parametrize("email", ["asha@example.com", "nobody@example.com"])
def test_an_account_known_or_not_bears_so_many_failures(open_door, email):
    door = open_door(login_account_burst=3)
    door.register()
    answers = [attempt(door, email, address=f"198.51.100.{number}") for number in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert answers[3].json()["code"] == "login_throttled"
    assert int(answers[3].headers["Retry-After"]) == 90
    assert attempt(door, email, door.password).status_code == 429, "the right password waits too"
    assert attempt(door, "other@example.com").status_code == 401, "another account is not touched"
    door.clock.advance(90)
    assert attempt(door, email).status_code == 401
    assert attempt(door, email).status_code == 429


def test_success_takes_nothing(open_door):
    door = open_door(login_account_burst=2)
    door.register()
    for _ in range(6):
        assert attempt(door, password=door.password).status_code == 200
    assert [attempt(door).status_code for _ in range(3)] == [401, 401, 429]


def test_an_address_bears_so_many_failures(open_door):
    door = open_door(login_address_burst=3)
    answers = [attempt(door, f"user{number}@example.com").status_code for number in range(4)]
    assert answers == [401, 401, 401, 429]
    assert attempt(door, "user9@example.com", address="198.51.100.7").status_code == 401
    door.clock.advance(9)
    assert attempt(door, "user9@example.com").status_code == 401


def test_the_platform_bears_so_many_failures(open_door):
    door = open_door(login_global_burst=3)
    answers = [
        attempt(door, f"user{number}@example.com", address=f"198.51.100.{number}").status_code for number in range(4)
    ]
    assert answers == [401, 401, 401, 429]
    door.clock.advance(0.1)
    assert attempt(door, "user9@example.com", address="198.51.100.9").status_code == 401


def test_a_restart_forgets_nothing(open_door):
    first = open_door(login_account_burst=2)
    assert [attempt(first).status_code for _ in range(3)] == [401, 401, 429]
    assert attempt(open_door(login_account_burst=2)).status_code == 429


def test_guessing_the_current_password_or_a_code_is_throttled_too(open_door):
    door = open_door(login_account_burst=2)
    person = door.person()
    change = {"current_password": "wrong-Orchard-77", "new_password": "another-Orchard-88"}
    assert [person.call("POST", "/me/password", json=change).status_code for _ in range(3)] == [401, 401, 429]
    other = door.person("ravi@example.com")
    other.call("POST", "/me/totp/enroll")
    guess = {"code": "123456"}
    assert [other.call("POST", "/me/totp/confirm", json=guess).status_code for _ in range(3)] == [422, 422, 429]


def test_a_missing_second_step_is_no_failure(open_door):
    import pyotp

    door = open_door(login_account_burst=2)
    person = door.person()
    secret = person.call("POST", "/me/totp/enroll").json()["secret"]
    person.call("POST", "/me/totp/confirm", json={"code": pyotp.TOTP(secret).at(door.clock.now())})
    answers = [attempt(door, password=door.password).json()["code"] for _ in range(5)]
    assert answers == ["totp_required"] * 5
