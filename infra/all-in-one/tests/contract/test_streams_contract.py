"""`GET /events` and `GET /ws` as the contract has them: the caller's own, resumable without loss, ended in time."""

import json
import threading
import time
from collections import Counter
from decimal import Decimal
from typing import Self

import pytest
import requests
from contract_client import INSTANT, User, World, no_floats, until
from test_contract_conventions import bad_tokens
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

KILLS = 20
ENDED_WITHIN_S = 1.0


class Listener:
    """Reads ``GET /events`` on a thread of its own until closed; goes on from the last id when opened again."""

    def __init__(self, user: User) -> None:
        self._user = user
        self.events: list[dict] = []
        self.last_id: str | None = None
        self.ended = threading.Event()

    def open(self) -> Self:
        headers = {"Authorization": f"Bearer {self._user.token}"}
        if self.last_id is not None:
            headers["Last-Event-ID"] = self.last_id
        self.ended = threading.Event()
        self._answer = requests.get(f"{self._user.origin}/api/v1/events", headers=headers, stream=True, timeout=40)
        assert self._answer.status_code == 200, self._answer.text
        assert self._answer.headers["Content-Type"].split(";")[0] == "text/event-stream"
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        until(lambda: self.last_id is not None or self.ended.is_set(), "the stream says where it begins")
        return self

    def close(self) -> None:
        """Hang up at once, as a killed client does."""
        self._answer.raw._fp.fp.raw._sock.shutdown(2)
        self._thread.join(10)

    def of(self, order_id: str) -> list[dict]:
        return [event["data"] for event in self.events if event["data"].get("id") == order_id]

    def of_orders(self) -> list[dict]:
        return [event for event in self.events if event["kind"] == "order.updated"]

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        if not self.ended.is_set():
            self.close()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for line in self._answer.iter_lines(chunk_size=None, decode_unicode=True):
                if line.startswith(":"):
                    continue
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    continue
                self._take(fields)
                fields = {}
        except (requests.RequestException, AttributeError):
            pass
        finally:
            self._answer.close()
            self.ended.set()

    def _take(self, fields: dict[str, str]) -> None:
        if "id" in fields:
            self.last_id = fields["id"]
        if "data" in fields:
            event = json.loads(fields["data"], parse_float=Decimal)
            assert event["id"] == fields["id"]
            assert event["kind"] == fields["event"]
            self.events.append(event)


def amounts(listener):
    """What its user was told of moved funds, in order."""
    return [event["data"]["amount"] for event in list(listener.events) if event["kind"] == "funds.moved"]


def test_an_order_s_way_is_told_to_its_user_alone(world: World, admin: User, user: User):
    stranger, instrument = world.new_user(), world.fresh_instrument()
    with Listener(user) as mine, Listener(stranger) as theirs:
        order = user.place("BUY", instrument, 3)
        world.trade(admin, (user, order["id"]), statuses={"FILLED"})
        until(lambda: any(data["status"] == "FILLED" for data in mine.of(order["id"])), "the fill is told")
        stranger.call("POST", "/funds/deposit", {"amount": "12.34"}).expect(201)
        until(lambda: "12.34" in amounts(theirs), "the stranger's deposit is told")
    for event in mine.events:
        assert INSTANT.fullmatch(event["at"]), event
        no_floats(event)
    told, stands = mine.of(order["id"])[-1], user.order(order["id"])
    for name in ("instrument", "side", "product", "quantity", "status", "filled_quantity", "average_price", "batch_id"):
        assert told[name] == stands[name], name
    assert told["charges_total"] == stands["charges"]["total"]
    assert {event["kind"] for event in theirs.events} <= {"funds.moved", "notification"}
    assert amounts(theirs) in (["12.34"], ["1000000.00", "12.34"])  # what it paid in at first may be told late
    assert not theirs.of(order["id"])


def test_a_client_killed_and_resumed_misses_and_repeats_nothing(world: World, admin: User):
    user, instrument = world.new_user("50000000.00"), world.fresh_instrument()
    listener, undisturbed = Listener(user).open(), Listener(user).open()
    orders: list[str] = []
    for kill in range(KILLS):
        batch = [{"instrument": instrument, "quantity": 1, "order_type": "MARKET", "side": "BUY"}] * 25
        items = user.call("POST", "/orders/batch", {"orders": batch, "atomic": True}).expect(202)["items"]
        orders += [item["id"] for item in items]
        if kill % 5 == 4:
            world.trigger(admin)
        heard = len(listener.events)
        until(lambda heard=heard: len(listener.events) > heard, "something is told")
        listener.close()
        listener.open()
    world.trade(admin, (user, orders[-1]), statuses={"FILLED"})
    until(lambda: all(user.order(one)["status"] == "FILLED" for one in orders[::25]), "all are filled")
    filled = lambda: {e["data"]["id"] for e in listener.events if e["data"].get("status") == "FILLED"}  # noqa: E731
    until(lambda: filled() == set(orders), "every fill is told")
    until(lambda: undisturbed.of_orders() == listener.of_orders(), "killed and resumed, it heard the same")
    listener.close()
    undisturbed.close()
    ids = [event["id"] for event in listener.events]
    assert len(ids) == len(set(ids)), "an event came twice"
    steps = Counter((e["data"]["id"], e["data"]["status"]) for e in listener.events if e["kind"] == "order.updated")
    assert set(steps.values()) == {1}


@pytest.mark.parametrize("how", ["logout", "disabled"])
def test_the_stream_ends_within_a_second_of_the_session(world: World, admin: User, how: str):
    user = world.new_user(None)
    with Listener(user) as listener, connect(ws(world), additional_headers=bearer(user)) as socket:
        assert json.loads(socket.recv(10))["type"] == "ready"
        if how == "logout":
            user.call("POST", "/logout").expect(200, 204)
        else:
            admin.call("PATCH", f"/admin/users/{user.id}", {"status": "disabled"}).expect(200)
        started = time.monotonic()
        assert listener.ended.wait(5)
        assert time.monotonic() - started < ENDED_WITHIN_S
        with pytest.raises(ConnectionClosed) as closed:
            drain(socket)
        assert time.monotonic() - started < ENDED_WITHIN_S
        assert closed.value.rcvd.code == 4401
    user.call("GET", "/events").refused(401)


def ws(world: World, query: str = "") -> str:
    return world.origin.replace("http://", "ws://") + f"/api/v1/ws{query}"


def bearer(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {user.token}"}


@pytest.mark.parametrize("way", ["header", "subprotocol", "first message"])
def test_the_socket_tells_events_and_quotes(world: World, user: User, way: str):
    instrument = world.fresh_instrument()
    terms = {"header": {"additional_headers": bearer(user)}, "subprotocol": {"subprotocols": ["bearer", user.token]}}
    with connect(ws(world), **terms.get(way, {})) as socket:
        if way == "first message":
            socket.send(json.dumps({"type": "auth", "token": user.token}))
        assert hear(socket, "ready")["user_id"] == user.id
        socket.send(json.dumps({"type": "subscribe", "instruments": [instrument]}))
        assert hear(socket, "subscribed")["instruments"] == [instrument]
        assert [item["instrument"] for item in hear(socket, "quotes")["items"]] == [instrument]
        world.set_price(instrument, "1003.55")
        quotes = hear(socket, "quotes")["items"]
        assert [(item["instrument"], item["last_price"]) for item in quotes] == [(instrument, "1003.55")]
        order = user.place("BUY", instrument, 1, "LIMIT", price="900.00")
        while (event := hear(socket, "event"))["data"].get("id") != order["id"]:
            pass
        assert event["kind"] == "order.updated"
        last = event["id"]
        user.call("DELETE", f"/orders/{order['id']}").expect(200, 202, 204)
        while hear(socket, "event")["data"].get("status") != "CANCELLED":
            pass
    with connect(ws(world, f"?last_event_id={last}"), additional_headers=bearer(user)) as socket:
        assert hear(socket, "ready")["id"] == last
        while (event := hear(socket, "event"))["data"].get("status") != "CANCELLED":
            assert event["id"] != last


def drain(socket) -> None:
    """Whatever was still on its way."""
    while True:
        socket.recv(5)


def hear(socket, kind: str) -> dict:
    """The next message of this type."""
    while (heard := json.loads(socket.recv(15)))["type"] != kind:
        assert heard["type"] in {"event", "quotes"}, heard
    return heard


def test_no_bad_token_opens_a_socket(world: World, standing_user: User):
    for name, authorization in bad_tokens(standing_user).items():
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(ws(world), additional_headers={"Authorization": authorization}),
        ):
            pass
        assert refused.value.response.status_code == 401, name
        assert json.loads(refused.value.response.body)["code"] == "unauthenticated"
    with connect(ws(world, f"?token={standing_user.token}&access_token={standing_user.token}")) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(15)
        assert closed.value.rcvd.code == 4401
