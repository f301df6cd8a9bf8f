"""A user's own things over HTTP."""

import pyotp
import pytest

from saras_common.ids import new_id


def code_of(door, secret, steps=0):
    return pyotp.TOTP(secret).at(door.clock.now(), counter_offset=steps)


def switch_on_totp(door, person):
    secret = person.call("POST", "/me/totp/enroll").json()["secret"]
    assert person.call("POST", "/me/totp/confirm", json={"code": code_of(door, secret)}).status_code == 204
    door.clock.advance(30)
    return secret


def test_profile_changes_name_and_phone_and_nothing_else(door):
    person = door.person()
    changed = person.call("PATCH", "/me", json={"full_name": "Asha R.", "phone": "+91 98123-45678"})
    assert changed.status_code == 200
    assert changed.json()["phone"] == "+919812345678"
    assert person.call("PATCH", "/me", json={"phone": None}).json()["phone"] is None
    assert person.call("GET", "/me").json()["full_name"] == "Asha R."
    for body in ({}, {"full_name": None}, {"roles": ["admin"]}, {"email": "x@example.com"}, {"kyc_status": "approved"}):
        assert person.call("PATCH", "/me", json=body).status_code == 422


def test_a_new_password_ends_every_session_and_carries_this_device_on(door):
    person = door.person()
    other = door.login()
    before = door.revocations()["cursor"]
    answer = person.call(
        "POST", "/me/password", json={"current_password": door.password, "new_password": "another-Orchard-88"}
    )
    assert answer.status_code == 200
    (revoked,) = door.revocations(before)["users"]
    assert revoked["user_id"] == str(person.identity.user_id)
    assert person.identity.version < revoked["min_version"]
    assert other.identity.version < revoked["min_version"]
    assert door.verifier.verify(answer.json()["access_token"]).version == revoked["min_version"]
    for tokens in (person.tokens, other.tokens):
        body = {"refresh_token": tokens["refresh_token"]}
        assert door.call("POST", "/token/refresh", json=body).status_code == 401
    body = {"refresh_token": answer.json()["refresh_token"]}
    assert door.call("POST", "/token/refresh", json=body).status_code == 200
    assert door.call("POST", "/login", json={"email": person.email, "password": door.password}).status_code == 401
    door.login(password="another-Orchard-88")


def test_a_new_password_needs_the_old_one_and_must_be_good(door):
    person = door.person()
    change = lambda old, new: person.call(  # noqa: E731
        "POST", "/me/password", json={"current_password": old, "new_password": new}
    )
    assert change("wrong-Orchard-77", "another-Orchard-88").status_code == 401
    assert change(door.password, "password123").status_code == 422
    assert change(door.password, person.email).status_code == 422
    door.login()


def test_two_step_sign_in_from_enrolment_to_the_end(door):
    person = door.person()
    secret = switch_on_totp(door, person)
    login = lambda **extra: door.call(  # noqa: E731
        "POST", "/login", json={"email": person.email, "password": door.password, **extra}
    )
    assert (login().status_code, login().json()["code"]) == (401, "totp_required")
    assert login(totp_code="000000").json()["code"] == "invalid_credentials"
    assert login(totp_code=code_of(door, secret)).status_code == 200
    assert login(totp_code=code_of(door, secret)).status_code == 401, "a code is good once"
    assert login(totp_code=code_of(door, secret, -1)).status_code == 401, "nor is an older one good after it"
    door.clock.advance(30)
    assert person.call("POST", "/me/totp/enroll").json()["code"] == "totp_already_on"
    assert person.call("POST", "/me/totp/disable", json={"code": "123456"}).status_code == 422
    assert person.call("POST", "/me/totp/disable", json={"code": code_of(door, secret)}).status_code == 204
    assert login().status_code == 200


def test_an_unconfirmed_authenticator_changes_nothing(door):
    person = door.person()
    assert person.call("POST", "/me/totp/confirm", json={"code": "123456"}).json()["code"] == "totp_not_enrolled"
    assert person.call("POST", "/me/totp/disable", json={"code": "123456"}).json()["code"] == "totp_not_enrolled"
    first = person.call("POST", "/me/totp/enroll").json()
    assert first["otpauth_uri"].startswith("otpauth://totp/Saras:")
    second = person.call("POST", "/me/totp/enroll").json()["secret"]
    wrong = person.call("POST", "/me/totp/confirm", json={"code": code_of(door, first["secret"])})
    assert wrong.status_code == 422, "the second secret replaced the first"
    assert person.call("POST", "/me/totp/disable", json={"code": "123456"}).status_code == 409
    door.login()
    assert person.call("POST", "/me/totp/confirm", json={"totp_code": code_of(door, second)}).status_code == 204


def test_sessions_are_listed_and_ended_one_by_one(door):
    person = door.person()
    others = [door.login() for _ in range(3)]
    listed = person.call("GET", "/me/sessions").json()
    assert [item["current"] for item in listed["items"]] == [True, False, False, False]
    assert {item["address"] for item in listed["items"]} == {"203.0.113.9"}
    before = door.revocations()["cursor"]
    gone = str(others[1].identity.session_id)
    assert person.call("DELETE", f"/me/sessions/{gone}").status_code == 204
    assert door.revocations(before)["sessions"] == [gone]
    assert gone not in {item["id"] for item in person.call("GET", "/me/sessions").json()["items"]}


def test_sessions_come_in_pages(door):
    person = door.person()
    for _ in range(4):
        door.login()
    seen, cursor = [], None
    while True:
        page = person.call("GET", "/me/sessions", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5
    for bad in ({"limit": 0}, {"limit": 501}, {"limit": "x"}, {"cursor": "!!"}, {"cursor": "WzFd"}):
        assert person.call("GET", "/me/sessions", params=bad).status_code == 422


def test_another_users_session_does_not_exist(door):
    asha, ravi = door.person("asha@example.com"), door.person("ravi@example.com")
    for wanted in (str(ravi.identity.session_id), str(new_id()), "x", "%00", "1' OR '1'='1"):
        answer = asha.call("DELETE", f"/me/sessions/{wanted}")
        assert answer.status_code == 404, wanted
    assert ravi.call("GET", "/me/sessions").json()["items"]
    body = {"refresh_token": ravi.tokens["refresh_token"]}
    assert door.call("POST", "/token/refresh", json=body).status_code == 200


KYC = {
    "pan": "abcpe1234f",
    "date_of_birth": "1990-05-17",
    "address": "12 Lake Road, Pune 411001",
    "bank_account": "0012 3456 7890",
    "ifsc": "HDFC0000123",
}


def test_kyc_is_masked_on_the_way_out_and_sealed_at_rest(door):
    person = door.person()
    assert person.call("GET", "/me/kyc").json()["status"] == "none"
    answer = person.call("PUT", "/me/kyc", json=KYC)
    assert answer.status_code == 200
    assert answer.json() == person.call("GET", "/me/kyc").json()
    body = answer.json()
    assert (body["status"], body["pan"], body["date_of_birth"]) == ("pending", "XXXXXX234F", "1990-XX-XX")
    assert (body["bank_account"], body["address"]) == ("XXXXXXXX7890", "12 …")
    assert person.call("GET", "/me").json()["kyc_status"] == "pending"
    with door.context.database.for_service() as session:
        from sqlalchemy import text

        stored = str(session.execute(text("SELECT * FROM kyc")).all()) + str(
            session.execute(text("SELECT sealed FROM kyc")).scalar_one()
        )
    for secret in ("ABCPE1234F", "001234567890", "Lake Road", "1990"):
        assert secret not in stored


@pytest.mark.parametrize(
    "change",
    [
        {"pan": "ABC"},
        {"pan": "ABCPE12345"},
        {"date_of_birth": "2020-01-01"},
        {"date_of_birth": "1890-01-01"},
        {"date_of_birth": "1990-02-30"},
        {"date_of_birth": 631152000},
        {"address": "x"},
        {"address": "x" * 501},
        {"bank_account": "12"},
        {"bank_account": "12345678901234567890"},
        {"bank_account": 123456789012},
        {"ifsc": "HDFC1000123"},
        {"status": "approved"},
    ],
)
def test_bad_declarations_are_refused_and_store_nothing(shared_door, change):
    person = shared_door.somebody()
    answer = person.call("PUT", "/me/kyc", json={**KYC, **change})
    assert answer.status_code == 422
    assert person.call("GET", "/me/kyc").json()["status"] == "none"


def test_a_refused_declaration_is_not_repeated_to_anybody(door):
    marked = {name: f"marker-{name}" for name in KYC} | {"marker-unknown": "marker-value"}
    answer = door.person().call("PUT", "/me/kyc", json=marked)
    assert answer.status_code == 422
    assert {item["field"] for item in answer.json()["errors"]} >= {"pan", "date_of_birth", "bank_account", "ifsc"}
    for value in marked.values():
        assert value not in answer.text
