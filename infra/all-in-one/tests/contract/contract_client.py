"""What a stranger needs to check the public contract over HTTP: calls, shapes, waiting; nothing of the code inside."""

import base64
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import requests

MONEY = re.compile(r"-?(0|[1-9]\d*)\.\d{2}")
PRICE = re.compile(r"(0|[1-9]\d*)\.\d{2,}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
PASSWORD = "seven quiet herons 41"
ENDED = {"FILLED", "CANCELLED", "REJECTED", "EXPIRED"}
USER_FIELDS = {"id", "email", "full_name", "phone", "roles", "status", "kyc_status", "created_at"}
ORDER_FIELDS = {
    *("id", "user_id", "portfolio_id", "instrument", "side", "order_type", "product", "quantity", "price"),
    *("trigger_price", "validity", "status", "status_reason", "filled_quantity", "average_price", "charges"),
    *("basket_id", "batch_id", "created_at", "updated_at", "timeline"),
}
CHARGE_FIELDS = {"brokerage", "stt", "exchange", "sebi", "stamp_duty", "gst", "dp", "total"}
FUNDS_FIELDS = {"cash", "held", "available", "collateral", "margin_used"}
PORTFOLIO_FIELDS = {
    *("id", "name", "cash", "market_value", "total_value", "invested", "realised_pnl", "unrealised_pnl", "day_pnl"),
    "holdings",
}
HOLDING_FIELDS = {
    *("instrument", "quantity", "average_price", "last_price", "market_value", "unrealised_pnl", "weight"),
}
JSON_TYPE = {"Content-Type": "application/json"}


@dataclass
class Answer:
    """One HTTP answer; ``body`` is its JSON with exact decimals, else None."""

    status: int
    headers: Any
    raw: bytes
    asked: str
    body: Any = None

    def __post_init__(self) -> None:
        if self.raw and "json" in self.headers.get("Content-Type", ""):
            self.body = json.loads(self.raw, parse_float=Decimal)

    def __str__(self) -> str:
        return f"{self.asked} -> {self.status} {self.raw[:800]!r}"

    def expect(self, *statuses: int) -> Any:
        """The body, if the status is one of these."""
        assert self.status in statuses, f"expected {statuses}: {self}"
        assert self.headers.get("X-Request-ID"), f"no X-Request-ID: {self}"
        assert self.raw or "Content-Type" not in self.headers, f"a type of nothing: {self}"
        return self.body

    def refused(self, status: int, code: str | None = None) -> Any:
        """The problem, fully checked against the conventions."""
        problem = self.expect(status)
        assert self.headers["Content-Type"].split(";")[0] == "application/problem+json", str(self)
        assert {"type", "title", "status", "detail", "code", "request_id"} <= set(problem), str(self)
        assert problem["status"] == status, str(self)
        assert re.fullmatch(r"[a-z][a-z0-9_]*", problem["code"]), str(self)
        assert problem["request_id"] == self.headers["X-Request-ID"], str(self)
        assert b"Traceback" not in self.raw
        for error in problem.get("errors") or []:
            assert {"field", "message"} <= set(error), str(self)
        if code is not None:
            assert problem["code"] == code, f"expected {code}: {self}"
        return problem


class Api:
    """The gateway as one caller sees it."""

    def __init__(self, origin: str, session: requests.Session, token: str | None = None) -> None:
        self.origin, self.session, self.token = origin, session, token

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        token: str | None = None,
        timeout_s: float = 30.0,
    ) -> Answer:
        """``path`` is under /api/v1 unless it starts with ``//`` (then the root)."""
        url = self.origin + (path[1:] if path.startswith("//") else "/api/v1" + path)
        sent = dict(headers or {})
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        if key is not None:
            sent["Idempotency-Key"] = key
        if (bearer := token or self.token) is not None:
            sent.setdefault("Authorization", f"Bearer {bearer}")
        answer = self.session.request(method, url, data=raw, headers=sent, timeout=timeout_s, allow_redirects=False)
        asked = f"{method} {path} {(raw or b'')[:200]!r}"
        return Answer(answer.status_code, answer.headers, answer.content, asked)

    def get(self, path: str) -> Any:
        return self.call("GET", path).expect(200)

    def post(self, path: str, body: Any = None, **terms: Any) -> Any:
        return self.call("POST", path, body, **terms).expect(200, 201, 202)

    def pages(self, path: str, limit: int = 500) -> Iterator[Any]:
        """Every item of a list, following its cursor."""
        cursor = ""
        for _ in range(1000):
            joint = "&" if "?" in path else "?"
            page = self.get(f"{path}{joint}limit={limit}{cursor}")
            assert set(page) == {"items", "next_cursor"}, page
            assert len(page["items"]) <= limit
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            cursor = f"&cursor={page['next_cursor']}"
        raise AssertionError(f"{path} never ends")


@dataclass
class User(Api):
    """A registered, signed-in user."""

    origin: str
    session: requests.Session
    email: str
    id: str
    token: str | None
    refresh_token: str
    password: str = PASSWORD
    orders: list[str] = field(default_factory=list)

    def place(self, side: str, instrument: str, quantity: int, order_type: str = "MARKET", **terms: Any) -> Any:
        body = {"instrument": instrument, "quantity": quantity, "order_type": order_type, **terms}
        order = self.call("POST", "/buy" if side == "BUY" else "/sell", body).expect(202)
        self.orders.append(order["id"])
        return order

    def order(self, order_id: str) -> Any:
        return self.get(f"/orders/{order_id}")

    def cash(self) -> Decimal:
        return Decimal(self.get("/funds")["cash"])

    def held(self) -> Decimal:
        return Decimal(self.get("/funds")["held"])

    def shares(self, instrument: str) -> int:
        return sum(row["quantity"] for row in self.get("/portfolio")["holdings"] if row["instrument"] == instrument)

    def another_session(self) -> "User":
        pair = self.call("POST", "/login", {"email": self.email, "password": self.password}, token="").expect(200)
        return User(
            self.origin,
            self.session,
            self.email,
            self.id,
            pair["access_token"],
            pair["refresh_token"],
            self.password,
        )


@dataclass
class Early:
    """Begun when the session began, because time must pass before it can be checked."""

    rotated_user: User
    rotated_token: str
    rotated_at: float
    totp_user: User
    totp: Any
    totp_used: str


class World:
    """The running platform: its people, its sandbox broker, and waiting."""

    def __init__(self, origin: str, sandbox: str, admin_email: str, admin_password: str) -> None:
        self.origin, self.sandbox = origin, sandbox
        self.session = requests.Session()
        self.session.mount("http://", requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=64))
        self.public = Api(origin, self.session)
        self.admin_email, self.admin_password = admin_email, admin_password
        self.numbers = itertools.count(1)
        self.instruments: dict[str, list[str]] = {}
        self.listed_when_ready = False

    def close(self) -> None:
        self.session.close()

    def login(self, email: str, password: str, **more: str) -> Answer:
        return self.public.call("POST", "/login", {"email": email, "password": password, **more})

    def new_admin(self) -> User:
        pair = self.login(self.admin_email, self.admin_password).expect(200)
        api = Api(self.origin, self.session, pair["access_token"])
        return User(
            self.origin,
            self.session,
            self.admin_email,
            api.get("/me")["id"],
            pair["access_token"],
            pair["refresh_token"],
            self.admin_password,
        )

    def new_user(self, deposit: str | None = "1000000.00") -> User:
        """Register, sign in, pay in: over HTTP, like anybody."""
        email = f"contract{next(self.numbers)}@example.com"
        body = {"email": email, "password": PASSWORD, "full_name": "Contract User"}
        made = self.public.call("POST", "/register", body).expect(201)
        pair = self.login(email, PASSWORD).expect(200)
        user = User(self.origin, self.session, email, made["id"], pair["access_token"], pair["refresh_token"])
        if deposit is not None:
            user.call("POST", "/funds/deposit", {"amount": deposit}).expect(201)
        return user

    def at_sandbox(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.session.request(method, self.sandbox + path, json=body, timeout=30)
        assert answer.status_code == 200, f"{method} {path} -> {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def journal(self) -> list[Any]:
        answer = self.at_sandbox("GET", "/sandbox/journal")
        return answer["items"]

    def fault(self, kind: str, *, route: str = "place_order", count: int = 1, **more: int) -> None:
        self.at_sandbox("POST", "/sandbox/faults", {"route": route, "kind": kind, "count": count, **more})

    def set_price(self, instrument: str, price: str) -> None:
        """At the broker, and known to the platform when this returns."""
        self.at_sandbox("POST", "/sandbox/prices", {instrument: price})
        until(lambda: self.last_price(instrument) == price, f"{instrument} is quoted at {price}")

    def last_price(self, instrument: str) -> str | None:
        answer = self.reader.call("GET", f"/quotes?instruments={quote(instrument)}")
        return answer.body["items"][0]["last_price"] if answer.status == 200 and answer.body["items"] else None

    @property
    def reader(self) -> User:
        if not hasattr(self, "_reader"):
            self._reader = self.new_user(None)
        return self._reader

    def price_all(self, instruments: list[str], prices: list[str]) -> None:
        """Once, at the start: the book hears of a price a little after /quotes does."""
        named = dict(zip(instruments, prices, strict=True))
        self.at_sandbox("POST", "/sandbox/prices", named)
        for instrument, price in named.items():
            until(lambda i=instrument, p=price: self.last_price(i) == p, f"{instrument} is quoted at {price}")
            self.instruments.setdefault(price, []).append(instrument)
        prober = self.new_user()
        until(lambda: self._reserves(prober, instruments[-1], Decimal(prices[-1])), "the book knows the prices")

    @staticmethod
    def _reserves(prober: User, instrument: str, price: Decimal) -> bool:
        order = prober.place("BUY", instrument, 1)
        held = prober.held()
        prober.call("DELETE", f"/orders/{order['id']}").expect(200, 202, 204)
        until(lambda: prober.held() == 0, "released")
        return price <= held <= price * 2

    def fresh_instrument(self, price: str = "1000.00") -> str:
        """One no other check has traded; at this price."""
        return self.instruments[price].pop(0)

    def trigger(self, admin: User) -> str | None:
        return admin.call("POST", "/admin/execution/run").expect(202)["batch_id"]

    def trade(self, admin: User, *orders: tuple[User, str], statuses: set[str] = ENDED, timeout_s: float = 30) -> None:
        """Close the window over these orders and wait until each has one of ``statuses``."""
        until(lambda: all(u.order(o)["status"] != "ACCEPTED" for u, o in orders), "orders queued")
        self.trigger(admin)
        until(
            lambda: all(u.order(o)["status"] in statuses for u, o in orders),
            f"orders in {sorted(statuses)}",
            timeout_s,
            lambda: [u.order(o) for u, o in orders],
        )

    def buy_shares(self, admin: User, user: User, instrument: str, quantity: int) -> Any:
        order = user.place("BUY", instrument, quantity)
        self.trade(admin, (user, order["id"]), statuses={"FILLED"})
        return user.order(order["id"])

    def batch_of(self, admin: User, order: Any) -> Any:
        return admin.get(f"/admin/batches/{order['batch_id']}")


def until(
    is_true: Callable[[], Any], what: str, timeout_s: float = 20.0, describe: Callable[[], Any] | None = None
) -> Any:
    """Poll; the first true value."""
    deadline = time.monotonic() + timeout_s
    while not (found := is_true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}; {describe() if describe else ''}")
        time.sleep(0.05)
    return found


def check_order(order: Any) -> None:
    """Shape and formats of an order."""
    assert set(order) >= ORDER_FIELDS, ORDER_FIELDS - set(order)
    assert UUID7.fullmatch(order["id"])
    assert set(order["charges"]) == CHARGE_FIELDS
    assert all(MONEY.fullmatch(value) for value in order["charges"].values()), order["charges"]
    parts = sum(Decimal(value) for name, value in order["charges"].items() if name != "total")
    assert parts == Decimal(order["charges"]["total"]), order["charges"]
    for name in ("created_at", "updated_at"):
        assert INSTANT.fullmatch(order[name]), order[name]
    for name in ("price", "trigger_price", "average_price"):
        assert order[name] is None or PRICE.fullmatch(order[name]), (name, order[name])
    for name in ("quantity", "filled_quantity"):
        assert type(order[name]) is int
    assert order["timeline"]
    assert order["timeline"][-1]["status"] == order["status"]
    for step in order["timeline"]:
        assert {"at", "status", "note"} <= set(step)
        assert INSTANT.fullmatch(step["at"])
    steps = [step["at"] for step in order["timeline"]]
    assert steps == sorted(steps)


def check_portfolio(portfolio: Any) -> None:
    """Shape, formats and sums of a portfolio."""
    assert set(portfolio) >= PORTFOLIO_FIELDS, PORTFOLIO_FIELDS - set(portfolio)
    for name in PORTFOLIO_FIELDS - {"id", "name", "holdings"}:
        assert MONEY.fullmatch(portfolio[name]), (name, portfolio[name])
    for holding in portfolio["holdings"]:
        assert set(holding) >= HOLDING_FIELDS, HOLDING_FIELDS - set(holding)
        assert type(holding["quantity"]) is int
        assert PRICE.fullmatch(holding["average_price"])
        assert PRICE.fullmatch(holding["last_price"])
        assert MONEY.fullmatch(holding["market_value"])
        assert MONEY.fullmatch(holding["unrealised_pnl"])
    worth = sum(Decimal(holding["market_value"]) for holding in portfolio["holdings"])
    assert Decimal(portfolio["market_value"]) == worth
    assert Decimal(portfolio["total_value"]) == Decimal(portfolio["cash"]) + worth


def no_floats(value: Any, path: str = "") -> None:
    """Money and prices are strings; quantities integers: a JSON number with a fraction is neither."""
    assert not isinstance(value, Decimal), f"{path} is a fractional JSON number: {value}"
    if isinstance(value, dict):
        for name, part in value.items():
            no_floats(part, f"{path}.{name}")
    if isinstance(value, list):
        for number, part in enumerate(value):
            no_floats(part, f"{path}[{number}]")


def token_parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Header and payload of a JWT, and its signature as it stands."""
    header, payload, signature = token.split(".")
    return json.loads(unpad(header)), json.loads(unpad(payload)), signature


def unpad(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pad(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
