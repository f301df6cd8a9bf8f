"""A whole platform as its own process, and people who knock at its gateway: on many connections, with any bytes."""

import asyncio
import json
import random
import re
import secrets
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prove.corpus import Case
from prove.horrors import MARK
from prove.samples import GOOD_IDS, PASSWORD
from prove.shapes import Operation, Shapes
from prove.wire import Answer, Line, Request, Silent

from saras.client import Api
from saras.demo.market import list_quotes, wait_tradable
from saras.process import ADMIN_EMAIL, ADMIN_PASSWORD, PlatformProcess

ENVIRONMENT = {
    "SARAS_MODE": "sandbox",
    "DATABASE_URL": "",
    "BROKER_URL": "",
    "REDIS_URL": "",
    "SANDBOX_PRICES": "fixed",
    "SARAS_WINDOW_S": "2",
    "ANALYTICS_CHROMIUM": "none",
    "PYTHONDONTWRITEBYTECODE": "",
    **dict.fromkeys(("RATE_ADDRESS", "RATE_USER", "RATE_POSTBACK"), "1000000/second"),
    **dict.fromkeys(("RATE_LOGIN", "RATE_REGISTER", "RATE_REFRESH"), "1000000/minute"),
    **dict.fromkeys(("LOGIN_ACCOUNT_BURST", "LOGIN_ADDRESS_BURST", "LOGIN_GLOBAL_BURST"), "1000000"),
}
"""Rates are another campaign's; here they would hide what is looked for. Pictures cost a browser each."""

BASE = "/api/v1"
DEPOSIT = "5000000.00"
OK, REDIRECT, CREATED, GONE, MISSING, UNKNOWN_CALLER = 200, 300, 201, 204, 404, 401
KEPT = 50
"""Ids of a kind a person remembers."""

_STANDS_FOR = {text: kind for kind, text in GOOD_IDS.items() if "-" in text}
_ID = re.compile("|".join(_STANDS_FOR))
_ITEM = {
    "POST /api/v1/buy": "/api/v1/orders/{order_id}",
    "POST /api/v1/sell": "/api/v1/orders/{order_id}",
    "POST /api/v1/portfolio": "/api/v1/portfolios/{portfolio_id}",
    "POST /api/v1/smallcase": "/api/v1/smallcase/{smallcase_id}",
    "POST /api/v1/reports": "/api/v1/reports/runs/{report_id}",
}
"""Where a thing just made must be found by its maker, and by nobody else."""

_PARAMETER = re.compile(r"/\{(\w+)\}")


@contextmanager
def platform(**environment: str) -> Iterator[PlatformProcess]:
    """All in one process, ready, with an administrator; ended and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="saras-door-", ignore_cleanup_errors=True) as folder:
        process = PlatformProcess(Path(folder) / "home", {**ENVIRONMENT, **environment})
        with process:
            yield process


@dataclass
class Person:
    """Somebody with a login, and what it has made so far."""

    email: str
    password: str
    is_admin: bool
    token: str = ""
    things: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def enrol(at: PlatformProcess, count: int, admin_password: str = ADMIN_PASSWORD) -> tuple[list[Person], Person]:
    """``count`` users with money, and the administrator; the market is open to them all."""
    with Api(at.url) as api:
        people = [register(api) for _ in range(count)]
        admin = Person(ADMIN_EMAIL, admin_password, is_admin=True)
        api.login(admin.email, admin.password)
        admin.token = str(api.token)
        admin.things["user_id"] = [person.things["user_id"][0] for person in people]
        quotes = [quote for quote in list_quotes(api, 45) if quote.instrument in {"NSE:INFY", "NSE:TCS"}]
        api.token = people[0].token
        wait_tradable(api, quotes)
    return people, admin


def register(api: Api) -> Person:
    """One more user, signed in and with money."""
    person = Person(f"{secrets.token_hex(6)}@door.example.com", PASSWORD, is_admin=False)
    api.token = None
    made = api.post("/register", {"email": person.email, "password": PASSWORD, "full_name": "Somebody"})
    person.things["user_id"].append(made["id"])
    api.login(person.email, PASSWORD)
    person.token = str(api.token)
    api.post("/funds/deposit", {"amount": DEPOSIT})
    return person


@dataclass
class Judged:
    """What was asked so far, and what was wrong with the answers."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Crowd:
    """People calling at once. What an answer names is used in later calls; whoever was signed out signs in again."""

    def __init__(self, at: PlatformProcess, shapes: Shapes, people: list[Person], admin: Person, seed: int) -> None:
        self._at = at
        self._shapes = shapes
        self._people = people
        self._admin = admin
        self._draw = random.Random(seed)
        self._address = ("127.0.0.1", urlsplit(at.url).port or 80)
        self.judged = Judged()

    def line(self, timeout_s: float = 30.0) -> Line:
        """A connection to the gateway."""
        return Line(*self._address, timeout_s=timeout_s)

    async def play(self, cases: Iterator[Case], count: int, *, lines: int, until: "asyncio.Event") -> None:
        """``count`` cases on ``lines`` connections, or as many as fit before ``until`` is set."""
        left = iter(range(count))

        async def work() -> None:
            line = self.line()
            for _ in left:
                if until.is_set():
                    break
                await self.judge(line, next(cases))
            line.close()

        await asyncio.gather(*(work() for _ in range(lines)))

    async def judge(self, line: Line, case: Case) -> None:
        """Ask one case and judge its answer, and those of what follows from it."""
        person = self._person(case.who)
        request = self._addressed(case.request, person)
        is_stream = case.operation is not None and case.operation.path in {"/api/v1/events", "/api/v1/ws"}
        self.judged.counts["cases"] += 1
        try:
            answer = await line.ask(request, head_only=is_stream)
        except Silent as silence:
            line.close()
            self.judged.counts["closed instead of answered"] += case.closes
            if not case.closes:
                self._blame(case.label, f"{silence}", request)
            return
        self._weigh(case, request, answer, seen=not is_stream and request.method != "HEAD")
        if answer.status == UNKNOWN_CALLER and person is not None and "Authorization" not in case.request.headers:
            await self._sign_in(line, person)
        elif answer.status < REDIRECT and case.operation is not None and person is not None:
            await self._follow(line, case.operation, request, answer, person)

    def _weigh(self, case: Case, request: Request, answer: Answer, *, seen: bool) -> None:
        self.judged.counts[f"answered {answer.status}"] += 1
        if request.method == "OPTIONS" and answer.status == GONE:
            return  # what browsers ask first, of every address
        for fault in self._shapes.faults(case.operation, answer, unsaid=MARK.encode(), seen=seen):
            self._blame(case.label, fault, request)

    def _blame(self, label: str, fault: str, request: Request) -> None:
        body = b"" if request.body is None else request.body[:200]
        self.judged.faults.append(f"{label}: {fault} (sent {request.method} {request.target[:120]} {body!r})")

    def _person(self, who: str) -> Person | None:
        if who == "nobody":
            return None
        return self._admin if who == "admin" else self._draw.choice(self._people)

    def _addressed(self, request: Request, person: Person | None) -> Request:
        """With the caller's token, and ids of its own in place of those that stand for one."""
        if person is None:
            return request
        target = _ID.sub(lambda match: self._thing(person, match[0]), request.target)
        return replace(request, target=target, headers={"Authorization": f"Bearer {person.token}", **request.headers})

    def _thing(self, person: Person, stands_for: str) -> str:
        known = person.things.get(_STANDS_FOR[stands_for])
        return self._draw.choice(known) if known and self._draw.random() < 0.8 else stands_for

    async def _follow(self, line: Line, operation: Operation, request: Request, answer: Answer, person: Person) -> None:
        if operation.method == "DELETE" and answer.status == GONE and operation.names_in("path"):
            again = await line.ask(request)
            self.judged.counts["things deleted twice"] += 1
            if again.status not in {MISSING, GONE, UNKNOWN_CALLER}:
                self._blame(f"{operation.name} again", f"answered {again.status}", request)
            return
        found = _ids(answer)
        kind = self._kind(operation)
        if kind is None or not found:
            return
        if kind != "user_id":
            person.things[kind] = [*person.things[kind], *found][-KEPT:]
        if item := _ITEM.get(operation.name):
            await self._look_up(line, item.replace(f"{{{kind}}}", found[0]), person)

    async def _look_up(self, line: Line, path: str, person: Person) -> None:
        """What was made is there for its maker and not for others."""
        self.judged.counts["things made and looked up"] += 1
        stranger = self._draw.choice([each for each in self._people if each is not person] or [self._admin])
        for each, expected in ((person, {OK}), (stranger, {MISSING})):
            request = Request("GET", path, headers={"Authorization": f"Bearer {each.token}"})
            answer = await line.ask(request)
            if answer.status not in expected | {UNKNOWN_CALLER}:
                self._blame(
                    f"GET {path} by {'its maker' if each is person else 'another'}", f"{answer.status}", request
                )

    def _kind(self, operation: Operation) -> str | None:
        """The kind of the ids in an operation's answer: that of the thing below its path."""
        if item := _ITEM.get(operation.name):
            return _PARAMETER.findall(item)[0]  # type: ignore[no-any-return]
        for other in self._shapes.operations:
            if (
                match := _PARAMETER.match(other.path[len(operation.path) :])
                if other.path.startswith(operation.path)
                else None
            ):
                return match[1]
        return None

    async def _sign_in(self, line: Line, person: Person) -> None:
        body = json.dumps({"email": person.email, "password": person.password}).encode()
        answer = await line.ask(Request("POST", "/api/v1/login", body))
        self.judged.counts["signed in again"] += 1
        if answer.status == OK:
            person.token = json.loads(answer.body)["access_token"]
        elif person.is_admin:
            self._blame("the administrator", f"cannot sign in: {answer.status}", Request("POST", "/api/v1/login"))
        else:
            with Api(self._at.url) as api:
                fresh = register(api)
            person.email, person.token, person.things = fresh.email, fresh.token, fresh.things
            self._admin.things["user_id"] = [each.things["user_id"][0] for each in self._people]


def _ids(answer: Answer) -> list[str]:
    if not answer.body or answer.media_type != "application/json":
        return []
    told: Any = json.loads(answer.body)
    rows = [told, *told.get("items", ())] if isinstance(told, dict) else []
    return [str(row["id"]) for row in rows if isinstance(row, dict) and row.get("id")]
