"""Who is let in: real tokens against the published keys, hostile ones, rotation and revocation."""

import base64
import http.client
import time

import jwt
import pytest

from api_gateway.routes import TABLE, Access
from saras_common.auth import SigningKey
from saras_common.ids import new_id
from saras_common.testing.hostile_tokens import hostile_tokens

INTERNAL_KEY = b"k" * 40
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def test_hostile_tokens_are_401_on_every_protected_route(platform, people):
    tokens = hostile_tokens(people.token("user", "admin"), people.keys[-1], internal_key=INTERNAL_KEY)
    assert len(tokens) >= 120
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=10)
    for route in TABLE:
        if route.access is Access.PUBLIC:
            continue
        for name, token in tokens:
            connection.request("GET", f"/api/v1/{route.name}", headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            assert answer.status == 401, (route.name, name)
            assert b'"unauthenticated"' in answer.read()
    connection.close()
    assert not any(service.calls for service in platform.services.values())


def test_another_library_s_token_is_taken_when_all_of_it_is_right(platform, people):
    now, key = int(time.time()), people.keys[-1]
    ids = {name: str(new_id()) for name in ("sub", "sid", "jti")}
    claims = {"iss": "saras", "aud": "saras-api", "typ": "access", "iat": now, "exp": now + 60, "ver": 1, **ids}
    token = jwt.encode({**claims, "roles": ["user"]}, key.pem(), "ES256", headers={"kid": key.kid})
    head, body, signature = token.split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    if int.from_bytes(raw[32:], "big") > P256_ORDER // 2:  # of the two forms of a signature only the lower is taken
        raw = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
        token = f"{head}.{body}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"
    assert platform.get("/api/v1/me", token=token).json()["user_id"] == ids["sub"]


@pytest.mark.parametrize(
    "header", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "Token {}", "{}", "Bearer {} x", "Bearer  {}"]
)
def test_other_authorization_headers_are_401(platform, people, header):
    headers = {"Authorization": header.format(people.token())}
    assert platform.get("/api/v1/me", headers=headers).status == 401


def test_a_token_in_the_query_is_not_looked_at(platform_with, people):
    assert platform_with().get(f"/api/v1/me?access_token={people.token()}").status == 401


def wait_for(condition, timeout_s=5.0):
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s
        time.sleep(0.02)
    return time.monotonic() - started


def test_an_ended_session_is_out_within_a_second(platform, people):
    identity, other = people.identity(), people.identity()
    token, other_token = people.token(identity=identity), people.token(identity=other)
    assert platform.get("/api/v1/orders", token=token).status == 200
    people.sessions.append(identity.session_id)
    took_s = wait_for(lambda: platform.get("/api/v1/orders", token=token).status == 401)
    assert took_s < 1
    assert platform.get("/api/v1/orders", token=other_token).status == 200


def test_a_user_s_old_tokens_are_out_within_a_second(platform, people):
    old, new = people.identity(version=1), None
    token = people.token(identity=old)
    assert platform.get("/api/v1/orders", token=token).status == 200
    people.users.append({"user_id": str(old.user_id), "min_version": 2})
    assert wait_for(lambda: platform.get("/api/v1/orders", token=token).status == 401) < 1
    new = people.token(identity=type(old)(old.user_id, new_id(), old.roles, 2, 0.0))
    assert platform.get("/api/v1/orders", token=new).status == 200


def test_a_silent_feed_closes_the_door_and_a_returning_one_opens_it(platform_with, people):
    platform = platform_with(revocation_stale_s=0.6)
    token = people.token()
    people.silent = True
    wait_for(lambda: platform.get("/api/v1/orders", token=token).status == 503)
    closed = platform.get("/api/v1/orders", token=token)
    assert (closed.code, closed.headers["retry-after"]) == ("unavailable", "1")
    assert platform.post("/api/v1/login").status == 200
    ready = platform.get("/health/ready")
    assert ready.status == 503
    assert ready.json()["dependencies"]["revocations"] == "stale"
    people.silent = False
    wait_for(lambda: platform.get("/api/v1/orders", token=token).status == 200)


def test_a_new_key_is_believed_at_first_sight(platform, people):
    assert platform.get("/api/v1/me", token=people.token()).status == 200
    time.sleep(1.1)  # keys were just read; they are not read again within a second
    people.keys.append(SigningKey.generate())
    assert platform.get("/api/v1/me", token=people.token()).status == 200
