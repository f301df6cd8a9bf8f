"""The conventions of the public contract: problems, ids, tokens, roles, input, lists, idempotency, health, OpenAPI."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import requests
from contract_client import MONEY, PASSWORD, UUID7, Answer, User, World, no_floats, pad, token_parts, until

NOBODY = "01a1fd5b-4bfe-7409-b14f-9da48370517d"
LIMIT_ORDER = {"instrument": "NSE:INFY", "quantity": 1, "order_type": "LIMIT", "price": "1000.00"}
KYC = {
    "pan": "ABCPE1234F",
    "date_of_birth": "1990-01-31",
    "address": "12 MG Road, Pune 411001",
    "bank_account": "123456789012",
    "ifsc": "HDFC0001234",
}
PUBLIC_POSTS = [
    ("POST", "/register", {"email": "hostile@example.com", "password": PASSWORD, "full_name": "H"}),
    ("POST", "/login", {"email": "hostile@example.com", "password": PASSWORD}),
    ("POST", "/token/refresh", {"refresh_token": "x" * 43}),
]
USER_CALLS = [
    ("POST", "/logout", None),
    ("GET", "/me", None),
    ("PATCH", "/me", {"full_name": "New Name"}),
    ("GET", "/me/kyc", None),
    ("PUT", "/me/kyc", KYC),
    ("POST", "/me/password", {"current_password": PASSWORD, "new_password": "another fine phrase 9"}),
    ("POST", "/me/totp/enroll", None),
    ("POST", "/me/totp/confirm", {"code": "000000"}),
    ("POST", "/me/totp/disable", {"code": "000000"}),
    ("GET", "/me/sessions", None),
    ("DELETE", f"/me/sessions/{NOBODY}", None),
    ("POST", "/funds/deposit", {"amount": "10.00"}),
    ("POST", "/funds/withdraw", {"amount": "1.00"}),
    ("GET", "/funds", None),
    ("GET", "/portfolios", None),
    ("POST", "/portfolio", {"name": "Second"}),
    ("GET", "/portfolio", None),
    ("GET", f"/portfolios/{NOBODY}", None),
    ("POST", "/buy", LIMIT_ORDER),
    ("POST", "/sell", LIMIT_ORDER),
    ("POST", "/orders/batch", {"orders": [{**LIMIT_ORDER, "side": "BUY"}], "atomic": True}),
    ("GET", "/orders", None),
    ("GET", f"/orders/{NOBODY}", None),
    ("DELETE", f"/orders/{NOBODY}", None),
    ("GET", "/transactions", None),
    ("GET", "/holdings", None),
    ("GET", "/positions", None),
    ("GET", "/pnl", None),
    ("GET", "/exposure", None),
    ("GET", "/trades", None),
    ("GET", "/instruments?q=INFY", None),
    ("GET", "/quotes?instruments=NSE:INFY", None),
    ("GET", "/events", None),
    ("GET", "/ws", None),
]
ADMIN_CALLS = [
    ("GET", "/admin/users", None),
    ("PATCH", f"/admin/users/{NOBODY}", {"status": "disabled"}),
    ("POST", f"/admin/users/{NOBODY}/kyc/approve", None),
    ("POST", f"/admin/users/{NOBODY}/kyc/reject", {"reason": "blurred"}),
    ("GET", "/admin/execution", None),
    ("POST", "/admin/execution/run", None),
    ("POST", "/admin/execution/halt", {"reason": "test"}),
    ("POST", "/admin/execution/resume", None),
    ("GET", "/admin/batches", None),
    ("GET", f"/admin/batches/{NOBODY}", None),
    ("GET", f"/admin/batches/{NOBODY}/certificate", None),
    ("GET", "/admin/reconciliation", None),
    ("POST", "/admin/reconciliation/run", None),
    ("GET", "/admin/broker/login-url", None),
    ("POST", "/admin/broker/session", {"request_token": "nothing"}),
    ("POST", "/admin/mark-price", {"instrument": "NSE:INFY", "price": "1.00"}),
]
PROTECTED = USER_CALLS + ADMIN_CALLS
LISTS = ["/orders", "/transactions", "/portfolios", "/trades", "/me/sessions", "/instruments"]
ADMIN_LISTS = ["/admin/users", "/admin/batches"]


def name_of(call) -> str:
    return f"{call[0]} {call[1]}".replace(NOBODY, "{id}")


def send(api, call, **terms) -> Answer:
    method, path, body = call
    return api.call(method, path, body, **terms)


def test_health_and_metrics(world: World):
    assert world.public.call("GET", "//health/live").status == 200
    answer = world.public.call("GET", "//health/ready")
    assert answer.status == 200
    named = [part for part in answer.body.values() if isinstance(part, dict) and part]
    assert named, answer
    for path in ("/health/live", "/health/ready"):
        assert world.session.get(world.sandbox + path, timeout=10).status_code == 200
    for origin in (world.origin, world.sandbox):
        metrics = world.session.get(origin + "/metrics", timeout=10)
        assert metrics.status_code == 200
        assert metrics.headers["Content-Type"].startswith(("text/plain", "application/openmetrics-text"))
        assert re.search(r"^# TYPE \w+ (counter|gauge|histogram|summary)$", metrics.text, re.MULTILINE)
        assert re.search(r"^\w+(\{.*\})? [0-9.e+-]+$", metrics.text, re.MULTILINE)


def test_ready_means_that_orders_can_be_placed(world: World):
    assert world.listed_when_ready, "ready, and no instrument was listed"


def test_event_schemas_stand_beside_the_openapi(world: World):
    schemas = world.public.get("/event-schemas.json")
    accepted = schemas["order.accepted.v1"]
    assert {"id", "at", "order_id", "user_id", "instrument", "quantity"} <= set(accepted["properties"])
    assert all(schema["type"] == "object" for schema in schemas.values())


def test_openapi_holds_every_documented_path(world: World):
    document = world.public.get("/openapi.json")
    assert document["openapi"].startswith("3.")
    known = {
        (method.upper(), re.sub(r"\{[^}]*\}", "{}", path).removeprefix("/api/v1"))
        for path, methods in document["paths"].items()
        for method in methods
    }
    documented = {
        (method, path.split("?")[0].replace(NOBODY, "{}"))
        for method, path, _ in [*PUBLIC_POSTS, *PROTECTED, ("POST", "/broker/postback", None)]
    } | {("GET", "/.well-known/jwks.json")}
    assert documented - known == set()
    page = world.public.call("GET", "//docs")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")


def test_security_headers(world: World, standing_user: User):
    for answer in (
        standing_user.call("GET", "/me"),
        world.public.call("GET", "/me"),
        world.public.call("GET", "/nowhere"),
        world.public.call("GET", "//docs"),
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "X-Powered-By" not in answer.headers
    for answer in (standing_user.call("GET", "/me"), standing_user.another_session().call("GET", "/funds")):
        assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/me", "/nowhere", "/orders?limit=0", "/register"])
def test_request_ids(world: World, standing_user: User, path: str):
    mine = standing_user.call("GET", path, headers={"X-Request-ID": "my-call-0001"})
    assert mine.headers["X-Request-ID"] == "my-call-0001"
    for insane in ("x" * 5000, "a b", 'x"<script>', ""):
        other = standing_user.call("GET", path, headers={"X-Request-ID": insane})
        assert other.headers["X-Request-ID"] not in ("", insane)
    assert (
        standing_user.call("GET", path).headers["X-Request-ID"]
        != standing_user.call("GET", path).headers["X-Request-ID"]
    )


def test_problems(world: World, standing_user: User):
    standing_user.call("GET", "/nowhere").refused(404)
    standing_user.call("GET", f"/orders/{NOBODY}").refused(404)
    standing_user.call("DELETE", "/register").refused(405)
    world.public.call("GET", "//nowhere").refused(404)
    problem = standing_user.call("POST", "/buy", {"instrument": "NSE:INFY", "quantity": "<b>&"}).refused(422)
    assert {error["field"] for error in problem["errors"]} >= {"quantity", "order_type"}
    assert "<b>" not in json.dumps(problem)


def bad_tokens(user: User) -> dict[str, str]:
    """Authorization headers that must not open anything."""
    token = user.token
    header, payload, _ = token_parts(token)
    first, second, third = token.split(".")
    flipped = ("A" if third[10] != "A" else "B").join((third[:10], third[11:]))
    return {
        "empty": "",
        "scheme alone": "Bearer",
        "scheme and space": "Bearer ",
        "basic": "Basic YWRtaW46YWRtaW4=",
        "no scheme": token,
        "garbage": "Bearer garbage",
        "dots": "Bearer ..",
        "refresh token": f"Bearer {user.refresh_token}",
        "no signature": f"Bearer {first}.{second}.",
        "altered signature": f"Bearer {first}.{second}.{flipped}",
        "padded": f"Bearer {token}=",
        "four parts": f"Bearer {token}.x",
        "two tokens": f"Bearer {token} {token}",
        "alg none": f"Bearer {pad({**header, 'alg': 'none'})}.{second}.",
        "alg HS256": f"Bearer {pad({**header, 'alg': 'HS256'})}.{second}.{third}",
        "made an admin": f"Bearer {first}.{pad({**payload, 'roles': ['admin', 'user']})}.{third}",
        "later expiry": f"Bearer {first}.{pad({**payload, 'exp': payload['exp'] + 10**6})}.{third}",
        "other kid": f"Bearer {pad({**header, 'kid': '../../etc/passwd'})}.{second}.{third}",
        "own key": f"Bearer {pad({**header, 'jwk': {'kty': 'EC'}})}.{second}.{third}",
        "payload a list": f"Bearer {first}.{pad([payload])}.{third}",
        "deep": f"Bearer {first}.{pad(json.loads('[' * 200 + ']' * 200))}.{third}",
        "12 kB": "Bearer " + "a" * 12_000,
    }


@pytest.mark.parametrize("call", PROTECTED, ids=name_of)
def test_no_or_bad_token_is_401(world: World, standing_user: User, call):
    send(world.public, call).refused(401)
    for name, authorization in bad_tokens(standing_user).items():
        answer = send(world.public, call, headers={"Authorization": authorization})
        assert answer.status in ((401, 431) if name == "12 kB" else (401,)), f"{name}: {answer}"
        answer.refused(answer.status)


def test_identity_headers_are_not_believed(world: World, admin: User, standing_user: User):
    forged = {
        "X-User-Id": admin.id,
        "X-User-Roles": "admin",
        "X-Internal-Token": "x.y.z",
        "X-Forwarded-User": admin.id,
        "X-Saras-Identity": "x",
    }
    for connection in ("keep-alive", "X-User-Id", "Authorization"):
        headers = {**forged, "Connection": connection}
        world.public.call("GET", "/me", headers=headers).refused(401)
        standing_user.call("GET", "/admin/users", headers=headers).refused(403)
        assert standing_user.call("GET", "/me", headers=headers).expect(200)["id"] == standing_user.id


@pytest.mark.parametrize("call", ADMIN_CALLS, ids=name_of)
def test_users_get_403_on_admin_routes(standing_user: User, call):
    send(standing_user, call).refused(403)


def test_another_users_ids_are_404(world: World, admin: User, user: User):
    stranger = world.new_user()
    order = user.place("BUY", "NSE:INFY", 1, "LIMIT", price="1000.00")
    session = user.get("/me/sessions")["items"][0]
    stranger.call("GET", f"/orders/{order['id']}").refused(404)
    stranger.call("DELETE", f"/orders/{order['id']}").refused(404)
    stranger.call("GET", f"/portfolios/{order['portfolio_id']}").refused(404)
    stranger.call("DELETE", f"/me/sessions/{session['id']}").refused(404)
    for side in ("buy", "sell"):
        answer = stranger.call("POST", f"/{side}", {**LIMIT_ORDER, "portfolio_id": order["portfolio_id"]})
        answer.refused(404)
    batch = {"orders": [{**LIMIT_ORDER, "side": "BUY", "portfolio_id": order["portfolio_id"]}], "atomic": True}
    answer = stranger.call("POST", "/orders/batch", batch)
    assert answer.status in (404, 422), answer
    # The owner's things are untouched; what one's own absent id answers is the very same problem.
    assert user.order(order["id"])["status"] in ("ACCEPTED", "QUEUED", "WORKING")
    theirs = stranger.call("GET", f"/orders/{order['id']}").refused(404)
    absent = stranger.call("GET", f"/orders/{NOBODY}").refused(404)
    assert {**theirs, "request_id": ""} == {**absent, "request_id": ""}
    assert list(stranger.pages("/orders")) == []
    user.call("DELETE", f"/orders/{order['id']}").expect(200, 202, 204)


@pytest.mark.parametrize(
    "call",
    [call for call in PROTECTED if NOBODY in call[1]],
    ids=name_of,
)
def test_malformed_and_absent_ids(world: World, admin: User, call):
    method, path, body = call
    send(admin, call).refused(404)
    for bad in ("nope", "0", "-1", "%00", "%ff", "..%2f..", "x" * 300, NOBODY.upper() + "0", "%27%20or%201=1--"):
        answer = admin.call(method, path.replace(NOBODY, bad), body)
        assert answer.status in (400, 404, 422), answer
        answer.refused(answer.status)


# ---------------------------------------------------------------- input


HOSTILE_ROUTES = [
    *PUBLIC_POSTS,
    *[call for call in PROTECTED if call[2] is not None],
]


def first_field(body: dict) -> str:
    return next(iter(body))


def replaced(body: dict, name: str, literal: str) -> bytes:
    """The body with one field's value as this raw JSON text."""
    text = json.dumps({**body, name: "@@"})
    return text.replace('"@@"', literal).encode()


def hostile_bodies(body: dict) -> dict[str, bytes]:
    """What no route may take: each must be 422."""
    name = first_field(body)
    good = json.dumps(body)
    found = {
        "empty": b"",
        "not JSON": b"{",
        "trailing": good.encode() + b"x",
        "two documents": good.encode() * 2,
        "a list": b"[" + good.encode() + b"]",
        "a string": json.dumps(good).encode(),
        "null": b"null",
        "extra field": json.dumps({**body, "is_admin": True}).encode(),
        "duplicate key": good[:-1].encode() + b"," + good[1:].encode(),
        "deep": replaced(body, name, "[" * 100 + "]" * 100),
        "very deep": replaced(body, name, "[" * 30_000 + "]" * 30_000),
        "not UTF-8": replaced(body, name, '"@@@"').replace(b"@@@", b"\xff\xfe"),
        "UTF-16": good.encode("utf-16"),
        "object": replaced(body, name, "{}"),
        "true": replaced(body, name, "true"),
        "null value": replaced(body, name, "null") if name not in ("full_name", "status") else b"null",
    }
    for label, literal in {
        "NaN": "NaN",
        "Infinity": "Infinity",
        "-Infinity": "-Infinity",
        "1e400": "1e400",
        "lone surrogate": '"\\ud800"',
        "NUL": '"a\\u0000b"',
        "raw NUL": '"a\x00b"',
        "many digits": "9" * 5000,
    }.items():
        for each in {name, *(("quantity", "amount", "price") if {"quantity", "amount", "price"} & set(body) else ())}:
            if each in body:
                found[f"{label} in {each}"] = replaced(body, each, literal)
    for each in {"quantity", "amount", "price"} & set(body):
        for literal in ("true", '"1_000"', '" 1"', '"１"', '"NaN"', '"1e400"', "[]", '""', '"0x10"', "-1", "0"):
            found[f"{literal} as {each}"] = replaced(body, each, literal)
        found[f"too many digits in {each}"] = replaced(body, each, "9" * 40)
    if "quantity" in body:
        for literal in ("1.5", '"1"', "1e300"):
            found[f"{literal} as quantity"] = replaced(body, "quantity", literal)
    for each in {"amount", "price"} & set(body):
        for literal in ('"1.001"', "1.001", '"-1.00"'):
            found[f"{literal} as {each}"] = replaced(body, each, literal)
    return found


@pytest.fixture(scope="module")
def target(world: World, admin: User) -> User:
    return world.new_user()


def footprint(user: User, admin: User) -> dict[str, object]:
    """All that a stored hostile call would change."""
    execution = admin.get("/admin/execution")
    return {
        "me": user.get("/me"),
        "kyc": user.get("/me/kyc"),
        "funds": user.get("/funds"),
        "orders": list(user.pages("/orders")),
        "transactions": list(user.pages("/transactions")),
        "trades": list(user.pages("/trades")),
        "portfolios": list(user.pages("/portfolios")),
        "users": sorted(row["email"] for row in admin.pages("/admin/users")),
        "halted": execution["halted"],
        "session": execution["broker_session"],
        "quote": admin.get("/quotes?instruments=NSE:INFY")["items"][0]["last_price"],
    }


@pytest.mark.parametrize("call", HOSTILE_ROUTES, ids=name_of)
def test_hostile_bodies_are_422_and_store_nothing(world: World, admin: User, target: User, call):
    method, path, body = call
    caller = admin if path.startswith("/admin") else target
    before = footprint(target, admin)
    wrong = []
    for name, raw in hostile_bodies(body).items():
        answer = caller.call(method, path, raw=raw)
        if answer.status != 422 or answer.body.get("code") is None:
            wrong.append(f"{name}: {raw[:120]!r} -> {answer.status} {answer.raw[:200]!r}")
        else:
            answer.refused(422)
            assert b"\\ud800" not in answer.raw
    assert wrong == []
    assert footprint(target, admin) == before


@pytest.mark.parametrize("path", ["/funds/deposit", "/buy", "/register"])
def test_oversized_bodies_and_other_types_are_refused(target: User, path: str):
    answer = target.call("POST", path, raw=b'{"a":"' + b"x" * 20_000_000 + b'"}')
    answer.refused(413)
    answer = target.call("POST", path, raw=b"amount=1", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status in (415, 422), answer


def test_hostile_query_strings(admin: User, standing_user: User):
    for path in (*LISTS, *ADMIN_LISTS):
        for query in ("limit=0", "limit=501", "limit=-1", "limit=abc", "limit=1e1", "limit=true"):
            admin.call("GET", f"{path}?{query}").refused(422)
        for cursor in ("nonsense", "AAAA", "x" * 3000, "-1"):
            admin.call("GET", f"{path}?cursor={cursor}").refused(422)
        for cursor in ("%00", "%ff"):
            answer = admin.call("GET", f"{path}?cursor={cursor}")
            assert answer.status in (400, 422), answer
    for query in ("status=NOPE", "instrument=nonsense", "since=yesterday", "since=2026-13-01T00:00:00Z"):
        standing_user.call("GET", f"/orders?{query}").refused(422)


# ---------------------------------------------------------------- money


def test_money_is_read_exactly(world: World):
    user = world.new_user(None)
    for raw, total in (
        (b'{"amount": "4.35"}', "4.35"),
        (b'{"amount": 4.35}', "8.70"),
        (b'{"amount": 0.29}', "8.99"),
        (b'{"amount": 1.15}', "10.14"),
        (b'{"amount": 100}', "110.14"),
        (b'{"amount": "0.01"}', "110.15"),
        (b'{"amount": "5"}', "115.15"),
        (b'{"amount": 1.10}', "116.25"),
    ):
        user.call("POST", "/funds/deposit", raw=raw).expect(201)
        assert user.get("/funds")["cash"] == total
    funds = user.get("/funds")
    assert set(funds) >= {"cash", "held", "available", "collateral", "margin_used"}
    assert all(MONEY.fullmatch(value) for value in funds.values())
    user.call("POST", "/funds/withdraw", {"amount": "116.26"}).refused(422, "insufficient_funds")
    user.call("POST", "/funds/withdraw", {"amount": "116.25"}).expect(201)
    assert user.get("/funds")["cash"] == "0.00"


# ---------------------------------------------------------------- lists


def test_lists_page_by_cursor(admin: User, user: User):
    user.place("BUY", "NSE:INFY", 1, "LIMIT", price="1000.00")
    for _ in range(4):
        user.call("POST", "/funds/deposit", {"amount": "1.00"}).expect(201)
        user.place("BUY", "NSE:INFY", 1, "LIMIT", price="1000.00")
    for caller, paths in ((user, LISTS), (admin, ADMIN_LISTS)):
        for path in paths:
            whole = list(caller.pages(path))
            by_two = [row["id"] for row in caller.pages(path, limit=2)] if path != "/instruments" else None
            if by_two is not None and path != "/admin/batches":
                assert by_two == [row["id"] for row in whole], path
                assert len(set(by_two)) == len(by_two)
            no_floats([{k: v for k, v in row.items() if k != "saved"} for row in whole], path)
            assert len(caller.get(path)["items"]) <= 50
    instruments = [row["instrument"] for row in user.pages("/instruments", limit=20)]
    assert len(instruments) == len(set(instruments)) >= 45
    for order in user.get("/orders")["items"]:
        user.call("DELETE", f"/orders/{order['id']}").expect(200, 202, 204)


# ---------------------------------------------------------------- idempotency


MONEY_POSTS = [
    ("/funds/deposit", {"amount": "10.00"}, {"amount": "11.00"}),
    ("/funds/withdraw", {"amount": "10.00"}, {"amount": "11.00"}),
    ("/buy", LIMIT_ORDER, {**LIMIT_ORDER, "quantity": 2}),
    ("/sell", {**LIMIT_ORDER, "price": "2000.00"}, {**LIMIT_ORDER, "price": "2001.00"}),
    (
        "/orders/batch",
        {"orders": [{**LIMIT_ORDER, "side": "BUY"}], "atomic": True},
        {"orders": [{**LIMIT_ORDER, "side": "BUY"}], "atomic": False},
    ),
]


def effects(user: User) -> tuple[object, ...]:
    funds = user.get("/funds")
    orders = sorted(row["id"] for row in user.pages("/orders"))
    return (
        funds["cash"],
        funds["held"],
        orders,
        len(list(user.pages("/transactions"))),
        len(list(user.pages("/trades"))),
    )


@pytest.fixture(scope="module")
def keyed_user(world: World, admin: User) -> User:
    """With cash, and shares to sell."""
    user = world.new_user("900000.00")
    world.buy_shares(admin, user, "NSE:INFY", 100)
    return user


@pytest.mark.parametrize(("path", "body", "other"), MONEY_POSTS, ids=[row[0] for row in MONEY_POSTS])
def test_idempotency(world: World, keyed_user: User, path: str, body: dict, other: dict):
    key = "k-" + path.replace("/", "-") + "!~ x"
    first = keyed_user.call("POST", path, body, key=key)
    first.expect(201, 202)
    assert first.headers.get("Idempotency-Replayed", "false") != "true"
    after = effects(keyed_user)
    again = keyed_user.call("POST", path, body, key=key)
    assert (again.status, again.raw) == (first.status, first.raw)
    assert again.headers["Idempotency-Replayed"] == "true"
    keyed_user.call("POST", path, other, key=key).refused(422, "idempotency_key_reused")
    assert effects(keyed_user) == after
    # Another user's same key is another key.
    stranger = world.new_user()
    answer = stranger.call("POST", path, body, key=key)
    assert "Idempotency-Replayed" not in answer.headers, answer
    assert answer.raw != first.raw
    # Without a key, or with another, the same body acts again.
    second = keyed_user.call("POST", path, body).expect(201, 202)
    third = keyed_user.call("POST", path, body, key=key + "2").expect(201, 202)
    assert second != third != first.body
    keyed_user.call("POST", path, body, key=path.rjust(255, "x")).expect(201, 202)


@pytest.mark.parametrize(("path", "body", "other"), MONEY_POSTS, ids=[row[0] for row in MONEY_POSTS])
def test_bad_idempotency_keys(target: User, path: str, body: dict, other: dict):
    before = effects(target)
    for key in ("x" * 256, "caf\xe9", "tab\tbed", "\x7f"):
        answer = target.call("POST", path, body, headers={"Idempotency-Key": key})
        assert answer.status in (400, 422), f"{key!r}: {answer}"
        answer.refused(answer.status)
    assert effects(target) == before


@pytest.mark.parametrize("path", ["/funds/deposit", "/buy", "/orders/batch"])
def test_twenty_at_once_act_once(world: World, path: str):
    user = world.new_user("50000.00")
    body = next(row[1] for row in MONEY_POSTS if row[0] == path)
    before = effects(user)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: user.call("POST", path, body, key="at once"), range(20)))
    acted = [answer for answer in answers if answer.status in (201, 202)]
    for answer in answers:
        if answer not in acted:
            answer.refused(409, "idempotency_in_progress")
    assert acted
    assert len({answer.raw for answer in acted}) == 1
    assert sum(answer.headers.get("Idempotency-Replayed") != "true" for answer in acted) == 1
    after = effects(user)
    if path == "/funds/deposit":
        assert Decimal(after[0]) - Decimal(before[0]) == 10
        assert after[3] == before[3] + 1
    else:
        assert len(after[2]) == 1
        user.call("DELETE", f"/orders/{after[2][0]}").expect(200, 202, 204)


def test_cancel_and_trigger_honour_keys(admin: User, user: User):
    order = user.place("BUY", "NSE:INFY", 1, "LIMIT", price="1000.00")
    until(lambda: user.order(order["id"])["status"] == "QUEUED", "queued")
    first = admin.call("POST", "/admin/execution/run", key=order["id"])
    first.expect(202)
    again = admin.call("POST", "/admin/execution/run", key=order["id"])
    assert (again.status, again.raw) == (202, first.raw)
    assert again.headers["Idempotency-Replayed"] == "true"
    user.call("DELETE", f"/orders/{order['id']}").expect(200, 202, 204)


# ---------------------------------------------------------------- limits


def test_429_carries_retry_after(world: World):
    user = world.new_user(None)
    for _ in range(60):
        answer = world.login(user.email, "not the password at all")
        if answer.status == 429:
            break
        answer.refused(401)
    answer.refused(429)
    assert int(answer.headers["Retry-After"]) >= 1


def test_raw_framing_is_refused(world: World):
    """Double and missing Host, both lengths: 400, and the next caller is unharmed."""
    import socket

    host, port = world.origin.removeprefix("http://").split(":")
    post = f"POST /api/v1/login HTTP/1.1\r\nHost: {host}\r\n"
    for head in (
        "GET /health/live HTTP/1.1\r\n\r\n",
        f"GET /health/live HTTP/1.1\r\nHost: {host}\r\nHost: evil\r\n\r\n",
        f"{post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        f"{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}",
        "GARBAGE\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), timeout=10) as wire:
            wire.sendall(head.encode())
            line = wire.recv(4096).split(b"\r\n")[0]
        assert line == b"" or line.split()[1] == b"400", (head, line)
    assert requests.get(world.origin + "/health/live", timeout=10).status_code == 200


def test_ids_are_uuid7(user: User):
    assert UUID7.fullmatch(user.id)
    assert UUID7.fullmatch(user.get("/portfolio")["id"])
    assert UUID7.fullmatch(user.get("/me/sessions")["items"][0]["id"])
