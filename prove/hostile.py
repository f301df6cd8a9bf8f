"""Ways to knock that must not open: tokens in the wrong place, tokens of the wrong kind, tokens that were good once.

The tokens themselves are `saras_common.testing.hostile_tokens`; here is what goes around them, and what is tried on a
service's own door with internal tokens.
"""

import base64
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prove.house import Headers, House, Person, until

from saras_common.auth import TokenSigner, service
from saras_common.auth.identity import Identity
from saras_common.clock import ManualClock
from saras_common.testing.hostile_tokens import hostile_tokens

SERVICES = (
    *("user-service", "portfolio-service", "trade-executor"),
    *("smallcase-service", "notification-service", "analytics-service"),
)


@dataclass(frozen=True, slots=True)
class Knock:
    """One attempt: headers, and what is added to the query."""

    name: str
    headers: tuple[tuple[str, str], ...]
    query: str = ""
    secret: str = ""
    """What the answer must not repeat."""


def bearer(name: str, token: str) -> Knock:
    """A token where it belongs."""
    return Knock(name, (("Authorization", f"Bearer {token}"),), secret=token if len(token) > 40 else "")


def knocks(house: House, good: Person) -> list[Knock]:
    """Everything; ``good`` holds a good token, of an administrator."""
    forged = hostile_tokens(good.token, house.signing_key(), internal_key=house.internal_key)
    return [
        Knock("nothing at all", ()),
        *(bearer(name, token) for name, token in forged),
        *aged(house, good),
        *transports(good.token),
        *wrong_kinds(house, good),
    ]


def aged(house: House, good: Person) -> Iterator[Knock]:
    """The platform's own signature on tokens that were good once, or will be: nothing is wrong but the time."""
    key, told = house.signing_key(), json.loads(_decode(good.token.split(".")[1]))
    identity = Identity(UUID(told["sub"]), UUID(told["sid"]), frozenset(told["roles"]), told["ver"], 0)
    now = datetime.now(UTC)
    for name, issued_at in {
        "over a second ago": now - timedelta(seconds=301),
        "over an hour ago": now - timedelta(hours=1, seconds=300),
        "over a year ago": now - timedelta(days=365),
        "from tomorrow": now + timedelta(days=1),
        "from the next century": now + timedelta(days=36_500),
    }.items():
        yield bearer(f"age: {name}", TokenSigner(lambda: key, ManualClock(issued_at)).sign(identity, 300))


def transports(good: str) -> Iterator[Knock]:
    """A good token everywhere but where it belongs."""
    basic = base64.b64encode(f"admin:{good}".encode()).decode()
    values = {
        "as Basic": f"Basic {basic}",
        "with Basic before it": f"Basic {good}",
        "as Token": f"Token {good}",
        "as JWT": f"JWT {good}",
        "as DPoP": f"DPoP {good}",
        "as Digest": f'Digest username="{good}"',
        "bare": good,
        "Bearer alone": "Bearer",
        "Bearer with a colon": f"Bearer: {good}",
        "Bearer with an equals sign": f"Bearer={good}",
        "Bearer without a blank": f"Bearer{good}",
        "after two blanks": f"Bearer  {good}",
        "after a tab": f"Bearer\t{good}",
        "with a comma after it": f"Bearer {good}, Bearer x",
        "with a parameter": f"Bearer {good}; a=b",
        "in quotes": f'Bearer "{good}"',
        "percent-encoded": "Bearer " + good.replace(".", "%2E"),
    }
    for name, value in values.items():
        yield Knock(f"transport: {name}", (("Authorization", value),))
    for name in ("X-Authorization", "Proxy-Authorization", "X-Access-Token", "Authentication", "X-Auth-Token"):
        yield Knock(f"transport: in {name}", ((name, f"Bearer {good}"),))
    for name in ("access_token", "token", "jwt", "Authorization", "authorization", "bearer"):
        yield Knock(f"transport: in the query as {name}", (), query=f"{name}={good}")
        yield Knock(f"transport: in a cookie as {name}", (("Cookie", f"{name}={good}"),))
    field = "Authorization"
    first, second = (field, f"Bearer {good}"), (field, "Bearer x.y.z")
    yield Knock("transport: good and bad header", (first, second))
    yield Knock("transport: bad and good header", (second, first))
    yield Knock("transport: the good header twice", (first, first))
    yield Knock("transport: twice, once in small letters", (first, ("authorization", "Bearer x.y.z")))


def wrong_kinds(house: House, good: Person) -> Iterator[Knock]:
    """Genuine secrets of the platform that are not access tokens."""
    now = time.time() + 60
    mine = Identity(UUID(good.id), UUID(good.id), frozenset({"admin", "user"}), 1, now)
    for audience in SERVICES:
        for who, identity in (("an admin", mine), ("a service", service(now))):
            token = house.internal.mint(identity, audience)
            yield bearer(f"kind: internal token of {who} for {audience} as access token", token)
            yield Knock(
                f"kind: internal token of {who} for {audience} in its own header", (("X-Internal-Token", token),)
            )
    token = house.internal.mint(mine, "portfolio-service")
    inside = (("X-Internal-Token", token), ("Connection", "close, X-Internal-Token"))
    yield Knock("kind: internal token, named by Connection", inside)
    told = (("X-User-Id", good.id), ("X-User-Roles", "admin"), ("X-Forwarded-User", good.email))
    yield Knock("kind: who one is, told in headers", told)
    yield bearer("kind: a refresh token as access token", good.refresh_token)
    yield bearer("kind: the user's id as token", good.id)


def ended(house: House, admin: Person) -> list[Knock]:
    """Tokens that were good a moment ago, each ended in another way; of administrators, for every route."""
    people = {name: _admin_of(house, admin) for name in ENDINGS}
    for name, person in people.items():
        assert person.ask("GET", "/me").status == 200, name
        ENDINGS[name](house, admin, person)
    for person in people.values():
        until(lambda person=person: person.ask("GET", "/me").status == 401, "the end is known at the door")  # type: ignore[misc] # bound at once
    return [bearer(f"state: {name}", person.token) for name, person in people.items()]


def _admin_of(house: House, admin: Person) -> Person:
    person = house.new_person("Made Admin")
    admin.do("PATCH", f"/admin/users/{person.id}", {"roles": ["admin", "user"]})
    pair = house.line().ask("POST", "/api/v1/login", body={"email": person.email, "password": person.password}).body
    return Person(house, person.id, person.email, pair["access_token"], pair["refresh_token"])


def _logged_out(_house: House, _admin: Person, person: Person) -> None:
    person.do("POST", "/logout")


def _disabled(_house: House, admin: Person, person: Person) -> None:
    admin.do("PATCH", f"/admin/users/{person.id}", {"status": "disabled"})


def _demoted(_house: House, admin: Person, person: Person) -> None:
    admin.do("PATCH", f"/admin/users/{person.id}", {"roles": ["user"]})


def _new_password(_house: House, _admin: Person, person: Person) -> None:
    person.do("POST", "/me/password", {"current_password": person.password, "new_password": "eight quiet herons 42"})


def _ended_elsewhere(house: House, _admin: Person, person: Person) -> None:
    other = house.session_of(person)
    mine = next(each["id"] for each in person.do("GET", "/me/sessions")["items"] if each["current"])
    other.do("DELETE", f"/me/sessions/{mine}")


def reuse(house: House, person: Person) -> str:
    """Show a refresh token twice, the second time after its grace; the successor it bought the first time."""
    path = "/api/v1/token/refresh"
    asked = {"refresh_token": person.refresh_token}
    first = house.line().ask("POST", path, body=asked)
    assert first.status == 200, first
    with house.look() as database:
        database.execute(
            b"UPDATE user_service.refresh_tokens SET used_at = used_at - interval '11 s' WHERE used_at IS NOT NULL"
        )
    again = house.line().ask("POST", path, body=asked)
    assert again.status == 401, again
    successor: str = first.body["refresh_token"]
    return successor


def _stolen(house: House, _admin: Person, person: Person) -> None:
    reuse(house, person)


ENDINGS = {
    "logged out": _logged_out,
    "disabled": _disabled,
    "demoted": _demoted,
    "password changed": _new_password,
    "session ended from another device": _ended_elsewhere,
    "refresh token shown twice": _stolen,
}
"""Ways a session ends, by name."""


def hostile_internal(house: House, audience: str, good: Person) -> list[tuple[str, str]]:
    """``(name, token)`` that the service ``audience`` must refuse, whatever it is asked."""
    at = int(time.time())
    identity = Identity(UUID(good.id), UUID(good.id), frozenset({"admin", "user"}), 1, at + 60)
    genuine = house.internal.mint(identity, audience)
    claims = json.loads(_decode(genuine.split(".")[1]))
    claims |= {"iat": at, "exp": at + 30}
    key, header = house.internal_key, {"alg": "HS256", "typ": "JWT"}
    found = {
        f"for {other}": house.internal.mint(identity, other)
        for other in (*SERVICES, "api-gateway")
        if other != audience
    }
    found |= {
        "an access token": good.token,
        "a refresh token": good.refresh_token,
        "of another key": _signed(header, claims, b"x" * 32),
        "of an empty key": _signed(header, claims, b""),
        "alg none": _encode(header | {"alg": "none"}) + "." + _encode(claims) + ".",
        "alg none, signature kept": _encode(header | {"alg": "none"}) + "." + genuine.split(".", 1)[1],
        "alg in small letters": _signed(header | {"alg": "hs256"}, claims, key),
        "HS512": _signed(header | {"alg": "HS512"}, claims, key, "sha512"),
        "a kid": _signed(header | {"kid": "1"}, claims, key),
        "crit": _signed(header | {"crit": ["exp"]}, claims, key),
        "no typ in the header": _signed({"alg": "HS256"}, claims, key),
        "cut": genuine[:-1],
        "padded": genuine + "=",
        "a dot more": genuine + ".",
        "roles of others under its signature": _with_claims(genuine, claims | {"roles": ["service"]}),
        "claims in a list": _signed(header, [claims], key),
    }
    for name in claims:
        found[f"without {name}"] = _signed(header, {k: v for k, v in claims.items() if k != name}, key)
    for name, values in _WRONG.items():
        for value in values:
            wrong = value(at) if callable(value) else value
            found[f"{name} = {wrong!r}"] = _signed(header, claims | {name: wrong}, key)
    return list(found.items())


_WRONG: Mapping[str, tuple[Any, ...]] = {
    "exp": (lambda at: at - 1, lambda at: at, lambda at: at + 3600, lambda at: str(at + 30), True, None, 1e300),
    "iat": (lambda at: at + 60, lambda at: at - 3600, "0", None),
    "nbf": (lambda at: at + 60, "0", True),
    "aud": ("", None, ["portfolio-service"], "saras-api"),
    "iss": ("saras", "", None),
    "typ": ("access", "refresh", "", None),
    "sub": ("", "1", None, 7),
    "roles": ([], "admin", ["root"], None, ["admin", "admin"]),
    "ver": (-1, None, "1", True),
}


def _with_claims(token: str, claims: Any) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{_encode(claims)}.{signature}"


def _signed(header: Any, claims: Any, key: bytes, digest: str = "sha256") -> str:
    head = f"{_encode(header)}.{_encode(claims)}"
    raw = hmac.digest(key, head.encode(), digest)
    return head + "." + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _encode(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def as_headers(knock: Knock) -> Headers:
    """For `Line.ask`."""
    return list(knock.headers)
