"""Notifications, webhooks and alerts, as the contract has them."""

import pytest
from contract_client import INSTANT, UUID7, until

NOTIFICATION_FIELDS = {"id", "kind", "title", "body", "count", "read", "created_at", "updated_at", "read_at"}


def kinds(user):
    return {item["kind"] for item in user.pages("/notifications")}


def test_an_order_is_told_once_it_is_filled(world, admin, user):
    world.set_price("NSE:INFY", "1500.00")
    order = user.place("BUY", "NSE:INFY", 3)
    admin.call("POST", "/admin/execution/run").expect(202)
    until(lambda: user.order(order["id"])["status"] == "FILLED", "the order is filled")
    until(lambda: {"order_accepted", "order_filled", "funds"} <= kinds(user), "the user is told")
    told = list(user.pages("/notifications"))
    (filled,) = [item for item in told if item["kind"] == "order_filled"]
    assert set(filled) == NOTIFICATION_FIELDS
    assert "3" in filled["title"]
    assert "NSE:INFY" in filled["title"]
    assert UUID7.fullmatch(filled["id"])
    assert INSTANT.fullmatch(filled["created_at"])
    assert len([item for item in told if item["kind"] == "funds"]) == 1
    read = user.call("POST", f"/notifications/{filled['id']}/read").expect(200)
    assert read["read"] is True
    assert filled["id"] not in {item["id"] for item in user.pages("/notifications?unread=true")}
    until(
        lambda: {row["status"] for row in user.get(f"/notifications/{filled['id']}/deliveries")["items"]} == {"SENT"},
        "the mail is sent",
    )
    (mail,) = user.get(f"/notifications/{filled['id']}/deliveries")["items"]
    assert (mail["channel"], mail["attempts"]) == ("email", 1)


def test_anothers_messages_webhooks_and_alerts_do_not_exist(user, standing_user):
    until(lambda: "funds" in kinds(user), "the deposit is told")
    (item,) = [item for item in user.pages("/notifications") if item["kind"] == "funds"]
    alert = user.post("/alerts", {"instrument": "NSE:INFY", "condition": "above", "price": "9000.00"})
    for method, path in (
        ("POST", f"/notifications/{item['id']}/read"),
        ("GET", f"/notifications/{item['id']}/deliveries"),
        ("DELETE", f"/alerts/{alert['id']}"),
        ("DELETE", f"/webhooks/{item['id']}"),
    ):
        standing_user.call(method, path).refused(404, "not_found")
    assert item["id"] not in {other["id"] for other in standing_user.pages("/notifications")}
    assert [row["id"] for row in user.pages("/alerts")] == [alert["id"]]
    user.call("DELETE", f"/alerts/{alert['id']}").expect(204)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/",
        "https://2130706433/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "http://example.com/",
        "mailto://a:b@example.com",
    ],
)
def test_webhooks_go_to_the_open_internet_alone(standing_user, url):
    standing_user.call("POST", "/webhooks", {"url": url}).refused(422)


def test_wishes_are_kept_and_may_be_sent_back(user):
    shown = user.get("/notifications/preferences")
    shown["events"]["funds"]["email"] = "off"
    shown["language"] = "hi"
    assert user.call("PUT", "/notifications/preferences", shown).expect(200) == shown
    assert user.get("/notifications/preferences") == shown
    user.call("PUT", "/notifications/preferences", {"contacts": {"sms": "tgram://x/1"}}).refused(422)


def test_an_alert_is_told_when_its_price_comes(world, user):
    world.set_price("NSE:INFY", "1500.00")
    user.post("/alerts", {"instrument": "NSE:INFY", "condition": "above", "price": "1510.00"})
    world.set_price("NSE:INFY", "1512.00")
    until(lambda: "price_alert" in kinds(user), "the alert is told")
    world.set_price("NSE:INFY", "1500.00")
    (alert,) = user.pages("/alerts")
    assert (alert["status"], alert["fired_price"]) == ("fired", "1512.00")


def test_administrators_speak_to_everybody_and_users_do_not(admin, user):
    body = {"title": "Contract broadcast", "body": "Hello."}
    user.call("POST", "/admin/notifications/broadcast", body).refused(403)
    until(lambda: "funds" in kinds(user), "the user is known")
    first = admin.call("POST", "/admin/notifications/broadcast", body, key="contract-1").expect(202)
    again = admin.call("POST", "/admin/notifications/broadcast", body, key="contract-1").expect(202)
    assert first["recipients"] <= again["recipients"]
    titles = [item["title"] for item in user.pages("/notifications")]
    assert titles.count("Contract broadcast") == 1
