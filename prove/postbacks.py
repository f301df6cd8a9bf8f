"""Postbacks that lie, at the executor's door: whatever comes in, nothing but a reading of the broker follows."""

import hashlib
import random
from collections.abc import Callable
from typing import Any

import psycopg
from fastapi.testclient import TestClient
from prove.campaign import Outcome
from prove.stage import stage

from trade_executor.app import create_app
from trade_executor.testing.platform import Platform

SECRET = "sandbox-secret"  # noqa: S105 - of the sandbox's only account
ORDERS = 12
TOUCHED = frozenset({"leases", "idempotency_keys", "marks", "inbox"})
"""Tables that live by the clock: a lease is renewed, prices move."""

Fields = dict[str, Any]


def checksum(order_id: str, timestamp: str, secret: str) -> str:
    """As the broker signs: SHA-256 of order id, timestamp and secret."""
    return hashlib.sha256(f"{order_id}{timestamp}{secret}".encode()).hexdigest()


def genuine(order: Fields) -> Fields:
    """What the broker itself would send of an order that rests."""
    at = str(order["at"])[:19].replace("T", " ")
    order_id = str(order["order_id"])
    return {
        "order_id": order_id,
        "order_timestamp": at,
        "checksum": checksum(order_id, at, SECRET),
        "status": "OPEN",
        "tradingsymbol": order["tradingsymbol"],
        "quantity": order["quantity"],
        "filled_quantity": 0,
        "tag": order["tag"],
    }


def _flip(text: str, dice: random.Random) -> str:
    place = dice.randrange(len(text))
    return text[:place] + dice.choice([each for each in "0123456789" if each != text[place]]) + text[place + 1 :]


def _wrong_checksum(good: Fields, dice: random.Random) -> Fields:
    return {**good, "status": "COMPLETE", "checksum": _flip(good["checksum"], dice)}


def _other_order(good: Fields, dice: random.Random) -> Fields:
    return {**good, "order_id": _flip(good["order_id"], dice)}


def _other_time(good: Fields, dice: random.Random) -> Fields:
    return {**good, "order_timestamp": f"2031-0{dice.randint(1, 9)}-02 09:15:00"}


def _other_account(good: Fields, dice: random.Random) -> Fields:
    stolen = f"secret-{dice.getrandbits(32)}"
    return {**good, "status": "COMPLETE", "checksum": checksum(good["order_id"], good["order_timestamp"], stolen)}


def _altered(good: Fields, dice: random.Random) -> Fields:
    """Its checksum is right, for the checksum covers none of this."""
    lie = dice.choice(("COMPLETE", "CANCELLED", "REJECTED"))
    return {**good, "status": lie, "filled_quantity": good["quantity"], "average_price": 0.05, "quantity": 10**6}


def _unknown(good: Fields, dice: random.Random) -> Fields:
    order_id = str(dice.randint(10**18, 10**19))
    return {
        **good,
        "order_id": order_id,
        "status": "COMPLETE",
        "checksum": checksum(order_id, good["order_timestamp"], SECRET),
    }


def _stale(good: Fields, dice: random.Random) -> Fields:
    at = f"20{dice.randint(10, 25)}-03-02 09:15:00"
    return {**good, "order_timestamp": at, "checksum": checksum(good["order_id"], at, SECRET), "status": "CANCELLED"}


def _replayed(good: Fields, _dice: random.Random) -> Fields:
    return good


def _misshapen(good: Fields, dice: random.Random) -> Fields:
    return {**good, dice.choice(("order_id", "order_timestamp", "checksum")): dice.choice((None, 5, [], {}, "x" * 99))}


FORGERIES: dict[str, tuple[Callable[[Fields, random.Random], Fields], int]] = {
    "wrong checksum": (_wrong_checksum, 403),
    "checksum of another order": (_other_order, 403),
    "altered time": (_other_time, 403),
    "signed with another account's secret": (_other_account, 403),
    "altered, with its valid checksum": (_altered, 200),
    "of an order nobody has, well signed": (_unknown, 200),
    "stale, well signed": (_stale, 200),
    "replayed": (_replayed, 200),
    "misshapen": (_misshapen, 422),
}
"""How each lies, and how the door answers. One well signed is a hint: the broker is read, and alone believed."""


def forged_postbacks(count: int, seed: int) -> Outcome:
    """``count`` postbacks about orders that rest; every table of the executor is the same after them."""
    outcome, dice = Outcome(), random.Random(seed)
    with stage(window_s=0.1, reconcile_every_s=86_400) as platform:
        platform.start()
        platform.wait(lambda: platform.listed > 0, 60)
        resting = rest_orders(platform)
        with (
            TestClient(create_app(platform.settings), base_url="http://executor") as client,
            psycopg.connect(platform.database.admin_url, autocommit=True) as admin,
        ):
            before, journal = state_of(admin), platform.sandbox.journal()
            kinds = list(FORGERIES)
            for number in range(count):
                kind = kinds[number % len(kinds)]
                lie, wanted = FORGERIES[kind]
                status = client.post("/broker/postback", json=lie(genuine(dice.choice(resting)), dice)).status_code
                if status != wanted:
                    outcome.violate(f"a postback {kind} was answered with {status}")
                outcome.counts[f"postbacks {kind}"] += 1
                outcome.counts["forged or altered postbacks"] += 1
            _look_again(platform)
            outcome.violate(*(f"postbacks changed {name}" for name in changed(before, state_of(admin))))
            if platform.sandbox.journal() != journal:
                outcome.violate("postbacks made something happen at the broker")
            _check_the_oracle(platform, admin, before, outcome)
    return outcome


def rest_orders(platform: Platform) -> list[Fields]:
    """Orders that wait at the broker, far from the price; as its journal tells of them."""
    orders = [
        platform.order("NSE:INFY", 10 + number, order_type="LIMIT", price_paise=1000_00 + 100 * number)
        for number in range(ORDERS)
    ]
    platform.publish(orders)
    platform.wait(lambda: platform.statuses(orders) == {"WORKING"}, 60)
    _look_again(platform)
    return platform.sandbox.journal("order_accepted")


def state_of(admin: psycopg.Connection[Any]) -> dict[str, str]:
    """A digest of every table of the executor."""
    names = admin.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'trade_executor' ORDER BY 1"
    ).fetchall()
    return {
        name: str(
            admin.execute(
                f"SELECT count(*) || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), ''))"
                f" FROM trade_executor.{name} AS t".encode()
            ).fetchall()[0][0]
        )
        for (name,) in names
        if name not in TOUCHED
    }


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Tables that are not what they were."""
    return [name for name in before if before[name] != after[name]]


def _look_again(platform: Platform) -> None:
    """Long enough for a hint to lead to a reading, and for what that tells to leave."""
    platform.wait(lambda: not _waiting(platform), 30)


def _waiting(platform: Platform) -> bool:
    with psycopg.connect(platform.database.admin_url, autocommit=True) as admin:
        admin.execute("SELECT pg_sleep(2)")
        rows = admin.execute("SELECT count(*) FROM trade_executor.outbox WHERE published_at IS NULL").fetchall()
    return bool(rows[0][0])


def _check_the_oracle(
    platform: Platform, admin: psycopg.Connection[Any], before: dict[str, str], outcome: Outcome
) -> None:
    """The broker really fills the orders: that must be seen, or the digests see nothing."""
    platform.sandbox.post("/sandbox/prices", {"NSE:INFY": "950.00"})
    platform.wait(lambda: "fills" in changed(before, state_of(admin)), 60)
    outcome.counts["a true fill was seen by the same digests"] += 1
