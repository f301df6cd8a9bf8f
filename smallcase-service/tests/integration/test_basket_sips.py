"""Regular investments over a calendar of sessions, holidays and outages."""

from datetime import UTC, datetime

from saras_common.events import SipSkipped
from smallcase_service.usecases import sips

THREE = {"NSE:INFY": "0.5", "NSE:TCS": "0.3", "NSE:ITC": "0.2"}


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def started(door, start_on, frequency="monthly", amount="100000"):
    user = door.user()
    case = user.compose(THREE)
    body = {"amount": amount, "frequency": frequency, "start_on": start_on}
    return user, user.post(f"/smallcase/{case['id']}/sip", body, status=201)


def on(door, text):
    """The watch wakes up then, with fresh prices."""
    door.clock.step(at(text))
    door.mark(dict(door.prices))
    sips.make_instalments(door.context)
    door.fill_all()


def test_an_instalment_waits_for_its_session_and_is_made_once(door):
    user, sip = started(door, "2026-03-03")  # Holi: the session is the next day's
    assert sip["next_on"] == "2026-03-04"
    on(door, "2026-03-03T06:00")
    on(door, "2026-03-04T03:00")  # before the opening
    assert door.book.orders == {}
    on(door, "2026-03-04T04:00")
    on(door, "2026-03-04T05:00")
    (shown,) = user.get("/sips")["items"]
    assert [(one["due_on"], one["status"]) for one in shown["instalments"]] == [("2026-03-03", "invested")]
    assert shown["next_on"] == "2026-04-06"  # the third is Good Friday
    basket = user.get("/investments")["items"][0]
    (run,) = user.get(f"/investments/{basket['id']}/runs")["items"]
    assert (run["kind"], basket["run"]["kind"]) == ("sip", "sip")


def test_a_session_nobody_was_there_for_is_explained_and_not_made_up(door):
    user, _ = started(door, "2026-03-04", "weekly")
    on(door, "2026-03-19T05:00")
    on(door, "2026-03-25T05:00")
    (shown,) = user.get("/sips")["items"]
    told = [(one["due_on"], one["status"]) for one in shown["instalments"]]
    assert told == [("2026-03-25", "invested"), ("2026-03-04", "skipped")]
    assert "had passed" in shown["instalments"][1]["reason"]
    assert [event.due_on.isoformat() for event in door.told(SipSkipped)] == ["2026-03-04"]


def test_what_the_book_or_the_basket_refuses_is_explained(door):
    user, _ = started(door, "2026-03-04")
    door.book.refuses = {"code": "insufficient_funds", "status": 422, "title": "No cash", "detail": "No cash"}
    on(door, "2026-03-04T05:00")
    door.book.refuses = None
    small, _ = started(door, "2026-03-05", amount="10")
    on(door, "2026-03-05T05:00")
    reasons = [p.get("/sips")["items"][0]["instalments"][0]["reason"] for p in (user, small)]
    assert reasons[0].startswith("insufficient_funds")
    assert reasons[1].startswith("amount_too_small")
    assert {event.reason for event in door.told(SipSkipped)} == set(reasons)


def test_one_that_was_ended_does_nothing_more(door):
    user, sip = started(door, "2026-03-04")
    assert user.call("DELETE", f"/sips/{sip['id']}").status_code == 204
    on(door, "2026-03-04T05:00")
    assert door.book.orders == {}
    assert user.get("/sips")["items"][0]["status"] == "ended"


def test_it_cannot_begin_in_the_past_and_begins_tomorrow_after_the_close(door):
    user = door.user()
    case = user.compose(THREE)
    path = f"/smallcase/{case['id']}/sip"
    past = user.call("POST", path, {"amount": "100000", "frequency": "daily", "start_on": "2026-03-01"})
    assert past.status_code == 422
    door.clock.step(at("2026-03-04T11:00"))
    sip = user.post(path, {"amount": "100000", "frequency": "daily", "start_on": "2026-03-04"}, status=201)
    assert sip["next_on"] == "2026-03-05"
