"""What the other services hear."""

from sqlalchemy import text

from saras_common.bus import connect_bus
from saras_common.events import Message, UserChanged, unpack
from saras_common.outbox import Relay


def heard(door):
    with door.context.database.for_service() as session:
        rows = session.execute(text("SELECT id, type, body, count FROM outbox ORDER BY seq")).all()
    return [event for row in rows for event in unpack(Message(row.id, row.type, bytes(row.body), row.count))]


def test_every_change_of_a_user_is_told_once_with_a_growing_version(door):
    person, admin = door.person(), door.admin()
    user_id = person.identity.user_id
    path = f"/admin/users/{user_id}"
    person.call("PATCH", "/me", json={"full_name": "Asha R."})
    person.call("PATCH", "/me", json={"full_name": "Asha R."})
    admin.call("PATCH", path, json={"roles": ["user", "admin"]})
    admin.call("PATCH", path, json={"status": "disabled"})
    told = [event for event in heard(door) if isinstance(event, UserChanged) and event.user_id == user_id]
    assert [event.version for event in told] == [1, 2, 3, 4]
    assert [event.full_name for event in told] == ["Asha Rao", "Asha R.", "Asha R.", "Asha R."]
    assert told[-1].roles == ["admin", "user"]
    assert [event.status for event in told] == ["active", "active", "active", "disabled"]
    assert len({event.id for event in told}) == 4
    assert all(event.request_id for event in told)


def test_a_refused_change_tells_nothing(door):
    door.register()
    before = len(heard(door))
    body = {"email": "asha@example.com", "password": door.password, "full_name": "Again"}
    assert door.call("POST", "/register", json=body).status_code == 409
    assert len(heard(door)) == before


def test_the_relay_carries_them_to_the_bus(door, user_database):
    door.register()
    bus = connect_bus(user_database.bus_url)
    try:
        assert Relay(door.context.database, bus, "user_service").drain_once() == 1
        assert bus.depth("portfolio-service") >= 1
    finally:
        bus.close()
