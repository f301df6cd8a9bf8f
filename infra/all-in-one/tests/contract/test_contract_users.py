"""Accounts, sessions, tokens, TOTP, KYC and the administrator's view of users."""

import time

import pytest
import requests
from contract_client import INSTANT, PASSWORD, USER_FIELDS, Early, User, World, token_parts, until

EFFECT_S = 1.0
GRACE_S = 10.0
NEW_PASSWORD = "nine loud magpies 77"
KYC = {
    "pan": "ABCPE1234F",
    "date_of_birth": "1990-01-31",
    "address": "12 MG Road, Pune 411001",
    "bank_account": "123456789012",
    "ifsc": "HDFC0001234",
}
ON_EACH_SERVICE = ("/me", "/funds", "/orders", "/instruments?q=INFY")


def refresh(world: World, token: str):
    return world.public.call("POST", "/token/refresh", {"refresh_token": token})


def dead_within_a_second(user: User, paths: tuple[str, ...] = ON_EACH_SERVICE, since: float | None = None) -> None:
    deadline = (since or time.monotonic()) + EFFECT_S
    alive = list(paths)
    while alive and time.monotonic() < deadline:
        alive = [path for path in alive if user.call("GET", path).status != 401]
    for path in paths:
        user.call("GET", path).refused(401)
    assert alive == []


def test_register(world: World):
    body = {
        "email": "first.user@example.com",
        "password": PASSWORD,
        "full_name": "First User",
        "phone": "+919812345678",
    }
    made = world.public.call("POST", "/register", body).expect(201)
    assert set(made) == USER_FIELDS
    assert (made["email"], made["full_name"], made["phone"]) == (body["email"], "First User", "+919812345678")
    assert made["roles"] == ["user"]
    assert INSTANT.fullmatch(made["created_at"])
    answer = world.public.call("POST", "/register", body)
    assert answer.status in (409, 422), answer
    answer.refused(answer.status)
    answer = world.public.call("POST", "/register", {**body, "email": "FIRST.USER@EXAMPLE.COM"})
    assert answer.status in (409, 422), answer


@pytest.mark.parametrize(
    "change",
    [
        {"email": "nobody"},
        {"email": "a@b"},
        {"email": "a@example.com\r\nBcc: x@example.com"},
        {"email": "x" * 400 + "@example.com"},
        {"password": "short"},
        {"password": ""},
        {"password": "password123"},
        {"password": "x" * 10_000},
        {"full_name": ""},
        {"full_name": "x" * 5000},
        {"phone": "not a phone"},
        {"roles": ["admin"]},
        {"status": "active"},
        {"id": "1"},
    ],
    ids=lambda change: str(change)[:40],
)
def test_register_refuses(world: World, admin: User, change):
    body = {"email": "refused@example.com", "password": PASSWORD, "full_name": "Refused", **change}
    world.public.call("POST", "/register", body).refused(422)
    assert "refused@example.com" not in [row["email"] for row in admin.pages("/admin/users")]


def test_long_passphrases_work(world: World):
    long = "sixty-four characters are the least a passphrase may be long, ok"
    assert len(long) == 64
    body = {"email": "long@example.com", "password": long, "full_name": "Long"}
    world.public.call("POST", "/register", body).expect(201)
    world.login("long@example.com", long).expect(200)
    world.login("long@example.com", long[:-1] + "x").refused(401)


def test_login(world: World, user: User):
    answer = world.login(user.email, PASSWORD)
    pair = answer.expect(200)
    assert set(pair) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert pair["token_type"] == "bearer"
    assert type(pair["expires_in"]) is int
    header, claims, _ = token_parts(pair["access_token"])
    assert header["alg"] == "ES256"
    assert {"exp", "iat", "aud", "iss", "sub", "jti", "typ"} <= set(claims)
    assert claims["sub"] == user.id
    assert claims["exp"] - claims["iat"] == pair["expires_in"]
    keys = requests.get(world.origin + "/.well-known/jwks.json", timeout=10).json()["keys"]
    assert header["kid"] in [key["kid"] for key in keys]
    assert all("d" not in key for key in keys)
    assert "no-store" in answer.headers["Cache-Control"]
    wrong = world.login(user.email, "not this one 123").refused(401)
    unknown = world.login("never.seen@example.com", "not this one 123").refused(401)
    assert {**wrong, "request_id": ""} == {**unknown, "request_id": ""}


def test_me(user: User):
    me = user.get("/me")
    assert set(me) == USER_FIELDS
    changed = user.call("PATCH", "/me", {"full_name": "Asha Rao", "phone": "+919800000000"}).expect(200)
    assert (changed["full_name"], changed["phone"]) == ("Asha Rao", "+919800000000")
    assert user.get("/me") == changed
    for field, value in (
        ("roles", ["admin"]),
        ("status", "active"),
        ("kyc_status", "approved"),
        ("email", "other@example.com"),
        ("id", "x"),
    ):
        user.call("PATCH", "/me", {field: value}).refused(422)
    assert user.get("/me") == changed


def test_refresh_within_the_grace_answers_the_same_successor(world: World):
    user = world.new_user(None)
    first = refresh(world, user.refresh_token).expect(200)
    assert set(first) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert first["refresh_token"] != user.refresh_token
    again = refresh(world, user.refresh_token).expect(200)
    assert again["refresh_token"] == first["refresh_token"]
    next_pair = refresh(world, first["refresh_token"]).expect(200)
    user.call("GET", "/me", token=next_pair["access_token"]).expect(200)
    for bad in ("x" * 43, user.token, "", "\u00e9" * 43):
        answer = refresh(world, bad)
        assert answer.status in (401, 422), answer
    refresh(world, "x" * 43).refused(401)


def test_logout_ends_the_session_everywhere(world: World, admin: User):
    user = world.new_user()
    other = user.another_session()
    for path in ON_EACH_SERVICE:
        user.call("GET", path).expect(200)
    user.call("POST", "/logout").expect(200, 204)
    dead_within_a_second(user)
    refresh(world, user.refresh_token).refused(401)
    other.call("GET", "/me").expect(200)
    second = admin.another_session()
    second.call("GET", "/admin/execution").expect(200)
    second.call("POST", "/logout").expect(200, 204)
    dead_within_a_second(second, ("/admin/execution", "/admin/users", "/admin/batches"))


def test_sessions(world: World):
    user = world.new_user(None)
    other = user.another_session()
    rows = list(other.pages("/me/sessions"))
    assert len(rows) == 2
    assert len(list(user.pages("/me/sessions"))) == 2
    assert all(user.refresh_token not in str(row) for row in rows)
    mine = {row["id"] for row in rows if row["current"]}
    (theirs,) = {row["id"] for row in rows} - mine
    other.call("DELETE", f"/me/sessions/{theirs}").expect(200, 204)
    dead_within_a_second(user)
    refresh(world, user.refresh_token).refused(401)
    assert [row["id"] for row in other.pages("/me/sessions")] == list(mine)


def test_password_change(world: World):
    user = world.new_user(None)
    other = user.another_session()
    body = {"current_password": "not it at all 55", "new_password": NEW_PASSWORD}
    answer = user.call("POST", "/me/password", body)
    assert answer.status in (401, 403, 422), answer
    answer.refused(answer.status)
    user.call("POST", "/me/password", {"current_password": PASSWORD, "new_password": "password123"}).refused(422)
    other.call("GET", "/me").expect(200)
    body["current_password"] = PASSWORD
    user.call("POST", "/me/password", body).expect(200, 204)
    dead_within_a_second(other)
    refresh(world, other.refresh_token).refused(401)
    world.login(user.email, PASSWORD).refused(401)
    world.login(user.email, NEW_PASSWORD).expect(200)


def test_totp_wants_a_confirmation_before_it_is_asked_for(world: World):
    user = world.new_user(None)
    user.call("POST", "/me/totp/confirm", {"code": "000000"}).expect(401, 404, 409, 422)
    user.call("POST", "/me/totp/enroll").expect(200, 201)
    world.login(user.email, PASSWORD).expect(200)
    user.call("POST", "/me/totp/confirm", {"code": "12345"}).refused(422)


def test_totp_codes_are_asked_for_and_single_use(world: World, early: Early):
    email, used = early.totp_user.email, early.totp_used
    world.login(email, PASSWORD).refused(401)
    world.login(email, PASSWORD, totp_code="000000" if used != "000000" else "000001").refused(401)
    world.login(email, PASSWORD, totp_code=used).refused(401)
    fresh = until(lambda: (code := early.totp.now()) != used and code, "the next code", 32)
    world.login(email, PASSWORD, totp_code=fresh).expect(200)
    world.login(email, PASSWORD, totp_code=fresh).refused(401)


def test_kyc_is_masked_and_decided_by_an_administrator(world: World, admin: User):
    user = world.new_user(None)
    answer = user.call("PUT", "/me/kyc", KYC)
    answer.expect(200, 201, 202)
    for shown in (answer, user.call("GET", "/me/kyc")):
        assert b"ABCPE1234F" not in shown.raw
        assert b"123456789012" not in shown.raw
        assert b"MG Road" not in shown.raw
        assert b"9012" in shown.raw
    pending = user.get("/me")["kyc_status"]
    for change in ({"pan": "nonsense"}, {"date_of_birth": "1990-02-30"}, {"date_of_birth": "2090-01-01"}):
        user.call("PUT", "/me/kyc", {**KYC, **change}).refused(422)
    user.call("POST", f"/admin/users/{user.id}/kyc/approve").refused(403)
    admin.call("POST", f"/admin/users/{user.id}/kyc/approve").expect(200)
    approved = user.get("/me")["kyc_status"]
    assert approved != pending
    other = world.new_user(None)
    other.call("PUT", "/me/kyc", KYC).expect(200, 201, 202)
    admin.call("POST", f"/admin/users/{other.id}/kyc/reject", {"reason": "the PAN cannot be read"}).expect(200)
    assert other.get("/me")["kyc_status"] not in (pending, approved)


def test_administrator_disables_and_enables(world: World, admin: User):
    user = world.new_user()
    row = next(row for row in admin.pages("/admin/users") if row["id"] == user.id)
    assert set(row) == USER_FIELDS
    admin.call("PATCH", f"/admin/users/{user.id}", {"status": "disabled"}).expect(200)
    dead_within_a_second(user)
    answer = world.login(user.email, PASSWORD)
    assert answer.status in (401, 403), answer
    world.login(user.email, PASSWORD + "x").refused(401)
    refresh(world, user.refresh_token).refused(401)
    admin.call("PATCH", f"/admin/users/{user.id}", {"status": "active"}).expect(200)
    world.login(user.email, PASSWORD).expect(200)
    for body in ({"status": "nonsense"}, {"roles": ["root"]}, {"email": "x@example.com"}, {"id": "x"}):
        admin.call("PATCH", f"/admin/users/{user.id}", body).refused(422)


def test_a_refresh_token_used_again_after_its_grace_revokes_the_family(world: World, early: Early):
    until(lambda: time.monotonic() - early.rotated_at > GRACE_S + 0.5, "the grace is over", GRACE_S + 5)
    user = early.rotated_user
    user.call("GET", "/me").expect(200)
    refresh(world, early.rotated_token).refused(401)
    refresh(world, user.refresh_token).refused(401)
    dead_within_a_second(user)
