"""Requests that two readers could cut apart differently, and words only the gateway may say to a service.

Behind every ambiguous request comes a second one whose answer, or whose line in the access log, would show that
somebody took the first for shorter than it was.
"""

import asyncio
import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

from prove.campaign import Outcome
from prove.door import BASE, Person
from prove.wire import Line, Request, Silent, exchange

from saras.process import PlatformProcess
from saras_common.auth import Identity, InternalTokens
from saras_common.clock import SystemClock

SMUGGLED = "smuggled"
"""Begins the path of every second request."""

_POST = b"POST /api/v1/login HTTP/1.1\r\nHost: %(host)s\r\nContent-Type: application/json\r\n"
_GET = b"GET /api/v1/funds HTTP/1.1\r\nHost: %(host)s\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_END = b"\r\n0\r\n\r\n"
_ANSWER = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_LOG_WAIT_S = 0.6
DIRECT = ("/me", "/funds", "/orders", "/admin/execution", "/admin/users", "/notifications", "/analytics", "/smallcases")
_MISSING = 404
_ERROR, _SERVER_ERROR, _OK, _UNKNOWN_CALLER, _FORBIDDEN = 400, 500, 200, 401, 403

REFUSED: dict[str, bytes] = {
    "length, then chunks": _POST + b"Content-Length: 4\r\n" + _CHUNKED + _END,
    "chunks, then length": _POST + _CHUNKED + b"Content-Length: 4\r\n" + _END,
    **{
        f"chunks as {coding!r}": _POST + b"Transfer-Encoding: " + coding + b"\r\n" + _END
        for coding in (
            *(
                b"xchunked",
                b"gzip",
                b"gzip, chunked",
                b"chunked, gzip",
                b"chunked, chunked",
                b"identity",
                b"\x0bchunked",
            ),
            *(b"chunked;a=b", b'"chunked"', b"chunked\x00", b"\x00chunked", b"chunked,", b",chunked", b"chu\tnked"),
        )
    },
    "chunks twice": _POST + _CHUNKED + _CHUNKED + _END,
    "chunks, then another coding": _POST + _CHUNKED + b"Transfer-Encoding: x\r\n" + _END,
    "another coding, then chunks": _POST + b"Transfer-Encoding: x\r\n" + _CHUNKED + _END,
    "space before the colon of a coding": _POST + b"Transfer-Encoding : chunked\r\n" + _END,
    "folded coding": _POST + b"Transfer-Encoding:\r\n chunked\r\n" + _END,
    "coding behind a bare line feed": _POST + b"X: a\nTransfer-Encoding: chunked\r\n" + _END,
    "coding behind a bare return": _POST + b"X: a\rTransfer-Encoding: chunked\r\n" + _END,
    "chunks in HTTP/1.0 with a length": _POST.replace(b"1.1", b"1.0") + _CHUNKED + b"Content-Length: 4\r\n" + _END,
    **{
        f"length {length!r}": _POST + b"Content-Length: " + length + b"\r\n\r\n{}"
        for length in (
            *(b"+2", b"-2", b"0x2", b"2, 2", b"2,3", b"2 2", b"2;", b"2.0", b"1e1", b"\xb2", b"2\x00", b"", b"two"),
            *(b"9" * 30, b"18446744073709551618"),
        )
    },
    "two lengths": _POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "one length twice": _POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "length with a space before its colon": _POST + b"Content-Length : 2\r\n\r\n{}",
    "length behind a fold": _POST + b"X: a\r\n Content-Length: 2\r\nContent-Length : 2\r\n\r\n{}",
    **{
        f"chunk size {size!r}": _POST + _CHUNKED + b"\r\n" + size + b"\r\n{}\r\n0\r\n\r\n"
        for size in (b"0x2", b"-2", b"+2", b"zz", b"ffffffffffffffffff", b"2 2", b"", b" ", b"2\x00", b"2\n;a")
    },
    "chunk longer than it says": _POST + _CHUNKED + b"\r\n2\r\n{}{}\r\n0\r\n\r\n",
    "chunk shorter than it says": _POST + _CHUNKED + b"\r\n9\r\n{}\r\n0\r\n\r\n",
    "chunks ended by bare line feeds": _POST + _CHUNKED + b"\r\n2\n{}\n0\n\n",
    "head ended by bare line feeds": (_GET + b"\r\n").replace(b"\r\n", b"\n"),
    "head ended by bare returns": (_GET + b"\r\n").replace(b"\r\n", b"\r"),
    "bare return in a value": _GET + b"X: a\rb\r\n\r\n",
    "nul in a value": _GET + b"X: a\x00b\r\n\r\n",
    "space in a name": _GET + b"X a: b\r\n\r\n",
    "colon missing": _GET + b"X\r\n\r\n",
    "empty name": _GET + b": a\r\n\r\n",
    "space before the first header": b"GET /api/v1/funds HTTP/1.1\r\n Host: %(host)s\r\n\r\n",
    **{
        f"host {host!r}": b"GET /api/v1/funds HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
        for host in (b"", b"a b", b"a/b", b"a@b", b"a,b", b"a\x00b", b"a?b", b"a#b", b"\xe4", b"x" * 300, b"a\\b")
    },
    "two hosts": _GET + b"Host: evil.example\r\n\r\n",
    "the same host twice": _GET + b"Host: %(host)s\r\n\r\n",
    "no host": b"GET /api/v1/funds HTTP/1.1\r\n\r\n",
    "folded host": b"GET /api/v1/funds HTTP/1.1\r\nHost:\r\n %(host)s\r\nHost : a\r\n\r\n",
    **{
        f"first line {line!r}": line + b"\r\nHost: %(host)s\r\n\r\n"
        for line in (
            *(b"GET /api/v1/funds", b"GET /api/v1/funds HTTP/2.0", b"GET /api/v1/funds HTTP/1.1 x", b"GET  HTTP/1.1"),
            *(b"GET /api/v1/funds HTTP/0.9", b"GET /a b HTTP/1.1", b"GET\t/api/v1/funds\tHTTP/1.1", b"G@T / HTTP/1.1"),
            *(b"CONNECT 127.0.0.1:22 HTTP/1.1", b"PRI * HTTP/2.0", b"GET api/v1/funds HTTP/1.1"),
            *(b"GET /api/v1/f\xffunds HTTP/1.1", b"GET /api/v1/funds HTTP/1.10", b"GET /api/v1/funds http/1.1"),
        )
    },
}
"""One answer at most, and that a refusal; what comes behind is not served."""

HARMLESS: dict[str, bytes] = {
    "coding in other letters": _POST + b"tRANSFER-eNCODING: cHUNKED\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunk with an extension": _POST + _CHUNKED + b"\r\n2;a=b\r\n{}\r\n0\r\n\r\n",
    "trailers": _POST + _CHUNKED + b"\r\n2\r\n{}\r\n0\r\nX-Internal-Token: a\r\nContent-Length: 9\r\n\r\n",
    "absolute address": b"GET http://evil.example/api/v1/funds HTTP/1.1\r\nHost: %(host)s\r\n\r\n",
    "absolute address of another scheme": b"GET gopher://x:1/api/v1/funds HTTP/1.1\r\nHost: %(host)s\r\n\r\n",
    "an asterisk for an address": b"GET * HTTP/1.1\r\nHost: %(host)s\r\n\r\n",
    "another host": b"GET /api/v1/funds HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a body with a get": _GET + b"Content-Length: 5\r\n\r\nGET /",
    "upgrade to h2c": _GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n\r\n",
    "folded value": _GET + b"X: a\r\n b\r\n\r\n",
    "a hundred thousand blank lines": b"\r\n" * 1000 + _GET + b"\r\n",
}
"""Allowed, or at least clear: answered as the plain request would be, which without a login is no."""


async def frames(host: str, port: int, access_log: Path | None) -> Outcome:
    """Every frame on a connection of its own, with a second request behind it."""
    outcome, marks = Outcome(), dict[str, str]()
    gate = asyncio.Semaphore(16)

    async def one(label: str, frame: bytes, *, refused: bool) -> None:
        mark = f"/api/v1/{SMUGGLED}-{uuid4().hex}"
        marks[mark] = label
        behind = f"GET {mark} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode() if refused else b""
        raw = frame.replace(b"%(host)s", f"{host}:{port}".encode()) + behind
        async with gate:
            said = await exchange(host, port, raw, wait_s=0.7)
        outcome.counts["ambiguous requests"] += 1
        outcome.violate(*(f"{label}: {fault}" for fault in _faults(said, refused=refused)))

    work = [(label, frame, True) for label, frame in REFUSED.items()]
    work += [(label, frame, False) for label, frame in HARMLESS.items()]
    await asyncio.gather(*(one(label, frame, refused=refused) for label, frame, refused in work))
    if access_log is not None:
        await asyncio.sleep(_LOG_WAIT_S)
        logged = await asyncio.to_thread(access_log.read_text)
        outcome.violate(*(f"{label}: what came behind was served" for mark, label in marks.items() if mark in logged))
    return outcome


def _faults(said: bytes, *, refused: bool) -> list[str]:
    statuses = [int(each) for each in _ANSWER.findall(said)]
    if refused:
        if len(statuses) > 1:
            return [f"answered {statuses}"]
        return [f"answered {status}" for status in statuses if not _ERROR <= status < _SERVER_ERROR]
    wrong = [f"answered {status}" for status in statuses if status >= _SERVER_ERROR or status < _ERROR]
    return wrong if statuses else ["no answer"]


# --- words only the gateway says


FORGED_ADDRESS = "203.0.113.7"
NAMES = (
    *("X-Internal-Token", "x-internal-token", "X_INTERNAL_TOKEN", "X-Internal_Token", "X-INTERNAL-TOKEN"),
    *("X-User-Id", "X-User", "X-Roles", "X-Forwarded-User", "X-Client-Address", "X_Client_Address", "X-Real-IP"),
    *("X-Forwarded-For", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Forwarded-Host", "X-Original-URL"),
    *("X-Rewrite-URL", "X-HTTP-Method-Override", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Via"),
)
"""Headers by which a service, or something before it, might be told who calls and from where."""


def forged_heads(values: list[str]) -> Iterator[tuple[str, bytes]]:
    """Header lines, each way to get a forged one through: plain, doubled, named by Connection, folded."""
    for name, value in itertools.product(NAMES, values):
        line = f"{name}: {value}\r\n".encode("latin-1")
        yield f"{name} plain", line
        yield f"{name} twice", line + line
        yield f"{name} named by Connection", b"Connection: keep-alive, " + name.encode() + b"\r\n" + line
        yield f"{name} folded", f"X-A: b\r\n {name}: {value}\r\n".encode("latin-1")
    yield "the token dropped by Connection", b"Connection: x-internal-token, x-client-address, x-request-id, host\r\n"
    yield "the login dropped by Connection", b"Connection: authorization\r\n"


def inner_tokens(key: str, admin_id: str) -> list[str]:
    """What only a thief of the platform's key could have: internal tokens of the administrator, for each service."""
    tokens = InternalTokens(key.encode(), SystemClock())
    admin = Identity(UUID(admin_id), uuid4(), frozenset({"user", "admin"}), 0, time.time() + 60)
    return [
        tokens.mint(admin, service, ttl_s=60) for service in ("user-service", "portfolio-service", "trade-executor")
    ]


async def forgeries(line: Line, person: Person, user_id: str, values: list[str]) -> Outcome:
    """Each forged head with a login and without: the caller stays who it is, or nobody, and where it is."""
    outcome = Outcome()
    login = f"Authorization: Bearer {person.token}\r\n".encode()
    for label, head in forged_heads(values):
        outcome.counts["forged heads"] += 1
        for path, who, expected in (
            ("/me", login, _OK),
            ("/me", b"", _UNKNOWN_CALLER),
            ("/admin/users", login, _FORBIDDEN),
            ("/admin/execution", b"", _UNKNOWN_CALLER),
        ):
            raw = f"GET {BASE}{path} HTTP/1.1\r\nHost: {line.name}\r\n".encode() + who + head + b"\r\n"
            try:
                answer = await line.send(raw)
            except Silent as silence:
                outcome.violate(f"{label}: {silence}")
                continue
            if answer.status not in {expected, _ERROR}:
                outcome.violate(f"{label}: GET {path} answered {answer.status}")
            elif answer.status == _OK and json.loads(answer.body)["id"] != user_id:
                outcome.violate(f"{label}: GET {path} is about another")
            if answer.headers.get("x-request-id", "") in values:
                outcome.violate(f"{label}: the forged value is the request's id")
    outcome.add(await _addresses(line, person))
    return outcome


async def doors(at: PlatformProcess, person: Person, admin: Person) -> Outcome:
    """Services apart, called past the gateway with what a client has: a login, a forged head, nothing."""
    outcome = Outcome()
    ports = json.loads((at.home / "services" / "ports.json").read_text())
    for name, port in ports.items():
        if not name.endswith(".api") or name == "api-gateway.api":
            continue
        line = Line("127.0.0.1", port)
        for token in (person.token, admin.token):
            for head in ({"Authorization": f"Bearer {token}"}, {"X-Internal-Token": token}, {"X-User-Id": "1"}, {}):
                for path in DIRECT:
                    answer = await line.ask(Request("GET", path, headers=head))
                    outcome.counts["calls past the gateway"] += 1
                    if answer.status not in {_UNKNOWN_CALLER, _FORBIDDEN, _MISSING}:
                        outcome.violate(f"{name} answered {answer.status} to a call of {path} past the gateway")
        line.close()
    return outcome


async def _addresses(line: Line, person: Person) -> Outcome:
    """A login that claims to come from elsewhere is remembered from where it came."""
    outcome = Outcome()
    body = json.dumps({"email": person.email, "password": person.password}).encode()
    for name in NAMES:
        value = f"for={FORGED_ADDRESS}" if name == "Forwarded" else FORGED_ADDRESS
        answer = await line.ask(Request("POST", f"{BASE}/login", body, {name: value}))
        if answer.status == _OK:
            person.token = json.loads(answer.body)["access_token"]
    head = {"Authorization": f"Bearer {person.token}"}
    told = json.loads((await line.ask(Request("GET", f"{BASE}/me/sessions", headers=head))).body)["items"]
    outcome.counts["sessions opened from a forged address"] = len(told)
    outcome.violate(*(f"a session from {row['address']}" for row in told if row["address"] != "127.0.0.1"))
    return outcome
