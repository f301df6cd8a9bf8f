"""Webhooks against a real receiver; targets nobody may make us reach."""

import itertools
import json
import socket

import pytest

from notification_service.domain.signing import REPLAY_WINDOW_S, is_genuine
from notification_service.senders import addresses
from saras_common.ids import new_id


@pytest.fixture
def post(open_desk):
    return open_desk(smtp_host=None, settle_s=0, backoff_s=10)


def only_delivery(desk, user):
    return desk.deliveries(user, desk.inbox(user)[-1]["id"])[0]


def test_a_webhook_is_signed_and_carries_its_key(post, receiver):
    user = post.person()
    hook = post.hook(user, receiver.url)
    post.tell(post.order(user))
    assert post.send_due() == 1
    (request,) = receiver.received
    body = json.loads(request.body)
    delivery = only_delivery(post, user)
    assert request.headers["Idempotency-Key"] == body["id"] == delivery["id"]
    assert (body["kind"], body["title"]) == ("order_filled", "Filled: BUY 5 NSE:INFY")
    now = int(post.clock.now().timestamp())
    header = request.headers["Saras-Signature"]
    assert is_genuine(hook["secret"], header, request.body, now)
    assert not is_genuine(hook["secret"], header, request.body + b" ", now)
    assert not is_genuine(hook["secret"] + "x", header, request.body, now)
    assert not is_genuine(hook["secret"], header, request.body, now + REPLAY_WINDOW_S + 1)
    assert not is_genuine(hook["secret"], header.replace("t=", "t=1"), request.body, now)
    assert (delivery["status"], delivery["answer"]) == ("SENT", "HTTP 200")


def test_only_the_kinds_asked_for_are_sent(post, receiver):
    user = post.person()
    post.hook(user, receiver.url, "funds")
    post.tell(post.order(user), post.funds(user))
    post.send_due()
    assert [json.loads(request.body)["kind"] for request in receiver.received] == ["funds"]


def test_retries_carry_the_same_key(post, receiver):
    user = post.person()
    post.hook(user, receiver.url)
    receiver.answer = lambda _request: (503 if len(receiver.received) < 4 else 200, {})
    post.tell(post.funds(user))
    for _ in range(6):
        post.send_due()
        post.clock.advance(3600)
    assert len(receiver.received) == 4
    assert len({request.headers["Idempotency-Key"] for request in receiver.received}) == 1
    assert len({request.headers["Saras-Signature"] for request in receiver.received}) == 4
    assert only_delivery(post, user)["attempts"] == 4


def test_pauses_double(post, receiver):
    user = post.person()
    post.hook(user, receiver.url)
    receiver.answer = lambda _request: (500, {})
    post.tell(post.funds(user))
    tries = []
    for second in range(200):
        if post.send_due():
            tries.append(second)
        post.clock.advance(1)
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    for number, pause in enumerate(pauses):
        assert 5 * 2**number <= pause <= 10 * 2**number + 1
    assert len(pauses) >= 3


def test_a_webhook_that_fails_for_long_is_disabled_and_its_owner_told(post, receiver):
    user = post.person()
    hook = post.hook(user, receiver.url)
    receiver.answer = lambda _request: (500, {})
    post.tell(post.funds(user))
    post.send_due()
    post.clock.advance(71 * 3600)
    post.tell(post.funds(user))
    post.send_due()
    assert post.call("GET", "/webhooks", user).json()["items"][0]["status"] == "active"
    post.clock.advance(2 * 3600)
    post.tell(post.funds(user))
    post.send_due()
    (shown,) = post.call("GET", "/webhooks", user).json()["items"]
    assert (shown["id"], shown["status"], shown["reason"]) == (hook["id"], "disabled", "HTTP 500")
    assert "secret" not in shown
    newest = post.inbox(user)[0]
    assert newest["kind"] == "webhook_disabled"
    before = len(receiver.received)
    post.tell(post.funds(user))
    post.clock.advance(24 * 3600)
    post.send_due()
    assert len(receiver.received) == before


def test_one_success_forgives_the_past(post, receiver):
    user = post.person()
    post.hook(user, receiver.url)
    status = [500]
    receiver.answer = lambda _request: (status[0], {})
    post.tell(post.funds(user))
    post.send_due()
    status[0] = 200
    post.clock.advance(71 * 3600)
    post.send_due()
    status[0] = 500
    post.clock.advance(3600)
    post.tell(post.funds(user))
    post.send_due()
    post.clock.advance(2 * 3600)
    post.send_due()
    assert post.call("GET", "/webhooks", user).json()["items"][0]["status"] == "active"


def test_a_redirect_is_not_followed(post, receiver):
    user = post.person()
    post.hook(user, receiver.url)
    receiver.answer = lambda _request: (302, {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"})
    post.tell(post.funds(user))
    post.send_due()
    assert [request.path for request in receiver.received] == ["/hook"]
    delivery = only_delivery(post, user)
    assert (delivery["status"], delivery["answer"]) == ("FAILED", "HTTP 302: redirects are not followed")


INSIDE = [
    "https://127.0.0.1/",
    "https://localhost/",
    "https://10.0.0.8/",
    "https://172.16.3.4/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://0/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://017700000001/",
    "https://127.1/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a00:1]/",
    "https://[::127.0.0.1]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
]
MALFORMED = [
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "json://example.com/",
    "https://",
    "https:///x",
    "https://user@example.com/",
    "https://user:pass@example.com/",
    "https://example.com@127.0.0.1/",
    "https://example.com\\@127.0.0.1/",
    "https://127.0.0.1%2eexample.com/",
    "https://example.com:99999/",
    "https://example.com:0/",
    "https://example.com/#x",
    "https://exa mple.com/",
    "https://example.com/\r\nX: y",
    "https://ex\u0430mple.com/",
    "//example.com/",
    "x",
    "https://" + "a" * 3000,
]


def test_targets_inside_or_malformed_are_refused(open_desk):
    desk = open_desk(allow_loopback=False)
    for url in [*INSIDE, *MALFORMED]:
        answer = desk.call("POST", "/webhooks", new_id(), json={"url": url})
        assert answer.status_code == 422, url
        assert answer.json()["code"] in {"webhook_refused", "invalid_input"}
        assert "127.0.0.1" not in answer.text


def test_the_test_switch_opens_the_loopback_and_nothing_else(desk):
    for url in [*INSIDE, "http://10.0.0.8/", "http://example.invalid/"]:
        if not any(name in url for name in ("127.0.0.1/", "localhost", "[::1]", "2130706433", "0x7f", "0177", "127.1")):
            answer = desk.call("POST", "/webhooks", new_id(), json={"url": url})
            assert answer.status_code == 422, url


def test_a_name_that_resolves_inside_later_is_refused_then(open_desk, monkeypatch):
    desk = open_desk(allow_loopback=False, smtp_host=None, settle_s=0)
    seen = ["93.184.216.34"]

    def look_up(host, port, **_terms):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (seen[0], port))]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", look_up)
    user = desk.person()
    desk.hook(user, "https://rebind.example/")
    desk.tell(desk.funds(user))
    seen[0] = "127.0.0.1"
    desk.send_due()
    delivery = only_delivery(desk, user)
    assert delivery["status"] == "FAILED"
    assert "not on the open internet" in delivery["answer"]


def test_one_address_inside_among_many_refuses_the_name(open_desk, monkeypatch):
    desk = open_desk(allow_loopback=False)

    def look_up(host, port, **_terms):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", look_up)
    assert desk.call("POST", "/webhooks", new_id(), json={"url": "https://two.example/"}).status_code == 422


def test_the_connection_goes_to_the_address_that_was_checked(post, receiver, monkeypatch):
    """The second look-up of a rebinding name would answer otherwise; there is none."""
    user = post.person()
    post.hook(user, f"http://localhost:{receiver.port}/hook")
    looked = []

    def look_up(host, port, **_terms):
        looked.append(host)
        assert len(looked) == 1, "looked up again"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    genuine = socket.getaddrinfo
    monkeypatch.setattr(
        addresses.socket,
        "getaddrinfo",
        lambda host, *rest, **terms: (
            look_up(host, rest[0], **terms) if host == "localhost" else genuine(host, *rest, **terms)
        ),
    )
    post.tell(post.funds(user))
    post.send_due()
    assert looked == ["localhost"]
    (request,) = receiver.received
    assert request.headers["Host"] == f"localhost:{receiver.port}"


def test_an_answer_that_drips_is_cut(open_desk, settings_of):
    listener = socket.create_server(("127.0.0.1", 0))
    desk = open_desk(smtp_host=None, settle_s=0, send_timeout_s=0.5)
    user = desk.person()
    desk.hook(user, f"http://127.0.0.1:{listener.getsockname()[1]}/")
    desk.tell(desk.funds(user))
    desk.send_due()  # taken by the kernel, never answered
    listener.close()
    assert only_delivery(desk, user)["answer"].startswith("no answer")


def test_anothers_webhook_alert_and_message_do_not_exist(post, receiver):
    user, other = post.person(), post.person()
    hook = post.hook(user, receiver.url)
    alert = post.call(
        "POST", "/alerts", user, json={"instrument": "NSE:INFY", "condition": "above", "price": "1600.00"}
    ).json()
    post.tell(post.funds(user))
    (item,) = post.inbox(user)
    assert post.inbox(other) == []
    for method, path in [
        ("DELETE", f"/webhooks/{hook['id']}"),
        ("DELETE", f"/alerts/{alert['id']}"),
        ("POST", f"/notifications/{item['id']}/read"),
        ("GET", f"/notifications/{item['id']}/deliveries"),
    ]:
        assert post.call(method, path, other).status_code == 404
        assert post.call(method, path.replace(item["id"], "x"), other).status_code == 404
    assert post.call("GET", "/webhooks", other).json()["items"] == []
    assert post.call("GET", "/alerts", other).json()["items"] == []
    assert (
        post.call("POST", "/admin/notifications/broadcast", user, json={"title": "x", "body": "y"}).status_code == 403
    )
    for method, path in [("DELETE", f"/webhooks/{hook['id']}"), ("DELETE", f"/alerts/{alert['id']}")]:
        assert post.call(method, path, user).status_code == 204


def test_removing_a_webhook_gives_up_what_waits_for_it(post, receiver):
    user = post.person()
    hook = post.hook(user, receiver.url)
    post.tell(post.funds(user))
    assert post.call("DELETE", f"/webhooks/{hook['id']}", user).status_code == 204
    assert post.send_due() == 0
    assert only_delivery(post, user)["status"] == "FAILED"
    assert receiver.received == []


def test_webhooks_are_few(post, receiver):
    user = post.person()
    for _ in range(10):
        post.hook(user, receiver.url)
    answer = post.call("POST", "/webhooks", user, json={"url": receiver.url})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")
