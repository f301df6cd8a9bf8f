"""The administrator's side: windows, blocks, faults at the broker, halt, certificates, reconciliation, market data."""

import hashlib
import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest
from contract_client import ENDED, INSTANT, MONEY, PRICE, UUID7, User, World, check_order, until

BATCH_FIELDS = {
    *("id", "status", "reason", "opened_at", "closed_at", "user_orders", "broker_orders", "saved", "blocks"),
}
BLOCK_FIELDS = {
    *("id", "instrument", "side", "quantity", "filled_quantity", "average_price", "value", "charges"),
    *("broker_order_ids", "allocations"),
}
ALLOCATION_FIELDS = {"order_id", "user_id", "requested", "allocated", "credit"}
WINDOW_S = 10.0
JOURNAL_FIELDS = {
    *("seq", "at", "event", "order_id", "tag", "exchange", "tradingsymbol", "transaction_type", "product"),
    *("quantity", "price", "trade_id"),
}
EVENTS = {"order_accepted", "order_rejected", "order_modified", "order_cancelled", "fill"}


def quiet(world: World, admin: User) -> None:
    """Nothing waits to be sent, so that the next fault meets this test's orders alone."""
    until(lambda: world.trigger(admin) is None and admin.get("/admin/execution")["queue_depth"] == 0, "quiet", 40)


def accepted(world: World, instrument: str) -> list:
    """Orders the broker took in this instrument."""
    return [
        row
        for row in world.journal()
        if row["event"] == "order_accepted" and f"{row['exchange']}:{row['tradingsymbol']}" == instrument
    ]


def queued(*orders: tuple[User, str]) -> None:
    until(lambda: all(user.order(order)["status"] != "ACCEPTED" for user, order in orders), "queued")


def block_of(batch: dict, instrument: str, side: str = "BUY") -> dict:
    (block,) = [row for row in batch["blocks"] if (row["instrument"], row["side"]) == (instrument, side)]
    return block


@pytest.fixture(scope="module")
def crowd(world: World) -> list[User]:
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(lambda _: world.new_user(), range(3)))


def test_execution_state(admin: User):
    state = admin.get("/admin/execution")
    assert state["mode"] == "sandbox"
    assert state["halted"] is False
    assert type(state["queue_depth"]) is int
    assert {"broker_session", "window", "leader"} <= set(state)
    assert state["leader"]


def test_the_trigger_of_an_empty_window_is_null(world: World, admin: User):
    quiet(world, admin)
    answer = admin.call("POST", "/admin/execution/run")
    assert answer.expect(202) == {"batch_id": None}


def test_a_window_closes_by_itself(world: World, admin: User, user: User):
    instrument = world.fresh_instrument()
    quiet(world, admin)
    order = user.place("BUY", instrument, 1)
    until(lambda: user.order(order["id"])["status"] == "FILLED", "filled without a trigger", WINDOW_S + 15)
    batch = world.batch_of(admin, user.order(order["id"]))
    assert batch["reason"] != "manual"
    opened, closed = (datetime.fromisoformat(batch[name]) for name in ("opened_at", "closed_at"))
    assert (closed - opened).total_seconds() > WINDOW_S / 2


def test_many_users_one_broker_order(world: World, admin: User, crowd: list[User]):
    instrument = world.fresh_instrument("1234.50")
    seller = world.new_user()
    world.buy_shares(admin, seller, instrument, 9)
    before = len(accepted(world, instrument))
    orders = [
        (user, user.place("BUY", instrument, count)["id"]) for user, count in zip(crowd, (7, 11, 13), strict=True)
    ]
    orders.append((seller, seller.place("SELL", instrument, 9)["id"]))
    queued(*orders)
    batch_id = world.trigger(admin)
    assert UUID7.fullmatch(batch_id)
    until(lambda: all(user.order(order)["status"] == "FILLED" for user, order in orders), "filled", 30)
    batch = until(lambda: (b := admin.get(f"/admin/batches/{batch_id}"))["status"] == "DONE" and b, "done")
    assert set(batch) >= BATCH_FIELDS
    assert (batch["user_orders"], batch["broker_orders"]) == (4, 2)
    assert set(batch["saved"]) >= {"orders", "rupees", "seconds"}
    assert batch["saved"]["orders"] == 2
    assert INSTANT.fullmatch(batch["opened_at"])
    assert INSTANT.fullmatch(batch["closed_at"])
    buys, sells = block_of(batch, instrument), block_of(batch, instrument, "SELL")
    for block in (buys, sells):
        assert set(block) >= BLOCK_FIELDS
        assert all(set(row) >= ALLOCATION_FIELDS for row in block["allocations"])
        assert len(block["broker_order_ids"]) == 1
        assert PRICE.fullmatch(block["average_price"])
        assert MONEY.fullmatch(block["value"])
    assert (buys["quantity"], buys["filled_quantity"], buys["average_price"]) == (31, 31, "1234.50")
    assert {row["order_id"]: row["allocated"] for row in buys["allocations"]} == {
        order: count for (_, order), count in zip(orders[:3], (7, 11, 13), strict=True)
    }
    assert {row["user_id"] for row in buys["allocations"]} == {user.id for user in crowd}
    # Charges are computed once, on the block, and shared without a paisa lost; everyone has one price.
    mine = [user.order(order) for user, order in orders[:3]]
    for order in mine:
        check_order(order)
        assert order["average_price"] == "1234.50"
        assert order["batch_id"] == batch_id
    charged = buys["charges"]["total"] if isinstance(buys["charges"], dict) else buys["charges"]
    assert sum(Decimal(order["charges"]["total"]) for order in mine) == Decimal(charged)
    assert Decimal(buys["value"]) == 31 * Decimal("1234.50")
    # Two broker orders, the sale first.
    sent = accepted(world, instrument)[before:]
    assert [(row["transaction_type"], row["quantity"]) for row in sent] == [("SELL", 9), ("BUY", 31)]
    assert [row["order_id"] for row in sent] == sells["broker_order_ids"] + buys["broker_order_ids"]
    listed = next(row for row in admin.pages("/admin/batches") if row["id"] == batch_id)
    assert listed["id"] == batch_id


def seven_eleven_thirteen(crowd: list[User], instrument: str) -> list[tuple[User, str]]:
    wants = zip(crowd, (7, 11, 13), strict=True)
    return [(user, user.place("BUY", instrument, count)["id"]) for user, count in wants]


def certificate_of(admin: User, batch_id: str) -> dict:
    return admin.get(f"/admin/batches/{batch_id}/certificate")


def test_partial_fills_are_shared_fairly(world: World, admin: User, crowd: list[User]):
    """7, 11, 13 of which half is filled: 15 × d/31 is 3.39, 5.32, 6.29; the odd lot is the first one's."""
    quiet(world, admin)
    instrument = world.fresh_instrument("1000.00")
    before = [user.cash() for user in crowd]
    world.fault("partial:0.5")
    orders = [
        (user, user.place("BUY", instrument, count)["id"]) for user, count in zip(crowd, (7, 11, 13), strict=True)
    ]
    world.trade(admin, *orders, statuses={"PARTIALLY_FILLED"})
    assert [user.order(order)["filled_quantity"] for user, order in orders] == [4, 5, 6]
    assert [user.shares(instrument) for user in crowd] == [4, 5, 6]
    for user, order in orders:
        check_order(user.order(order))
        assert user.held() > 0
    # One gives up the rest; it keeps what it has.
    crowd[0].call("DELETE", f"/orders/{orders[0][1]}").expect(200, 202, 204)
    until(lambda: crowd[0].order(orders[0][1])["status"] == "CANCELLED", "the rest is cancelled", 30)
    assert crowd[0].shares(instrument) == crowd[0].order(orders[0][1])["filled_quantity"] == 4
    assert crowd[0].held() == 0
    # The next price fills the others.
    world.set_price(instrument, "1000.00")
    world.at_sandbox("POST", "/sandbox/prices", {instrument: "1000.00"})
    until(lambda: all(user.order(order)["status"] == "FILLED" for user, order in orders[1:]), "the rest fills", 30)
    assert [user.shares(instrument) for user in crowd] == [4, 11, 13]
    done = [user.order(order) for user, order in orders]
    batch = until(lambda: (b := world.batch_of(admin, done[0]))["status"] == "DONE" and b, "the batch ends", 30)
    block = block_of(batch, instrument)
    done = [user.order(order) for user, order in orders]
    paid = [cash - user.cash() for cash, user in zip(before, crowd, strict=True)]
    charges = [Decimal(order["charges"]["total"]) for order in done]
    assert paid == [count * 1000 + each for count, each in zip((4, 11, 13), charges, strict=True)]
    charged = block["charges"]["total"] if isinstance(block["charges"], dict) else block["charges"]
    assert sum(charges) == Decimal(charged)
    assert Decimal(block["value"]) == 28_000
    assert sum(row["quantity"] for row in accepted(world, instrument)) == 31
    certificate = json.dumps(certificate_of(admin, batch["id"]), default=str)
    assert len(set(re.findall(r"\b[0-9a-f]{64}\b", certificate))) >= 2
    assert all(order in certificate for _, order in orders)


def test_a_missed_lot_is_made_good_in_the_next_block(world: World, admin: User, crowd: list[User]):
    """Three ask for one lot, the broker fills one, three times over: credit gives each of them one."""
    instrument = world.fresh_instrument("1000.00")
    for _ in range(3):
        quiet(world, admin)
        world.fault("partial:0.34")
        orders = [(user, user.place("BUY", instrument, 1, validity="IOC")["id"]) for user in crowd]
        world.trade(admin, *orders)
        until(lambda done=orders[0]: world.batch_of(admin, crowd[0].order(done[1]))["status"] == "DONE", "batch ends")
    assert [user.shares(instrument) for user in crowd] == [1, 1, 1]
    batch = world.batch_of(admin, crowd[0].order(orders[0][1]))
    block = block_of(batch, instrument)
    assert block["filled_quantity"] == sum(row["allocated"] for row in block["allocations"]) == 1
    assert all(user.held() == 0 for user in crowd)


@pytest.mark.parametrize("kind", ["reject", "refuse"])
def test_what_the_broker_refuses_harms_only_its_block(world: World, admin: User, user: User, kind: str):
    other = world.new_user()
    quiet(world, admin)
    instruments = [world.fresh_instrument("1000.00"), world.fresh_instrument("1000.00")]
    world.fault(kind)
    mine = [user.place("BUY", instrument, 5)["id"] for instrument in instruments]
    theirs = [other.place("BUY", instrument, 5)["id"] for instrument in instruments]
    world.trade(admin, *[(user, order) for order in mine], *[(other, order) for order in theirs])
    ended = [user.order(order) for order in mine]
    assert sorted(order["status"] for order in ended) == ["FILLED", "REJECTED"]
    assert [other.order(order)["status"] for order in theirs] == [order["status"] for order in ended]
    (rejected,) = [order for order in ended if order["status"] == "REJECTED"]
    assert rejected["status_reason"]
    assert rejected["filled_quantity"] == 0
    assert rejected["charges"]["total"] == "0.00"
    assert user.held() == 0
    assert rejected["id"] not in [row.get("order_id") for row in user.pages("/transactions")]
    (filled,) = [order for order in ended if order["status"] == "FILLED"]
    assert user.cash() == Decimal(1000000) - 5000 - Decimal(filled["charges"]["total"])


LOST_ANSWERS = [
    ("http_500", "timeout_before_accept", "timeout_after_accept", "reset_after_accept", "late_visibility:3"),
    ("truncated", "redirect", "http_502_html", "http_400_timed_out", "http_429", "reset_before_accept", "delay:1"),
]


@pytest.mark.parametrize("kinds", LOST_ANSWERS, ids=["silence", "nonsense"])
def test_lost_answers_place_nothing_twice(world: World, admin: User, user: User, kinds: tuple[str, ...]):
    """As many blocks as kinds of lost or late answer: each is filled, each stands once in the broker's journal."""
    quiet(world, admin)
    instruments = [world.fresh_instrument("1000.00") for _ in kinds]
    for kind in kinds:
        world.fault(kind)
    orders = [(user, user.place("BUY", instrument, 2)["id"]) for instrument in instruments]
    world.trade(admin, *orders, statuses={"FILLED"}, timeout_s=90)
    assert world.at_sandbox("GET", "/sandbox/faults")["items"] == [], "every fault was met"
    for instrument in instruments:
        assert len(accepted(world, instrument)) == 1, instrument
        assert user.shares(instrument) == 2
    assert user.held() == 0


def test_a_dead_token_keeps_orders_until_the_login(world: World, admin: User, user: User):
    quiet(world, admin)
    instrument = world.fresh_instrument("1000.00")
    before = admin.get("/admin/execution")["broker_session"]
    world.fault("token_expired")
    order = user.place("BUY", instrument, 3)
    queued((user, order["id"]))
    world.trigger(admin)
    until(lambda: admin.get("/admin/execution")["broker_session"] != before, "the session is known to be dead")
    later = user.place("BUY", instrument, 2)
    assert user.order(order["id"])["status"] not in ENDED
    assert user.held() > 0
    assert accepted(world, instrument) == []
    answer = admin.call("POST", "/admin/broker/session", {"request_token": "not-a-token"})
    assert 400 <= answer.status < 500, answer
    answer.refused(answer.status)
    assert accepted(world, instrument) == []
    login_at_broker(world, admin)
    until(lambda: admin.get("/admin/execution")["broker_session"]["state"] == before["state"], "logged in again")
    until(lambda: user.order(order["id"])["status"] == "FILLED", "sent after the login", 40)
    world.trade(admin, (user, later["id"]), statuses={"FILLED"})
    assert sorted(row["quantity"] for row in accepted(world, instrument)) in ([2, 3], [5])
    assert user.shares(instrument) == 5


def login_at_broker(world: World, admin: User) -> None:
    """Kite's daily login as a person does it: follow the address, bring back the request token."""
    url = admin.get("/admin/broker/login-url")["url"]
    assert url.startswith(world.sandbox)
    page = world.session.get(url, headers={"Accept": "application/json"}, timeout=10)
    admin.call("POST", "/admin/broker/session", {"request_token": page.json()["request_token"]}).expect(200, 201)


def test_halt_and_resume(world: World, admin: User, user: User):
    quiet(world, admin)
    instrument = world.fresh_instrument("1000.00")
    kept, dropped = user.place("BUY", instrument, 3), user.place("BUY", instrument, 4)
    queued((user, kept["id"]), (user, dropped["id"]))
    admin.call("POST", "/admin/execution/halt", {}).refused(422)
    try:
        admin.call("POST", "/admin/execution/halt", {"reason": "a drill"}).expect(200, 202, 204)
        until(lambda: admin.get("/admin/execution")["halted"], "halted", 1)
        during = user.place("BUY", instrument, 5)
        answer = admin.call("POST", "/admin/execution/run")
        assert answer.status in (202, 409), answer
        user.call("DELETE", f"/orders/{dropped['id']}").expect(200, 202, 204)
        until(lambda: user.order(dropped["id"])["status"] == "CANCELLED", "cancel works while halted")
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            assert accepted(world, instrument) == []
            time.sleep(0.2)
        for order in (kept, during):
            seen = user.order(order["id"])
            assert seen["status"] not in ENDED, seen
    finally:
        admin.call("POST", "/admin/execution/resume").expect(200, 202, 204)
    until(lambda: not admin.get("/admin/execution")["halted"], "resumed", 5)
    world.trade(admin, (user, kept["id"]), (user, during["id"]), statuses={"FILLED"})
    assert sum(row["quantity"] for row in accepted(world, instrument)) == 8
    assert user.shares(instrument) == 8


def check_balanced(report: dict) -> None:
    assert set(report) >= {"balanced", "at", "instruments", "cash"}
    assert report["balanced"] is True, report
    assert INSTANT.fullmatch(report["at"])
    for row in report["instruments"]:
        assert set(row) >= {"instrument", "users", "unallocated", "broker", "difference"}
        assert row["difference"] == 0
        assert row["users"] + row["unallocated"] == row["broker"]
    cash = report["cash"]
    assert set(cash) >= {"users", "unallocated", "broker", "difference"}
    assert all(MONEY.fullmatch(value) for value in cash.values())
    assert cash["difference"] == "0.00"
    assert Decimal(cash["users"]) + Decimal(cash["unallocated"]) == Decimal(cash["broker"])


def test_reconciliation(world: World, admin: User, user: User):
    instrument = world.fresh_instrument("1000.00")
    world.buy_shares(admin, user, instrument, 6)
    quiet(world, admin)
    report = admin.call("POST", "/admin/reconciliation/run").expect(200, 202)
    check_balanced(report)
    assert next(row["users"] for row in report["instruments"] if row["instrument"] == instrument) == 6
    latest = admin.get("/admin/reconciliation")
    check_balanced(latest)
    assert latest["at"] >= report["at"]


def test_certificates_are_for_administrators_and_chained(world: World, admin: User, user: User):
    first = world.buy_shares(admin, user, world.fresh_instrument(), 1)
    second = world.buy_shares(admin, user, world.fresh_instrument(), 1)
    for order in (first, second):
        path = f"/admin/batches/{order['batch_id']}/certificate"
        user.call("GET", path).refused(403)
        text = json.dumps(admin.get(path), default=str)
        assert order["id"] in text
        assert re.search(r"\b[0-9a-f]{64}\b", text)
    hashes = [
        set(re.findall(r"\b[0-9a-f]{64}\b", json.dumps(certificate_of(admin, order["batch_id"]), default=str)))
        for order in (first, second)
    ]
    assert hashes[0] & hashes[1], "the second names the first's hash"


def test_mark_price_quotes_and_instruments(world: World, admin: User, user: User):
    instrument = world.fresh_instrument("1000.00")
    row = user.get(f"/instruments?q={quote(instrument.split(':')[1])}")["items"][0]
    assert row["instrument"] == instrument
    assert PRICE.fullmatch(row["tick_size"])
    assert "lot_size" in row
    items = user.get(f"/quotes?instruments={quote(instrument)},NSE:INFY")["items"]
    assert [item["instrument"] for item in items] == [instrument, "NSE:INFY"]
    assert items[0]["last_price"] == "1000.00"
    world.buy_shares(admin, user, instrument, 2)
    admin.call("POST", "/admin/mark-price", {"instrument": instrument, "price": "1111.50"}).expect(200, 201, 202)
    until(lambda: world.last_price(instrument) == "1111.50", "marked")
    order = user.place("SELL", instrument, 2)
    world.trade(admin, (user, order["id"]), statuses={"FILLED"})
    assert user.order(order["id"])["average_price"] == "1111.50"
    admin.call("POST", "/admin/mark-price", {"instrument": "NSE:NOSUCH", "price": "1.00"}).expect(404, 422)
    for query in ("", "?instruments=", "?instruments=nonsense", "?instruments=NSE:NOSUCH"):
        answer = user.call("GET", f"/quotes{query}")
        assert answer.status in (404, 422) or (answer.status == 200 and not answer.body["items"]), answer


def test_postbacks_are_hints(world: World, admin: User, user: User, home: Path):
    instrument = world.fresh_instrument("1000.00")
    order = user.place("BUY", instrument, 5, "LIMIT", price="900.00")
    world.trade(admin, (user, order["id"]), statuses={"WORKING"})
    (placed,) = accepted(world, instrument)
    secret = json.loads((home / "secrets.json").read_text())["sandbox_api_secret"]
    body = {
        "user_id": "ZS0001",
        "order_id": placed["order_id"],
        "order_timestamp": "2026-03-02 10:00:00",
        "exchange_timestamp": "2026-03-02 10:00:00",
        "status": "COMPLETE",
        "tag": placed["tag"],
        "exchange": "NSE",
        "tradingsymbol": instrument.split(":")[1],
        "transaction_type": "BUY",
        "quantity": 5,
        "filled_quantity": 5,
        "average_price": 900,
        "guid": "x",
    }
    checksum = hashlib.sha256((body["order_id"] + body["order_timestamp"] + secret).encode()).hexdigest()
    for wrong in ("", "0" * 64, checksum[:-1], checksum.upper() + "0", None, 5):
        answer = world.public.call("POST", "/broker/postback", {**body, "checksum": wrong})
        assert 400 <= answer.status < 500, answer
        answer.refused(answer.status)
    world.public.call("POST", "/broker/postback", {**body, "order_id": "1", "checksum": checksum}).expect(400, 401, 403)
    for raw in (b"", b"{", b"[]", b"NaN", b'{"checksum": "x"}', b"\xff", b"[" * 50_000):
        answer = world.public.call("POST", "/broker/postback", raw=raw)
        assert 400 <= answer.status < 500, answer
    for _ in range(3):
        world.public.call("POST", "/broker/postback", {**body, "checksum": checksum}).expect(200, 202, 204)
    for status in ("REJECTED", "CANCELLED", "UPDATE", "NEVER SEEN"):
        world.public.call("POST", "/broker/postback", {**body, "status": status, "checksum": checksum}).expect(
            200, 202, 204
        )
    user.call("DELETE", f"/orders/{order['id']}").expect(200, 202, 204)
    done = until(lambda: (o := user.order(order["id"]))["status"] in ENDED and o, "cancelled", 30)
    assert (done["status"], done["filled_quantity"]) == ("CANCELLED", 0)
    assert user.cash() == 1000000
    assert user.held() == 0


def test_the_journal_is_whole_and_nothing_was_placed_twice(world: World, admin: User):
    """Over everything this file did: one order a tag, one broker order a block's id, fills as the books say."""
    rows = world.journal()
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    for row in rows:
        assert set(row) >= JOURNAL_FIELDS, row
        assert row["event"] in EVENTS
        assert INSTANT.fullmatch(row["at"])
    placed = [row for row in rows if row["event"] == "order_accepted"]
    assert placed, "nothing was traded before: run the whole file"
    assert Counter(row["tag"] for row in placed).most_common(1)[0][1] == 1
    assert all(len(row["tag"]) <= 20 and row["tag"].isalnum() for row in placed)
    trades = [row["trade_id"] for row in rows if row["event"] == "fill"]
    assert len(set(trades)) == len(trades)
    blocks = [block for batch in admin.pages("/admin/batches") for block in batch["blocks"]]
    named = [order_id for block in blocks for order_id in block["broker_order_ids"]]
    # A REJECTED in the book is an order too, though never accepted.
    refused = {row["order_id"] for row in rows if row["event"] == "order_rejected"}
    assert sorted(named) == sorted({row["order_id"] for row in placed} | refused)
    filled = Counter()
    for row in rows:
        if row["event"] == "fill":
            filled[row["order_id"]] += row["quantity"]
    for block in blocks:
        assert block["filled_quantity"] == sum(filled[order_id] for order_id in block["broker_order_ids"])
        assert block["filled_quantity"] == sum(row["allocated"] for row in block["allocations"])
        assert len(block["broker_order_ids"]) <= 1, block


def test_the_books_still_balance(world: World, admin: User):
    report = admin.call("POST", "/admin/reconciliation/run").expect(200, 202)
    assert report["balanced"] is True, report
    assert report["cash"]["difference"] == "0.00"
    users = {row["instrument"]: row["users"] for row in report["instruments"] if row["users"]}
    net = Counter()
    for row in world.journal():
        if row["event"] == "fill":
            sign = 1 if row["transaction_type"] == "BUY" else -1
            net[f"{row['exchange']}:{row['tradingsymbol']}"] += sign * row["quantity"]
    assert users == {name: count for name, count in net.items() if count}
