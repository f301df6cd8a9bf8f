"""One of everything a user can have, made over HTTP, with marks in it that stand nowhere else.

A mark in an answer to somebody else is a leak, whatever the status says.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from prove.house import House, Person, Reply, until

UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
SHARES = ("NSE:INFY", "NSE:TCS", "NSE:ITC")
OVER = frozenset({"COMPLETED", "COMPLETED_ADJUSTED", "FAILED", "CANCELLED"})
TABLE_OF = {
    "user": "user_service.users",
    "session": "user_service.sessions",
    "order": "portfolio_service.orders",
    "portfolio": "portfolio_service.portfolios",
    "movement": "portfolio_service.movements",
    "trade": "portfolio_service.recorded_trades",
    "smallcase": "smallcase_service.smallcases",
    "investment": "smallcase_service.investments",
    "run": "smallcase_service.runs",
    "sip": "smallcase_service.sips",
    "notification": "notification_service.notifications",
    "delivery": "notification_service.deliveries",
    "webhook": "notification_service.webhooks",
    "alert": "notification_service.alerts",
    "report": "analytics_service.reports",
    "batch": "trade_executor.batches",
    "rejected": "analytics_service.rejected_trades",
    "key": "",
}
"""Every kind of object that has an id, and the table it lives in; the last is an idempotency key."""

OWNER_COLUMN = {"user": "id", "smallcase": "owner_id", "report": "owner_id"}
"""Where it is not ``user_id``."""

OF_NOBODY = frozenset({"batch", "key"})
"""A batch is of many users, a key has no id."""


@dataclass
class Belongings:
    """A person with one of everything at least."""

    person: Person
    tag: str
    ids: dict[str, list[str]]
    """Kind → ids, the newest last."""
    marks: set[str] = field(default_factory=set)
    """Texts of theirs, ids left out."""
    cursors: dict[str, str] = field(default_factory=dict)
    """Path of a list → a cursor into theirs."""

    def find_marks(self, reply: Reply, *, but: frozenset[str] = frozenset()) -> list[str]:
        """What of theirs stands in an answer, header or body."""
        text = reply.text + "".join(reply.headers.values())
        return [mark for mark in (*self.marks, *self._every_id) if mark in text and mark not in but]

    def __post_init__(self) -> None:
        self._every_id = {each for kind, ids in self.ids.items() if kind != "batch" for each in ids}


def furnish(house: House, admin: Person, tag: str, seed: int) -> Belongings:
    """A new user with everything. Prices and amounts with odd paise are marks as well."""
    draw = random.Random(f"{seed} {tag}")
    odd = [f"{draw.randrange(1_000_000, 9_999_999) / 100:.2f}" for _ in range(3)]
    phone = f"+9198{draw.randrange(10**7, 10**8)}"
    person = house.new_person(f"{tag} Marked", phone=phone)
    house.run_window(admin)
    person.do("POST", "/funds/deposit", {"amount": "5000000.00"}, [("Idempotency-Key", f"{tag}-deposit")])
    person.do("POST", "/funds/deposit", {"amount": odd[0]})
    person.do("POST", "/funds/withdraw", {"amount": odd[1]})
    person.do("POST", "/portfolio", {"name": f"{tag} shelf"})
    trade = {"instrument": SHARES[0], "side": "BUY", "quantity": 3}
    person.do("POST", "/trades", {**trade, "price": "1499.95"})
    person.do("POST", "/trades", {**trade, "price": "9000.00"})  # set aside as too far from the market
    person.do("POST", "/me/totp/enroll")
    person.do("PUT", "/notifications/preferences", {"contacts": {"sms": phone}})
    order = {"instrument": "NSE:WIPRO", "quantity": 7, "order_type": "LIMIT", "price": _below(person, "NSE:WIPRO")}
    for number in range(2):
        person.do("POST", "/buy", order, [("Idempotency-Key", f"{tag}-buy-{number}")])
    person.do("POST", "/buy", {"instrument": SHARES[0], "quantity": 2, "order_type": "MARKET"})
    kyc = {
        "pan": "ABCPK" + f"{draw.randrange(1000, 9999)}F",
        "date_of_birth": "1990-04-01",
        "address": f"{tag} street, {draw.randrange(10**6)}",
        "bank_account": str(draw.randrange(10**11, 10**12)),
        "ifsc": "HDFC0001234",
    }
    person.do("PUT", "/me/kyc", kyc)
    hook = {"url": f"http://127.0.0.1:9/{tag}/{draw.randrange(10**9)}", "kinds": ["webhook_disabled"]}
    person.do("POST", "/webhooks", {**hook, "url": f"{hook['url']}/spare"})
    person.do("POST", "/webhooks", hook)
    alert = {"instrument": SHARES[1], "condition": "above", "price": "98765.40"}
    person.do("POST", "/alerts", {**alert, "price": "98765.45"})
    person.do("POST", "/alerts", alert)
    person.do("POST", "/reports", {"name": "positions"})
    basket = {
        "name": f"{tag} basket",
        "description": f"what {tag} believes in",
        "visibility": "private",
        "weighting": "equal",
        "constituents": [{"instrument": name} for name in SHARES],
    }
    person.do("POST", "/smallcase", {**basket, "name": f"{tag} spare"})
    case = person.do("POST", "/smallcase", basket)["id"]
    key = [("Idempotency-Key", f"{tag}-invest")]
    answer = person.do("POST", f"/smallcase/{case}/invest", {"amount": "300000.00"}, key)
    path = f"/investments/{answer['basket_id']}/runs/{answer['run_id']}"

    def is_over() -> bool:
        house.run_window(admin)
        return person.do("GET", path)["status"] in OVER

    until(is_over, "the basket is bought")
    start = {"amount": "50000.00", "frequency": "monthly", "start_on": "2099-01-05"}
    person.do("POST", f"/smallcase/{case}/sip", start)
    person.do("PUT", f"/smallcase/{case}", {**basket, "constituents": basket["constituents"][:2]})  # an offer
    until(lambda: person.do("GET", "/notifications")["items"], "a notification")
    made = Belongings(person, tag, {})
    made.marks |= {person.email, phone, *odd, tag, *(kyc[name] for name in ("pan", "address", "bank_account"))}
    until(lambda: _is_settled(house, made), "everything is there")
    read_ids(house, made)
    made.marks |= {mark.upper() for mark in made.marks} | {mark.lower() for mark in made.marks}
    made.__post_init__()
    return made


def _below(person: Person, instrument: str) -> str:
    """A limit that will not be met for now."""
    last = float(person.do("GET", f"/quotes?instruments={instrument}")["items"][0]["last_price"])
    return f"{round(last * 0.6):d}.00"


def _is_settled(house: House, made: Belongings) -> bool:
    with house.look() as database:
        open_runs = "SELECT count(*) FROM smallcase_service.runs WHERE state IN ('QUEUED', 'SELLING', 'BUYING')"
        held = "SELECT count(*) FROM analytics_service.reports WHERE status IN ('queued', 'running')"
        open_orders = (
            "SELECT count(*) FROM portfolio_service.orders WHERE user_id = %s AND order_type = 'MARKET'"
            " AND status NOT IN ('FILLED', 'REJECTED', 'CANCELLED', 'EXPIRED')"
        )
        told = (
            "SELECT count(*) > 0 AND bool_and(state IN ('SENT', 'FAILED', 'HELD', 'DIGESTED'))"
            " FROM notification_service.deliveries WHERE user_id = %s"
        )
        return (
            database.execute(open_runs.encode()).fetchone() == (0,)
            and database.execute(held.encode()).fetchone() == (0,)
            and database.execute(open_orders.encode(), [made.person.id]).fetchone() == (0,)
            and database.execute(told.encode(), [made.person.id]).fetchone() == (True,)
        )


def read_ids(house: House, made: Belongings) -> None:
    """What the person owns, from the database itself."""
    with house.look() as database:
        for kind, table in TABLE_OF.items():
            if kind in OF_NOBODY:
                continue
            query = f"SELECT id::text FROM {table} WHERE {OWNER_COLUMN.get(kind, 'user_id')} = %s ORDER BY id"
            made.ids[kind] = [row[0] for row in database.execute(query.encode(), [made.person.id])]
        made.ids["batch"] = [row[0] for row in database.execute(b"SELECT id::text FROM trade_executor.batches")]
        for row in database.execute(
            b"SELECT key FROM portfolio_service.idempotency_keys WHERE user_id = %s AND key !~ '^[[:cntrl:]]'",
            [made.person.id],  # a run's own keys begin with what nobody can send
        ):
            made.ids.setdefault("key", []).append(row[0])


def every_id(made: Belongings) -> Iterator[tuple[str, str]]:
    """``(kind, id)``."""
    for kind, ids in made.ids.items():
        for each in ids:
            yield kind, each


def read_cursors(made: Belongings, lists: list[str]) -> None:
    """A cursor into each of the person's lists that has more than one row."""
    for path in lists:
        body: Any = made.person.ask("GET", f"{path}?limit=1").body
        if isinstance(body, dict) and body.get("next_cursor"):
            made.cursors[path] = body["next_cursor"]
