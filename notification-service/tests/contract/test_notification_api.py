"""The edge: shapes, refusals, pages, who may call."""

import pytest

from saras_common.ids import new_id


def test_standard_wishes_cover_every_kind_and_channel_and_may_be_sent_back(desk):
    user = desk.person()
    shown = desk.call("GET", "/notifications/preferences", user).json()
    assert shown["language"] == "en"
    assert shown["time_zone"] == "Asia/Kolkata"
    assert shown["quiet_hours"] is None
    assert len(shown["events"]) == 17
    assert {len(modes) for modes in shown["events"].values()} == {8}
    assert shown["events"]["order_filled"]["email"] == "on"
    assert shown["events"]["order_accepted"]["email"] == "off"
    assert desk.choose(user, **shown) == shown


def test_wishes_are_replaced_as_a_whole(desk):
    user = desk.person()
    chosen = desk.choose(
        user,
        language="hi",
        time_zone="Europe/London",
        quiet_hours={"from": "22:00", "to": "07:30"},
        digest_at="18:05",
        contacts={"sms": "+919812345678", "telegram": "-100123456789", "slack": "U012ABCDEF"},
        events={"funds": {"email": "digest", "in_app": "off"}},
    )
    assert desk.call("GET", "/notifications/preferences", user).json() == chosen
    assert chosen["quiet_hours"] == {"from": "22:00", "to": "07:30"}
    assert chosen["events"]["funds"]["email"] == "digest"
    assert chosen["events"]["funds"]["webhook"] == "on"
    again = desk.choose(user)
    assert again["language"] == "en"
    assert again["contacts"] == {}
    other = desk.call("GET", "/notifications/preferences", new_id()).json()
    assert other["contacts"] == {}


def test_wishes_that_make_no_sense_are_refused(desk):
    user = desk.person()
    for body in (
        {"language": "fr"},
        {"time_zone": "Mars/Base"},
        {"time_zone": "../../etc/passwd"},
        {"quiet_hours": {"from": "22:00"}},
        {"quiet_hours": {"from": "24:00", "to": "07:00"}},
        {"quiet_hours": {"from": "7:00", "to": "08:00"}},
        {"digest_at": "8"},
        {"events": {"nothing": {"email": "on"}}},
        {"events": {"digest": {"email": "on"}}},
        {"events": {"funds": {"pigeon": "on"}}},
        {"events": {"funds": {"email": "maybe"}}},
        {"events": {"funds": {"in_app": "digest"}}},
        {"contacts": {"sms": "9812345678"}},
        {"contacts": {"sms": "tgram://token/1"}},
        {"contacts": {"sms": "+919812345678/x"}},
        {"contacts": {"telegram": "12345?silent=no"}},
        {"contacts": {"slack": "#general"}},
        {"contacts": {"slack": "mailto://a:b@c"}},
        {"contacts": {"push": "x y z 1 2 3 4"}},
        {"contacts": {"push": "json://10.0.0.1/"}},
        {"contacts": {"email": "other@example.com"}},
        {"contacts": {"webhook": "https://example.com"}},
        {"colour": "red"},
    ):
        answer = desk.call("PUT", "/notifications/preferences", user, json=body)
        assert answer.status_code == 422, body
        assert answer.json()["code"] == "invalid_input"


def test_the_inbox_is_paged_newest_first(desk):
    user = desk.person()
    for amount in range(1, 8):
        desk.tell(desk.funds(user, amount * 100))
    first = desk.call("GET", "/notifications?limit=5", user).json()
    rest = desk.call("GET", f"/notifications?limit=5&cursor={first['next_cursor']}", user).json()
    assert [item["title"] for item in first["items"] + rest["items"]] == [
        f"₹{amount}.00 received" for amount in range(7, 0, -1)
    ]
    assert rest["next_cursor"] is None
    assert set(first["items"][0]) == {
        *("id", "kind", "title", "body", "count", "read", "created_at", "updated_at", "read_at")
    }
    assert desk.call("GET", "/notifications?cursor=x", user).status_code == 422
    assert desk.call("GET", "/notifications?limit=501", user).status_code == 422


def test_reading_twice_is_reading_once(desk):
    user = desk.person()
    desk.tell(desk.funds(user))
    (item,) = desk.inbox(user)
    first = desk.call("POST", f"/notifications/{item['id']}/read", user).json()
    desk.clock.advance(60)
    assert desk.call("POST", f"/notifications/{item['id']}/read", user).json() == first


def test_the_inbox_speaks_the_readers_language(desk):
    user = desk.person()
    desk.tell(desk.funds(user, -5000))
    assert desk.inbox(user)[0]["title"] == "₹50.00 paid out"
    desk.choose(user, language="hi")
    assert desk.inbox(user)[0]["title"] == "₹50.00 का भुगतान हुआ"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/notifications"),
        ("GET", "/notifications/preferences"),
        ("PUT", "/notifications/preferences"),
        ("POST", "/notifications/x/read"),
        ("GET", "/notifications/x/deliveries"),
        ("GET", "/webhooks"),
        ("POST", "/webhooks"),
        ("DELETE", "/webhooks/x"),
        ("GET", "/alerts"),
        ("POST", "/alerts"),
        ("DELETE", "/alerts/x"),
        ("POST", "/admin/notifications/broadcast"),
    ],
)
def test_nobody_unknown_gets_in(module_desk, method, path):
    assert module_desk.client.request(method, path, json={}).status_code == 401
    assert module_desk.call(method, path, new_id(), roles=("anonymous",), json={}).status_code == 401
    if path.startswith("/admin"):
        assert module_desk.call(method, path, new_id(), json={"title": "x", "body": "y"}).status_code == 403


def test_a_broadcast_reaches_the_active_and_repeats_by_key_only_once(desk):
    active, disabled = desk.person(), desk.person(status="disabled")
    body = {"title": "Markets closed", "body": "Holiday tomorrow.\nSee you on Tuesday."}
    for key in ("a", "a", "b"):
        answer = desk.call(
            "POST",
            "/admin/notifications/broadcast",
            new_id(),
            roles=("admin",),
            json=body,
            headers={"Idempotency-Key": key},
        )
        assert (answer.status_code, answer.json()) == (202, {"id": key, "recipients": 1})
    assert [item["title"] for item in desk.inbox(active)] == ["Markets closed"] * 2
    assert desk.inbox(disabled) == []


def test_row_security_holds_even_for_a_query_that_forgot_the_user(desk):
    user, other = desk.person(), desk.person()
    desk.hook(user, "http://127.0.0.1:9/")
    desk.choose(user, language="hi")
    desk.tell(desk.funds(user))
    desk.call("POST", "/alerts", user, json={"instrument": "NSE:X", "condition": "above", "price": "1"})
    for table in ("people", "preferences", "notifications", "deliveries", "webhooks", "alerts"):
        counts = []
        for reader in (user, other):
            with desk.context.database.for_users(reader) as session:
                statement = f"SELECT count(*) FROM {table} WHERE user_id <> '{other}'"
                counts.append(session.connection().exec_driver_sql(statement).scalar())
        assert counts[0] > 0, table
        assert counts[1] == 0, table
