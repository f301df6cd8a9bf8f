"""Every fault kind at the order routes, over a real socket."""

import socket
import struct
import time
from contextlib import suppress

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect import exceptions as ex

TERMS = {
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "quantity": "10",
    "product": "CNC",
    "order_type": "LIMIT",
    "price": "1400",
    "tag": "T1",
}

ACCEPTED_AND_LOST = [
    "timeout_after_accept",
    "reset_after_accept",
    "http_500",
    "http_502_html",
    "http_400_timed_out",
    "truncated",
    "redirect",
]
NEVER_SEEN = ["timeout_before_accept", "reset_before_accept", "http_429", "refuse", "token_expired"]


def place(kite):
    return kite.place_order(
        "regular",
        "NSE",
        "INFY",
        "BUY",
        10,
        "CNC",
        "LIMIT",
        price=1400,
        tag="T1",
    )


def impatient(server, kite):
    return KiteConnect("sandbox", access_token=kite.access_token, root=server.url, timeout=(1, 0.7))


def raw_place(server, kite):
    return server.call(
        "POST",
        "/orders/regular",
        data=TERMS,
        headers={"Authorization": f"token sandbox:{kite.access_token}"},
        allow_redirects=False,
    )


@pytest.mark.parametrize("kind", ACCEPTED_AND_LOST)
def test_accepted_but_the_answer_is_lost(server, kite, kind):
    server.fault("place_order", kind)
    with pytest.raises((ex.KiteException, requests.RequestException)):
        place(impatient(server, kite))
    assert [(item["event"], item["tag"]) for item in server.journal()] == [("order_accepted", "T1")]
    assert [order["tag"] for order in kite.orders()] == ["T1"]
    place(kite)
    assert len(kite.orders()) == 2


@pytest.mark.parametrize("kind", NEVER_SEEN)
def test_refused_or_lost_before_it_is_accepted(server, kite, log_in, kind):
    server.fault("place_order", kind)
    with pytest.raises((ex.KiteException, requests.RequestException)):
        place(impatient(server, kite))
    assert server.journal() == []
    if kind == "token_expired":
        with pytest.raises(ex.TokenException):
            kite.orders()
        kite = log_in(server)
    assert kite.orders() == []
    place(kite)
    assert len(kite.orders()) == 1


@pytest.mark.parametrize(
    ("kind", "status", "error_type"),
    [
        ("http_500", 500, "GeneralException"),
        ("http_400_timed_out", 400, "OrderException"),
        ("http_429", 429, "NetworkException"),
        ("refuse", 400, "InputException"),
        ("token_expired", 403, "TokenException"),
    ],
)
def test_refusals_wear_the_envelope(server, kite, kind, status, error_type):
    server.fault("place_order", kind)
    answer = raw_place(server, kite)
    assert (answer.status_code, answer.json()["error_type"]) == (status, error_type)


def test_bad_gateway_is_html_and_redirect_is_a_302(server, kite):
    server.fault("place_order", "http_502_html")
    answer = raw_place(server, kite)
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (502, "text/html")
    server.fault("place_order", "redirect")
    answer = raw_place(server, kite)
    assert answer.status_code == 302
    assert answer.headers["location"]


def talk(server, kite, *, wait_s=5.0):
    """Bytes of the answer, and how the connection ended."""
    host, port = server.url.removeprefix("http://").split(":")
    body = "&".join(f"{name}={value}" for name, value in TERMS.items())
    request = (
        f"POST /orders/regular HTTP/1.1\r\nHost: {host}\r\nAuthorization: token sandbox:{kite.access_token}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    with socket.create_connection((host, int(port)), timeout=wait_s) as sock:
        sock.sendall(request.encode())
        received = b""
        try:
            while chunk := sock.recv(4096):
                received += chunk
        except ConnectionResetError:
            return received, "reset"
        except TimeoutError:
            return received, "silence"
        return received, "closed"


def test_reset_is_a_tcp_reset(server, kite):
    for kind in ("reset_after_accept", "reset_before_accept"):
        server.fault("place_order", kind)
        assert talk(server, kite) == (b"", "reset")


def test_truncated_is_a_short_body(server, kite):
    server.fault("place_order", "truncated")
    received, ending = talk(server, kite)
    head, _, body = received.partition(b"\r\n\r\n")
    announced = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert ending == "closed"
    assert 0 < len(body) < announced


def test_timeout_is_silence(server, kite):
    server.fault("place_order", "timeout_after_accept")
    assert talk(server, kite, wait_s=0.7) == (b"", "silence")
    assert len(server.journal()) == 1


def test_reject_comes_later_in_the_book(server, kite):
    server.fault("place_order", "reject")
    order_id = place(kite)
    [order] = kite.orders()
    assert (order["order_id"], order["status"]) == (order_id, "REJECTED")
    assert order["status_message"]
    assert [step["status"] for step in kite.order_history(order_id)] == [
        "PUT ORDER REQ RECEIVED",
        "VALIDATION PENDING",
        "REJECTED",
    ]
    assert [item["event"] for item in server.journal()] == ["order_rejected"]
    assert kite.margins("equity")["net"] == 10_000_000


def test_partial_leaves_the_rest_open_until_the_next_price(server, kite):
    server.fault("place_order", "partial:0.35")
    kite.place_order("regular", "NSE", "INFY", "BUY", 10, "CNC", "MARKET", market_protection=-1)
    [order] = kite.orders()
    assert (order["status"], order["filled_quantity"], order["pending_quantity"]) == ("OPEN", 3, 7)
    assert (order["order_type"], order["price"], order["tags"]) == ("LIMIT", 1530, ["mktp", "mktp:2.00"])
    server.post("/sandbox/prices", {"NSE:INFY": "1540.00"})
    assert kite.orders()[0]["filled_quantity"] == 3
    server.post("/sandbox/prices", {"NSE:INFY": "1520.00"})
    [order] = kite.orders()
    assert (order["status"], order["average_price"]) == ("COMPLETE", (3 * 1500 + 7 * 1520) / 10)


def test_partial_of_an_ioc_cancels_the_rest(server, kite):
    server.fault("place_order", "partial:0.5")
    kite.place_order("regular", "NSE", "INFY", "BUY", 10, "CNC", "LIMIT", price=1500, validity="IOC")
    [order] = kite.orders()
    assert (order["status"], order["filled_quantity"], order["cancelled_quantity"]) == ("CANCELLED", 5, 5)


def test_partial_of_nothing(server, kite):
    server.fault("place_order", "partial:0")
    kite.place_order("regular", "NSE", "INFY", "BUY", 10, "CNC", "MARKET", market_protection=-1)
    assert (kite.orders()[0]["status"], kite.orders()[0]["filled_quantity"]) == ("OPEN", 0)
    server.post("/sandbox/prices", {"NSE:INFY": "1500.00"})
    assert kite.orders()[0]["status"] == "COMPLETE"


def test_late_visibility(server, kite):
    server.fault("place_order", "late_visibility:0.8")
    order_id = place(kite)
    assert kite.orders() == kite.trades() == []
    with pytest.raises(ex.DataException):
        kite.order_history(order_id)
    time.sleep(0.9)
    assert [order["order_id"] for order in kite.orders()] == [order_id]


def test_a_read_can_miss_young_orders(server, kite):
    order_id = place(kite)
    server.fault("orders", "late_visibility:60")
    assert kite.orders() == []
    assert [order["order_id"] for order in kite.orders()] == [order_id]


def test_faults_set_together_hit_one_call_together(server, kite):
    server.fault("place_order", "timeout_after_accept")
    server.fault("place_order", "late_visibility:1")
    with pytest.raises(requests.ReadTimeout):
        place(impatient(server, kite))
    assert kite.orders() == []
    time.sleep(0.5)
    assert len(kite.orders()) == 1


def test_delay_is_carried_out_though_the_client_has_left(server, kite):
    server.fault("place_order", "delay:1.2")
    with pytest.raises(requests.ReadTimeout):
        place(impatient(server, kite))
    assert kite.orders() == []
    time.sleep(0.9)
    assert len(kite.orders()) == 1


def test_after_and_count(server, kite):
    server.fault("place_order", "refuse", count=2, after=1)
    outcomes = []
    for _ in range(4):
        with suppress(ex.InputException):
            place(kite)
        outcomes.append(len(kite.orders()))
    assert outcomes == [1, 1, 1, 2]
    assert server.call("GET", "/sandbox/faults").json() == {"items": []}


@pytest.mark.parametrize("kind", ACCEPTED_AND_LOST)
def test_cancel_is_carried_out_and_its_answer_lost(server, kite, kind):
    order_id = place(kite)
    server.fault("cancel_order", kind)
    with pytest.raises((ex.KiteException, requests.RequestException)):
        impatient(server, kite).cancel_order("regular", order_id)
    assert kite.orders()[0]["status"] == "CANCELLED"


def test_refused_changes_leave_the_order_as_it_was(server, kite):
    order_id = place(kite)
    server.fault("modify_order", "reject")
    kite.modify_order("regular", order_id, price=1410)
    server.fault("cancel_order", "reject")
    kite.cancel_order("regular", order_id)
    [order] = kite.orders()
    assert (order["status"], order["price"]) == ("OPEN", 1400)
    history = [step["status"] for step in kite.order_history(order_id)]
    assert "NOT MODIFIED" in history
    assert history[-2:] == ["CANCEL PENDING", "OPEN"]


@pytest.mark.parametrize(
    ("route", "call"),
    [
        ("orders", lambda kite: kite.orders()),
        ("order_history", lambda kite: kite.order_history("1")),
        ("order_trades", lambda kite: kite.order_trades("1")),
        ("trades", lambda kite: kite.trades()),
        ("positions", lambda kite: kite.positions()),
        ("holdings", lambda kite: kite.holdings()),
        ("margins", lambda kite: kite.margins()),
        ("quote", lambda kite: kite.quote("NSE:INFY")),
        ("instruments", lambda kite: kite.instruments()),
        ("session", lambda kite: kite.generate_session("x", "y")),
    ],
)
def test_reading_routes_can_fail_too(server, kite, route, call):
    server.fault(route, "http_500")
    with pytest.raises(ex.GeneralException) as failure:
        call(kite)
    assert failure.value.code == 500


@pytest.mark.parametrize(
    "fault",
    [
        {"route": "nowhere", "kind": "refuse", "count": 1},
        {"route": "orders", "kind": "explode", "count": 1},
        {"route": "orders", "kind": "partial:1.5", "count": 1},
        {"route": "orders", "kind": "delay:x", "count": 1},
        {"route": "orders", "kind": "delay", "count": 1},
        {"route": "orders", "kind": "refuse:1", "count": 1},
        {"route": "orders", "kind": "refuse", "count": 0},
        {"route": "orders", "kind": "refuse", "count": True},
        {"route": "orders", "kind": "refuse", "count": 1, "when": "now"},
    ],
)
def test_a_fault_nobody_has_is_refused(server, fault):
    assert server.call("POST", "/sandbox/faults", json=fault).status_code == 400


def test_a_client_that_resets_mid_request_hurts_nobody(server, kite):
    host, port = server.url.removeprefix("http://").split(":")
    for _ in range(20):
        sock = socket.create_connection((host, int(port)))
        sock.sendall(b"POST /orders/regular HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    assert kite.orders() == []


def test_what_is_not_http_gets_the_envelope(server):
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as sock:
        sock.sendall(b"NONSENSE\r\n\r\n")
        received = b""
        while chunk := sock.recv(4096):
            received += chunk
    assert b"400 Bad Request" in received
    assert b'"error_type":"InputException"' in received
