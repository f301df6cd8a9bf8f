"""What the gateway and the scripts ask: revocations, and in the sandbox many users at once."""

from uuid import UUID

import pytest

from saras_common.ids import new_id


def test_revocations_without_a_cursor_are_all_that_still_matter(door):
    first = door.person()
    first_id = str(first.identity.session_id)
    first.call("POST", "/logout")
    door.clock.advance(3000)
    second = door.login()
    second_id = str(second.identity.session_id)
    second.call("POST", "/logout")
    assert set(door.revocations()["sessions"]) == {first_id, second_id}
    door.clock.advance(5000)
    assert door.revocations()["sessions"] == [second_id]


def test_a_cursor_repeats_little_and_skips_nothing(door):
    door.register()
    people = [door.login() for _ in range(4)]
    cursor, seen = door.revocations()["cursor"], []
    for person in people:
        person.call("POST", "/logout")
        answer = door.revocations(cursor)
        cursor = answer["cursor"]
        seen += answer["sessions"]
    assert set(seen) == {str(person.identity.session_id) for person in people}
    assert door.revocations(cursor)["sessions"] == []


def test_a_cursor_of_another_database_starts_from_the_beginning(door):
    person = door.person()
    person.call("POST", "/logout")
    assert door.revocations(str(2**60))["sessions"] == [str(person.identity.session_id)]


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 30, "٣", "", " 1"])
def test_what_is_no_cursor_is_refused(shared_door, cursor):
    assert shared_door.call_as_service("GET", "/internal/revocations", params={"since": cursor}).status_code == 422


def test_many_users_at_once_sign_in_like_any_other(door):
    people = [{"email": f"Demo{number}@example.com", "full_name": f"Demo {number}"} for number in range(300)]
    body = {"users": people, "password": door.password, "kyc_approved": True}
    answer = door.call_as_service("POST", "/internal/users", json=body)
    assert answer.status_code == 201
    items = answer.json()["items"]
    assert [item["email"] for item in items] == [f"demo{number}@example.com" for number in range(300)]
    assert door.call_as_service("POST", "/internal/users", json=body).json()["items"] == items
    person = door.login("demo7@example.com")
    me = person.call("GET", "/me").json()
    assert (me["id"], me["full_name"], me["kyc_status"]) == (items[7]["id"], "Demo 7", "approved")


def test_many_sessions_at_once_are_sessions_like_any_other(door):
    ids = [door.register(f"user{number}@example.com")["id"] for number in range(5)]
    answer = door.call_as_service("POST", "/internal/sessions", json={"user_ids": [*ids, str(new_id())]})
    assert answer.status_code == 201
    items = {item["user_id"]: item for item in answer.json()["items"]}
    assert set(items) == set(ids)
    identity = door.verifier.verify(items[ids[2]]["access_token"])
    assert (identity.user_id, str(identity.session_id)) == (UUID(ids[2]), items[ids[2]]["session_id"])
    assert door.call("GET", "/me", identity=identity).json()["email"] == "user2@example.com"
    before = door.revocations()["cursor"]
    assert door.call("POST", "/logout", identity=identity).status_code == 204
    assert door.revocations(before)["sessions"] == [str(identity.session_id)]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/internal/users", {"users": [{"email": "a@example.com", "full_name": "A"}], "password": "plum-Orchard-77"}),
        ("/internal/sessions", {"user_ids": [str(new_id())]}),
    ],
)
def test_seeding_is_for_the_sandbox_alone(open_door, path, body):
    assert open_door().call_as_service("POST", path, json=body).status_code == 201
    answer = open_door(mode="live").call_as_service("POST", path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "sandbox_only")


@pytest.mark.parametrize(
    "body",
    [
        {"users": [], "password": "plum-Orchard-77"},
        {"users": [{"email": "a@example.com", "full_name": "A"}], "password": "short"},
        {"users": [{"email": "a@example.com", "full_name": "A", "roles": ["admin"]}], "password": "plum-Orchard-77"},
        {"users": [{"email": "a@example.com", "full_name": "A"}] * 2, "password": "plum-Orchard-77"},
    ],
)
def test_bad_seeds_are_refused(shared_door, body):
    assert shared_door.call_as_service("POST", "/internal/users", json=body).status_code == 422
