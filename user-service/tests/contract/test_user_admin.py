"""Administration over HTTP."""

import pytest
from sqlalchemy import text

from saras_common.ids import new_id
from user_service import usecases

KYC = {
    "pan": "ABCPE1234F",
    "date_of_birth": "1990-05-17",
    "address": "12 Lake Road, Pune 411001",
    "bank_account": "001234567890",
    "ifsc": "HDFC0000123",
}


def test_the_first_administrator_is_made_once_and_never_reset(door):
    make = lambda **given: usecases.ensure_admin(door.context, **given)  # noqa: E731
    password = make(email="Boss@Example.com", password=None)
    assert password is not None
    assert len(password) >= 16
    assert make(email="boss@example.com", password="another-Orchard-88") is None
    assert make(email="second@example.com", password=None) is None
    boss = door.login("boss@example.com", password)
    assert boss.call("GET", "/me").json()["roles"] == ["admin", "user"]


def test_an_existing_user_is_not_made_administrator_at_start(door):
    door.register("boss@example.com")
    assert usecases.ensure_admin(door.context, email="boss@example.com", password=None) is None
    assert door.login("boss@example.com").call("GET", "/me").json()["roles"] == ["user"]


ADMIN_ROUTES = [
    ("GET", "/admin/users", None),
    ("PATCH", "/admin/users/{id}", {"status": "disabled"}),
    ("GET", "/admin/users/{id}/kyc", None),
    ("POST", "/admin/users/{id}/kyc/approve", None),
    ("POST", "/admin/users/{id}/kyc/reject", {"reason": "blurred"}),
]


@pytest.mark.parametrize(("method", "path", "body"), ADMIN_ROUTES)
def test_only_administrators_administrate(shared_door, method, path, body):
    door = shared_door
    person, other = door.somebody(), door.somebody().call("GET", "/me").json()
    answer = person.call(method, path.format(id=other["id"]), json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert door.call(method, path.format(id=other["id"]), json=body).status_code == 401


@pytest.mark.parametrize(("method", "path", "body"), ADMIN_ROUTES[1:])
@pytest.mark.parametrize("wanted", ["unknown", "x", "%00"])
def test_unknown_users_are_404(shared_door, method, path, body, wanted):
    wanted = str(new_id()) if wanted == "unknown" else wanted
    assert shared_door.admin().call(method, path.format(id=wanted), json=body).status_code == 404


def test_users_are_listed_in_pages_and_filtered(door):
    admin = door.admin()
    made = [door.register(f"user{number}@example.com")["id"] for number in range(5)]
    first = admin.call("GET", "/admin/users", params={"limit": 4}).json()
    rest = admin.call("GET", "/admin/users", params={"limit": 4, "cursor": first["next_cursor"]}).json()
    ids = [item["id"] for item in first["items"] + rest["items"]]
    assert ids[1:] == made
    assert rest["next_cursor"] is None
    found = admin.call("GET", "/admin/users", params={"email": "User3@Example.com "}).json()["items"]
    assert [item["id"] for item in found] == [made[3]]
    admin.call("PATCH", f"/admin/users/{made[0]}", json={"status": "disabled"})
    disabled = admin.call("GET", "/admin/users", params={"status": "disabled"}).json()["items"]
    assert [item["id"] for item in disabled] == [made[0]]
    for bad in ({"status": "gone"}, {"kyc_status": 1}, {"limit": -1}, {"cursor": "x"}):
        assert admin.call("GET", "/admin/users", params=bad).status_code == 422


def test_disabling_revokes_at_once_and_ends_sessions(door):
    person, admin = door.person(), door.admin()
    before = door.revocations()["cursor"]
    path = f"/admin/users/{person.identity.user_id}"
    assert admin.call("PATCH", path, json={"status": "disabled"}).json()["status"] == "disabled"
    (revoked,) = door.revocations(before)["users"]
    assert person.identity.version < revoked["min_version"]
    assert admin.call("PATCH", path, json={"status": "active"}).json()["status"] == "active"
    body = {"refresh_token": person.tokens["refresh_token"]}
    assert door.call("POST", "/token/refresh", json=body).status_code == 401, "its sessions stay ended"
    door.login()


def test_new_roles_reach_the_user_with_its_next_refresh(door):
    person, admin = door.person(), door.admin()
    before = door.revocations()["cursor"]
    path = f"/admin/users/{person.identity.user_id}"
    assert admin.call("PATCH", path, json={"roles": ["user", "admin"]}).json()["roles"] == ["admin", "user"]
    assert [item["user_id"] for item in door.revocations(before)["users"]] == [str(person.identity.user_id)]
    pair = door.call("POST", "/token/refresh", json={"refresh_token": person.tokens["refresh_token"]}).json()
    assert door.verifier.verify(pair["access_token"]).is_admin


def test_a_change_that_changes_nothing_does_nothing(door):
    person, admin = door.person(), door.admin()
    before = door.revocations()["cursor"]
    path = f"/admin/users/{person.identity.user_id}"
    assert admin.call("PATCH", path, json={"status": "active", "roles": ["user"]}).status_code == 200
    assert door.revocations(before)["users"] == []


def test_administrators_cannot_lock_themselves_out(door):
    admin = door.admin()
    path = f"/admin/users/{admin.identity.user_id}"
    for body in ({"status": "disabled"}, {"roles": ["user"]}):
        assert admin.call("PATCH", path, json=body).json()["code"] == "own_account"


@pytest.mark.parametrize(
    "body",
    [{}, {"status": "gone"}, {"roles": []}, {"roles": ["root"]}, {"roles": ["user", "user"]}, {"version": 9}, [], None],
)
def test_bad_changes_are_refused(shared_door, body):
    other = shared_door.somebody().identity.user_id
    assert shared_door.admin().call("PATCH", f"/admin/users/{other}", json=body).status_code == 422


def test_kyc_is_decided_once_and_can_be_declared_again(door):
    person, admin = door.person(), door.admin()
    path = f"/admin/users/{person.identity.user_id}/kyc"
    assert admin.call("POST", f"{path}/approve").json()["code"] == "kyc_not_pending"
    assert admin.call("GET", path).status_code == 404
    person.call("PUT", "/me/kyc", json=KYC)
    assert admin.call("GET", path).json()["pan"] == "XXXXXX234F"
    assert admin.call("POST", f"{path}/reject", json={}).status_code == 422
    rejected = admin.call("POST", f"{path}/reject", json={"reason": "The PAN is not readable"})
    assert rejected.json()["kyc_status"] == "rejected"
    shown = person.call("GET", "/me/kyc").json()
    assert (shown["status"], shown["reason"]) == ("rejected", "The PAN is not readable")
    assert admin.call("POST", f"{path}/approve").status_code == 409
    person.call("PUT", "/me/kyc", json=KYC)
    assert person.call("GET", "/me/kyc").json()["reason"] is None
    assert admin.call("POST", f"{path}/approve").json()["kyc_status"] == "approved"
    assert admin.call("POST", f"{path}/approve").status_code == 409
    assert person.call("GET", "/me").json()["kyc_status"] == "approved"


def test_security_events_are_on_record_and_stay_there(door):
    person, admin = door.person(), door.admin()
    door.call("POST", "/login", json={"email": person.email, "password": "wrong-Orchard-77"})
    person.call("PUT", "/me/kyc", json=KYC)
    admin.call("POST", f"/admin/users/{person.identity.user_id}/kyc/approve")
    person.call("POST", "/logout")
    with door.context.database.for_service() as session:
        rows = session.execute(text("SELECT kind, user_id, actor_id, address, request_id FROM audit ORDER BY id")).all()
    kinds = [row.kind for row in rows if row.user_id == person.identity.user_id]
    assert kinds == ["registered", "logged_in", "login_failed", "kyc_submitted", "kyc_approved", "session_ended"]
    approval = next(row for row in rows if row.kind == "kyc_approved")
    assert approval.actor_id == admin.identity.user_id
    assert approval.address == "203.0.113.9"
    assert approval.request_id
