"""Registration, login, refresh and logout over HTTP."""

import pytest


def test_a_person_registers_signs_in_and_is_known(door):
    user = door.register("  Asha.Rao@Example.COM ")
    assert user["email"] == "asha.rao@example.com"
    assert user["roles"] == ["user"]
    assert user["status"] == "active"
    assert user["kyc_status"] == "none"
    assert user["created_at"].endswith("Z")
    assert "password" not in str(user)
    person = door.login("ASHA.RAO@example.com")
    assert person.tokens["token_type"] == "bearer"
    assert person.tokens["expires_in"] == 600
    assert person.call("GET", "/me").json() == user


def test_tokens_are_never_stored_by_what_is_on_the_way(door):
    door.register()
    body = {"email": "asha@example.com", "password": door.password}
    assert door.call("POST", "/login", json=body).headers["Cache-Control"] == "no-store"


def test_an_address_is_taken_whatever_its_spelling(door):
    door.register("asha@example.com")
    answer = door.call(
        "POST", "/register", json={"email": "ASHA@Example.com", "password": door.password, "full_name": "Other"}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")


@pytest.mark.parametrize(
    "change",
    [
        {"email": "no-address"},
        {"email": "a@localhost"},
        {"email": "a b@example.com"},
        {"email": "a..b@example.com"},
        {"email": "x" * 250 + "@example.com"},
        {"email": 7},
        {"password": "short"},
        {"password": "x" * 257},
        {"password": "password123"},
        {"password": "QWERTYUIOP"},
        {"password": "aaaaaaaaaaaa"},
        {"password": "asha@example.com"},
        {"password": None},
        {"full_name": ""},
        {"full_name": "   "},
        {"full_name": "line\nbreak"},
        {"full_name": "x" * 201},
        {"phone": "not a phone"},
        {"phone": True},
        {"roles": ["admin"]},
        {"status": "active"},
        {"id": "00000000-0000-0000-0000-000000000000"},
    ],
)
def test_bad_registrations_are_refused_and_store_nothing(shared_door, change):
    door = shared_door
    body = {"email": "asha@example.com", "password": door.password, "full_name": "Asha", **change}
    answer = door.call("POST", "/register", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"]
    assert [item["email"] for item in door.admin().call("GET", "/admin/users").json()["items"]] == [door.admin_email]


@pytest.mark.parametrize(
    "password", ["correct horse but longer " * 4, "пароль-длинный-кириллица", "🐘" * 5 + "elephants", "x" * 200 + "yz"]
)
def test_long_and_foreign_passwords_are_welcome(door, password):
    door.register(password=password)
    door.login(password=password)


def test_a_password_is_the_same_however_its_accents_are_typed(door):
    door.register(password="cafe\u0301-terrace-1912")
    door.login(password="caf\u00e9-terrace-1912")


def test_unknown_users_and_wrong_passwords_get_one_answer(door):
    door.register()
    answers = [
        door.call("POST", "/login", json={"email": email, "password": "wrong-Orchard-77"})
        for email in ("asha@example.com", "nobody@example.com", "not an address")
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    bodies = [{k: v for k, v in answer.json().items() if k != "request_id"} for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0]["code"] == "invalid_credentials"


def test_refresh_gives_a_new_pair_and_the_session_goes_on(door):
    person = door.person()
    answer = door.call("POST", "/token/refresh", json={"refresh_token": person.tokens["refresh_token"]})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    pair = answer.json()
    assert pair["refresh_token"] != person.tokens["refresh_token"]
    assert door.verifier.verify(pair["access_token"]).session_id == person.identity.session_id


def test_within_the_grace_the_same_predecessor_gets_the_same_successor(door):
    person = door.person()
    show = lambda token: door.call("POST", "/token/refresh", json={"refresh_token": token})  # noqa: E731
    first = show(person.tokens["refresh_token"]).json()["refresh_token"]
    door.clock.advance(9)
    assert show(person.tokens["refresh_token"]).json()["refresh_token"] == first
    assert show(first).status_code == 200


def test_reuse_after_the_grace_ends_the_whole_family(door):
    person = door.person()
    show = lambda token: door.call("POST", "/token/refresh", json={"refresh_token": token})  # noqa: E731
    successor = show(person.tokens["refresh_token"]).json()["refresh_token"]
    before = door.revocations()["cursor"]
    door.clock.advance(11)
    stolen = show(person.tokens["refresh_token"])
    assert (stolen.status_code, stolen.json()["code"]) == (401, "invalid_refresh_token")
    assert show(successor).status_code == 401
    assert door.revocations(before)["sessions"] == [str(person.identity.session_id)]


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "é" * 43, "a" * 500, "../../etc/passwd", "' OR 1=1 --"])
def test_made_up_refresh_tokens_are_refused(shared_door, token):
    assert shared_door.call("POST", "/token/refresh", json={"refresh_token": token}).status_code == 401


def test_an_access_token_does_not_refresh(door):
    person = door.person()
    token = person.tokens["access_token"]
    assert door.call("POST", "/token/refresh", json={"refresh_token": token}).status_code in {401, 422}


def test_a_session_is_over_after_its_time(open_door):
    door = open_door(session_ttl_s=600)
    person = door.person()
    door.clock.advance(601)
    token = person.tokens["refresh_token"]
    assert door.call("POST", "/token/refresh", json={"refresh_token": token}).status_code == 401


def test_logout_revokes_the_session_and_its_refresh_token(door):
    person = door.person()
    other = door.login()
    before = door.revocations()["cursor"]
    assert person.call("POST", "/logout").status_code == 204
    assert person.call("POST", "/logout").status_code == 204
    assert door.revocations(before)["sessions"] == [str(person.identity.session_id)]
    refresh = lambda pair: door.call("POST", "/token/refresh", json={"refresh_token": pair["refresh_token"]})  # noqa: E731
    assert refresh(person.tokens).status_code == 401
    assert refresh(other.tokens).status_code == 200


def test_the_published_key_verifies_with_another_library(door):
    import jwt

    person = door.person()
    answer = door.client.get("/.well-known/jwks.json")
    (key,) = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "alg", "use", "kid"}
    claims = jwt.decode(
        person.tokens["access_token"],
        jwt.PyJWK(key).key,
        algorithms=["ES256"],
        audience="saras-api",
        issuer="saras",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["typ"] == "access"
    assert claims["roles"] == ["user"]
    assert claims["exp"] - claims["iat"] == 600


def test_disabled_users_cannot_sign_in_or_go_on(door):
    person, admin = door.person(), door.admin()
    admin.call("PATCH", f"/admin/users/{person.identity.user_id}", json={"status": "disabled"})
    answer = door.call("POST", "/login", json={"email": person.email, "password": door.password})
    assert (answer.status_code, answer.json()["code"]) == (403, "account_disabled")
    wrong = door.call("POST", "/login", json={"email": person.email, "password": "wrong-Orchard-77"})
    assert wrong.status_code == 401
    refresh = door.call("POST", "/token/refresh", json={"refresh_token": person.tokens["refresh_token"]})
    assert refresh.status_code == 401
