"""Hostile tokens, hostile JSON and other people's things, on every route there is."""

import json

import pytest
from fastapi.routing import APIRoute

from saras_common.auth import ACCESS_AUDIENCE, InternalTokens
from saras_common.testing.hostile_tokens import hostile_tokens
from user_service.api import routers

OPEN = {"/.well-known/jwks.json"}
ANONYMOUS = {"/register", "/login", "/token/refresh"}
SOME_ID = "01900000-0000-7000-8000-000000000001"
ROUTES = sorted(
    (method, route.path.replace("{user_id}", SOME_ID).replace("{session_id}", SOME_ID))
    for router in routers
    for route in router.routes
    if isinstance(route, APIRoute) and route.path not in OPEN
    for method in route.methods
)
WITH_BODY = [(method, path) for method, path in ROUTES if method in {"POST", "PUT", "PATCH"}]
NO_BODY = {"/logout", "/me/totp/enroll", f"/admin/users/{SOME_ID}/kyc/approve"}


def internal_corpus(door, person):
    good = door.internal.mint(person.identity, "user-service")
    stranger = InternalTokens(b"another internal key of 32 bytes", door.clock)
    return [
        *hostile_tokens(good, now=door.clock.now().timestamp()),
        ("an access token", person.tokens["access_token"]),
        ("for another service", door.internal.mint(person.identity, "portfolio-service")),
        ("for the front door", door.internal.mint(person.identity, ACCESS_AUDIENCE)),
        ("minted by a stranger", stranger.mint(person.identity, "user-service")),
    ]


def test_the_routes_are_all_here():
    assert len(ROUTES) == 22
    assert ("GET", "/internal/revocations") in ROUTES


def test_hostile_tokens_are_401_on_every_route(door):
    corpus = internal_corpus(door, door.admin())
    assert len(corpus) >= 120
    for number, (method, path) in enumerate(ROUTES):
        for name, token in corpus[number % 6 :: 6]:  # six routes see the whole corpus between them
            answer = door.client.request(method, path, headers={"X-Internal-Token": token}, json={})
            assert answer.status_code == 401, (method, path, name, answer.text)
            assert len(token) < 20 or token not in answer.text


def test_the_whole_corpus_on_one_route(door):
    for name, token in internal_corpus(door, door.person()):
        answer = door.client.get("/me", headers={"X-Internal-Token": token})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), name


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_but_the_internal_token_is_believed(shared_door, method, path):
    door = shared_door
    person = door.admin()
    claims = {
        "Authorization": f"Bearer {person.tokens['access_token']}",
        "X-User-Id": str(person.identity.user_id),
        "X-User-Roles": "admin",
        "X-Forwarded-User": "admin",
    }
    assert door.client.request(method, path, json={}).status_code == 401
    assert door.client.request(method, path, headers=claims, json={}).status_code == 401


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_each_caller_has_its_own_routes(shared_door, method, path):
    """A visitor may knock at the door, a user has its own things, a service the internal ones."""
    door = shared_door
    visitor = door.call(method, path, json={}).status_code
    user = door.somebody().call(method, path, json={}).status_code
    process = door.call_as_service(method, path, json={}).status_code
    if path in ANONYMOUS:
        assert (visitor, user, process) == (422, 422, 422)
    elif path.startswith("/internal"):
        assert (visitor, user) == (403, 403)
        assert process in {200, 422}
    elif path.startswith("/admin"):
        assert (visitor, user, process) == (401, 403, 401)
    else:
        assert (visitor, process) == (401, 401)
        assert user in {200, 201, 204, 404, 409, 422}


HOSTILE_BODIES = {
    "nothing": b"",
    "blank": b" ",
    "null": b"null",
    "a list": b"[]",
    "a string": b'"x"',
    "a number": b"1e400",
    "NaN": b'{"email": NaN}',
    "Infinity": b'{"password": Infinity}',
    "minus Infinity": b'{"code": -Infinity}',
    "true": b"true",
    "cut": b'{"email": "a@',
    "two": b"{}{}",
    "a key twice": b'{"email": "a@b.co", "email": "c@d.co"}',
    "deep": b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "not UTF-8": b'{"email": "\xff\xfe"}',
    "UTF-16": json.dumps({"email": "a@b.co"}).encode("utf-16"),
    "NUL": b'{"email": "a\\u0000@b.co", "password": "plum-Orchard-77", "full_name": "x"}',
    "a lone surrogate": b'{"email": "\\ud800@b.co", "password": "plum-Orchard-77", "full_name": "x"}',
    "a byte-order mark": b"\xef\xbb\xbf{}",
    "a long number": b'{"email": ' + b"9" * 5000 + b"}",
    "unknown fields": b'{"__proto__": {"admin": true}, "constructor": 1}',
    "an object for each": b'{"email": {}, "password": [], "full_name": {}, "refresh_token": {}, "code": {}}',
    "numbers for each": b'{"email": 1, "password": 2, "full_name": 3, "refresh_token": 4, "code": 123456, "status": 1}',
    "booleans for each": b'{"email": true, "password": true, "full_name": true, "code": true, "roles": true}',
    "a form": b"email=a%40b.co&password=x",
    "XML": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
}


@pytest.mark.parametrize("name", HOSTILE_BODIES)
def test_hostile_bodies_are_422_on_every_route(shared_door, name):
    door = shared_door
    body = HOSTILE_BODIES[name]
    admin = door.admin()
    for method, path in WITH_BODY:
        if path in NO_BODY:
            continue
        headers = {"Content-Type": "application/json"}
        call = door.call_as_service if path.startswith("/internal") else admin.call
        answer = call(method, path, content=body, headers=headers)
        assert answer.status_code == 422, (method, path, name, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "orchard" not in answer.text.lower()


@pytest.mark.parametrize("path", sorted(NO_BODY))
def test_routes_without_a_body_do_not_read_one(door, path):
    answer = door.admin().call("POST", path, content=HOSTILE_BODIES["deep"])
    assert answer.status_code in {201, 204, 404}


def test_other_methods_are_405_and_other_paths_404(door):
    person = door.person()
    assert person.call("DELETE", "/me").status_code == 405
    assert person.call("GET", "/login").status_code == 405
    assert person.call("GET", "/users").status_code == 404


@pytest.mark.parametrize("address", ["", "x", "1.2.3", "127.0.0.1, 10.0.0.1", "<script>", "::1", "2001:db8::7"])
def test_a_strange_client_address_is_no_error(shared_door, address):
    door = shared_door
    body = {"email": door.somebody().email, "password": door.password}
    assert door.call("POST", "/login", address=address, json=body).status_code == 200


def test_a_clients_program_is_recorded_in_one_clean_line(door):
    door.register()
    headers = {"User-Agent": "Mozilla/5.0 \t\x1b[31m" + "x" * 400}
    body = {"email": "asha@example.com", "password": door.password}
    tokens = door.call("POST", "/login", json=body, headers=headers).json()
    identity = door.verifier.verify(tokens["access_token"])
    (item,) = door.call("GET", "/me/sessions", identity=identity).json()["items"]
    assert item["agent"].isprintable()
    assert len(item["agent"]) == 200
