"""What the database itself refuses, whatever the service does."""

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from saras_common.errors import NotFound
from saras_common.testing.databases import assert_no_drift
from user_service import usecases
from user_service.domain.throttle import account_key
from user_service.models import Base
from user_service.store import revocations, sessions

KYC = {
    "pan": "ABCPE1234F",
    "date_of_birth": "1990-05-17",
    "address": "12 Lake Road, Pune 411001",
    "bank_account": "001234567890",
    "ifsc": "HDFC0000123",
}


def test_models_and_migrations_agree(user_database):
    assert_no_drift(user_database.admin_url, "user_service", Base.metadata)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET kind = 'x'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "DELETE FROM users",
        "UPDATE users SET email = 'x@example.com'",
        "UPDATE users SET id = gen_random_uuid()",
        "DELETE FROM kyc",
        "DELETE FROM signing_keys",
        "UPDATE sessions SET user_id = gen_random_uuid()",
        "UPDATE revocations SET min_version = 0",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        "DROP TABLE audit",
        "CREATE TABLE mine (x int)",
    ],
)
def test_the_service_may_not_rewrite_history_or_rules(shared_door, statement):
    door = shared_door
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"), door.context.database.for_service() as s:
        s.execute(text(statement))


def test_a_users_transaction_sees_that_users_rows_only(door):
    asha, ravi = door.person("asha@example.com"), door.person("ravi@example.com")
    for person in (asha, ravi):
        person.call("PUT", "/me/kyc", json=KYC)
        person.call("POST", "/me/totp/enroll")
    for table, column in (("users", "id"), ("sessions", "user_id"), ("kyc", "user_id"), ("totp", "user_id")):
        query = text(f"SELECT DISTINCT {column} FROM {table}")
        with door.context.database.for_users(asha.identity.user_id) as session:
            assert session.execute(query).scalars().all() == [asha.identity.user_id], table
        with door.context.database.for_users() as session:
            assert session.execute(query).all() == [], table
        with door.context.database.for_service() as session:
            assert len(session.execute(query).all()) == 2, table


def test_the_first_wall_stands_without_the_second(door):
    """In a transaction that sees every row, another's session still does not exist."""
    asha, ravi = door.person("asha@example.com"), door.person("ravi@example.com")
    with pytest.raises(NotFound), door.context.database.for_service() as session:
        sessions.end_session(
            session, ravi.identity.session_id, user_id=asha.identity.user_id, reason="x", at=door.clock.now()
        )


def test_a_disabled_user_does_not_go_on_whoever_disabled_it(door):
    person = door.person()
    with door.context.database.for_service() as session:
        session.execute(text("UPDATE users SET status = 'disabled'"))
    body = {"refresh_token": person.tokens["refresh_token"]}
    assert door.call("POST", "/token/refresh", json=body).status_code == 401


def test_a_users_transaction_changes_that_users_rows_only(door):
    asha, ravi = door.person("asha@example.com"), door.person("ravi@example.com")
    with door.context.database.for_users(asha.identity.user_id) as session:
        touched = session.execute(text("UPDATE users SET full_name = 'X' RETURNING id")).scalars().all()
    assert touched == [asha.identity.user_id]
    statement = text(
        "INSERT INTO totp (user_id, secret_sealed, enrolled_at, last_step) VALUES (:user_id, '', now(), 0)"
    )
    with (
        pytest.raises(DBAPIError, match="row-level security"),
        door.context.database.for_users(asha.identity.user_id) as session,
    ):
        session.execute(statement, {"user_id": ravi.identity.user_id})


@pytest.mark.parametrize(
    "change",
    [
        "roles = '{}'",
        "roles = ARRAY['root']",
        "status = 'gone'",
        "kyc_status = 'x'",
        "min_version = version + 1",
        "version = 0",
    ],
)
def test_impossible_users_are_refused(shared_door, change):
    door = shared_door
    door.somebody()
    with pytest.raises(DBAPIError, match="check constraint"), door.context.database.for_service() as session:
        session.execute(text(f"UPDATE users SET {change}"))


def test_a_revocation_that_commits_late_is_not_skipped(door):
    """The reader's cursor passes over a running transaction and comes back to it."""
    ctx = door.context
    early, late = door.person("early@example.com"), door.person("late@example.com")
    started, finish = threading.Event(), threading.Event()

    def slow():
        with ctx.database.for_service() as session:
            ids = [late.identity.session_id]
            revocations.add_session_revocations(session, ids, at=ctx.clock.now(), new_id=ctx.new_id)
            started.set()
            finish.wait(10)

    thread = threading.Thread(target=slow)
    thread.start()
    started.wait(10)
    early.call("POST", "/logout")
    answer = door.revocations("1")
    assert answer["sessions"] == [str(early.identity.session_id)]
    finish.set()
    thread.join()
    assert str(late.identity.session_id) in door.revocations(answer["cursor"])["sessions"]


def test_nothing_secret_is_stored_in_the_clear(door):
    person = door.person()
    secret = person.call("POST", "/me/totp/enroll").json()["secret"]
    person.call("PUT", "/me/kyc", json=KYC)
    door.call("POST", "/token/refresh", json={"refresh_token": person.tokens["refresh_token"]})
    tables = [table.name for table in Base.metadata.sorted_tables]
    with door.context.database.for_service() as session:
        stored = b"".join(
            str(
                session.execute(text(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} AS t")).scalar_one()
            ).encode()
            for table in tables
        )
    for word in (door.password, secret, person.tokens["refresh_token"], "ABCPE1234F", "001234567890", "PRIVATE KEY"):
        assert word.encode() not in stored
        assert word.encode().hex().encode() not in stored


def test_upkeep_forgets_what_is_over_and_keeps_the_rest(open_door):
    door = open_door(session_ttl_s=3600)
    person = door.person()
    person.call("POST", "/logout")
    door.clock.advance(86400 + 3601)
    living = door.login()
    door.call("POST", "/login", json={"email": "x@example.com", "password": "wrong-Orchard-77"})
    usecases.tidy(door.context)
    with door.context.database.for_service() as session:
        sizes = {
            table: session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("sessions", "refresh_tokens", "revocations", "users")
        }
        keys = set(session.execute(text("SELECT key FROM throttles")).scalars())
    assert sizes == {"sessions": 1, "refresh_tokens": 1, "revocations": 0, "users": 1}
    assert account_key("x@example.com") in keys
    assert account_key(person.email) not in keys
    assert not any("@" in key for key in keys)
    assert living.call("GET", "/me").status_code == 200
