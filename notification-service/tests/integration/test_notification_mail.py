"""Mail by a real SMTP server: what is written on it, and what becomes of it."""

import mailbox
from email import message_from_bytes
from email.policy import default

import pytest

from saras_common.events import UserLoggedIn
from saras_common.ids import new_id

HOSTILE = [
    "Mallory\r\nBcc: everyone@example.com",
    "Mallory\nContent-Type: text/html\n\n<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)</script>',
    "Mallory\u2028Bcc: x@example.com",
    "Mallory\u0085Bcc: x@example.com",
    "{{ 7 * 7 }}{% for x in y %}",
    '"Mallory" <other@example.com>,',
    "=?utf-8?q?Bcc:_x?=",
    "\u202eMallory",
]


@pytest.fixture
def post(open_desk, mail_server):
    return open_desk(smtp_port=mail_server.port, settle_s=0)


def test_a_fill_arrives_as_text_and_html(post, mail_server):
    user = post.person(email="asha@example.com")
    post.tell(post.order(user))
    assert post.send_due() == 1
    (envelope,) = mail_server.taken
    assert envelope.rcpt_tos == ["asha@example.com"]
    message = message_from_bytes(envelope.content, policy=default)
    (item,) = post.inbox(user)
    (delivery,) = post.deliveries(user, item["id"])
    assert message["Subject"] == item["title"]
    assert message["Message-ID"] == f"<{delivery['id']}@saras.local>"
    assert item["body"] in message.get_body(("plain",)).get_content()
    assert f"<p>{item['body']}</p>" in message.get_body(("html",)).get_content()
    assert (delivery["status"], delivery["attempts"], delivery["answer"]) == ("SENT", 1, "250 taken as 42")
    assert post.send_due() == 0


def test_a_hindi_reader_gets_hindi(post, mail_server):
    user = post.person()
    post.choose(user, language="hi")
    post.tell(post.funds(user))
    post.send_due()
    message = message_from_bytes(mail_server.taken[0].content, policy=default)
    assert message["Subject"] == "₹1,000.00 प्राप्त हुए"
    assert '<html lang="hi">' in message.get_body(("html",)).get_content()


def test_a_hostile_name_or_agent_breaks_neither_headers_nor_html(post, mail_server):
    for name in HOSTILE:
        mail_server.taken.clear()
        send_hostile(post, name)
        check_harmless(mail_server)


def send_hostile(post, name):
    user = post.person(name, email="mallory@example.com")
    post.tell(
        UserLoggedIn(at=post.clock.now(), user_id=user, session_id=new_id(), new_device=True, address=name, agent=name)
    )
    post.send_due()


def check_harmless(mail_server):
    (envelope,) = mail_server.taken
    assert envelope.rcpt_tos == ["mallory@example.com"]
    message = message_from_bytes(envelope.content, policy=default)
    assert set(message.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Saras-Delivery"),
        *("MIME-Version", "Content-Type"),
    }
    assert [address.addr_spec for address in message["To"].addresses] == ["mallory@example.com"]
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    html = message.get_body(("html",)).get_content()
    assert "<script" not in html
    assert "<img" not in html
    assert "49" not in html


def test_a_hostile_broadcast_is_one_subject_and_no_markup(post, mail_server):
    user = post.person()
    body = {"title": "Sale <b>now</b>", "body": "First line\n<script>alert(1)</script>"}
    answer = post.call("POST", "/admin/notifications/broadcast", new_id(), roles=("admin",), json=body)
    assert answer.json()["recipients"] == 1
    post.send_due()
    message = message_from_bytes(mail_server.taken[0].content, policy=default)
    assert message["Subject"] == "Sale <b>now</b>"
    html = message.get_body(("html",)).get_content()
    assert "<b>" not in html
    assert "<script" not in html
    for title in ("a\r\nBcc: x", "a\nb", "a\x00b"):
        refused = post.call(
            "POST", "/admin/notifications/broadcast", new_id(), roles=("admin",), json={"title": title, "body": "x"}
        )
        assert refused.status_code == 422
    assert post.inbox(user)


def test_an_unusable_address_is_given_up(post, mail_server):
    for email in ("a@b@c", "x", "a b@example.com", "a@example.com\r\nRCPT TO:<x@y.example>", "ä@example.com", " "):
        user = post.person(email=email)
        post.tell(post.funds(user))
        post.send_due()
        (delivery,) = post.deliveries(user, post.inbox(user)[0]["id"])
        assert delivery["status"] == "FAILED", email
    assert mail_server.taken == []


def test_a_refusal_for_now_is_tried_again_and_one_for_good_is_not(post, mail_server):
    later, never = post.person(email="later@example.com"), post.person(email="never@example.com")
    mail_server.refuse = {"later@example.com": "451 busy", "never@example.com": "550 no such user"}
    post.tell(post.funds(later), post.funds(never))
    assert post.send_due() == 2
    waits, dead = (post.deliveries(user, post.inbox(user)[0]["id"])[0] for user in (later, never))
    assert (waits["status"], waits["answer"]) == ("PENDING", "451 busy")
    assert (dead["status"], dead["answer"], dead["next_at"]) == ("FAILED", "550 no such user", None)
    mail_server.refuse = {}
    assert post.send_due() == 0
    post.clock.advance(10)
    assert post.send_due() == 1
    (sent,) = post.deliveries(later, post.inbox(later)[0]["id"])
    assert (sent["status"], sent["attempts"]) == ("SENT", 2)


def test_a_server_that_is_away_costs_tries_and_then_the_delivery(open_desk):
    desk = open_desk(smtp_port=1, settle_s=0, attempts=3, backoff_s=1)
    user = desk.person()
    desk.tell(desk.funds(user))
    for _ in range(5):
        desk.send_due()
        desk.clock.advance(60)
    (dead,) = desk.deliveries(user, desk.inbox(user)[0]["id"])
    assert (dead["status"], dead["attempts"], dead["answer"]) == ("FAILED", 3, "no answer: ConnectionRefusedError")


def test_a_person_not_yet_known_gets_the_mail_once_they_are(post, mail_server):
    user = new_id()
    post.tell(post.funds(user))
    post.send_due()
    assert mail_server.taken == []
    post.tell(post.user_changed(user, email="new@example.com"))
    post.clock.advance(10)
    post.send_due()
    assert mail_server.taken[0].rcpt_tos == ["new@example.com"]


def test_the_digest_gathers_a_day(post, mail_server):
    user = post.person()
    post.choose(user, digest_at="12:00", events={"funds": {"email": "digest"}})
    for amount in range(1, 61):
        post.tell(post.funds(user, amount * 100))
    assert post.gather_digests() == 0
    post.clock.advance(3600 * 2)  # 12:30 in India
    assert post.gather_digests() == 1
    assert post.gather_digests() == 0
    assert post.send_due() == 1
    (envelope,) = mail_server.taken
    message = message_from_bytes(envelope.content, policy=default)
    assert message["Subject"] == "Your day at Saras: 60 messages"
    text = message.get_body(("plain",)).get_content()
    assert "₹1.00 received" in text
    assert "And 10 more." in text
    inbox = post.inbox(user, "?limit=500")
    assert len(inbox) == 60
    assert {post.deliveries(user, item["id"])[0]["status"] for item in inbox} == {"DIGESTED"}


def test_without_a_server_mail_goes_into_a_folder(open_desk, tmp_path):
    desk = open_desk(smtp_host=None, mail_folder=tmp_path / "mail", settle_s=0)
    user = desk.person(email="asha@example.com")
    desk.tell(desk.funds(user))
    desk.send_due()
    (message,) = mailbox.Maildir(tmp_path / "mail")
    assert message["To"] == "Asha Rao <asha@example.com>"


def test_a_channel_that_is_not_set_up_is_not_used(open_desk):
    desk = open_desk(smtp_host=None)
    user = desk.person()
    desk.tell(desk.funds(user))
    assert desk.deliveries(user, desk.inbox(user)[0]["id"]) == []


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
def test_chats_go_through_the_operators_template(open_desk, receiver):
    address = f"json://127.0.0.1:{receiver.port}/chat/{{to}}"
    desk = open_desk(telegram_url=address, sms_url=address, smtp_host=None, settle_s=0)
    user = desk.person()
    desk.choose(user, contacts={"telegram": "123456789", "sms": "+919812345678"})
    desk.tell(desk.funds(user))
    desk.send_due()
    assert [request.path for request in receiver.received] == ["/chat/123456789"]  # funds are not for SMS
    receiver.answer = lambda _request: (500, {})
    desk.tell(desk.order(user, "REJECTED"))
    assert desk.send_due() == 2
    assert {request.path for request in receiver.received} == {"/chat/123456789", "/chat/+919812345678"}
    found = desk.deliveries(user, desk.inbox(user)[0]["id"])
    assert {item["status"] for item in found} == {"PENDING"}
    assert {item["answer"] for item in found} == {"the provider did not accept it"}


def test_a_retry_respects_quiet_hours_too(post, mail_server):
    user = post.person(email="asha@example.com")
    post.choose(user, quiet_hours={"from": "10:31", "to": "12:00"})  # a minute from now, in India
    mail_server.refuse = {"asha@example.com": "451 busy"}
    post.clock.advance(55)
    post.tell(post.funds(user))
    post.send_due()
    (waits,) = post.deliveries(user, post.inbox(user)[0]["id"])
    assert (waits["status"], waits["next_at"]) == ("PENDING", "2026-03-02T06:30:00Z")
