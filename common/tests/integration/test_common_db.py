import subprocess
import sys
import threading
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text

from saras_common.db import Contended, is_unique_violation, migrate, provision, retrying
from saras_common.errors import Unavailable
from saras_common.testing import assert_no_drift

PACKAGE = "probe_service"
ADD = text("INSERT INTO coin (id, user_id, paise) VALUES (:id, :user, :paise)")


@pytest.fixture
def migrated(database_for):
    return database_for(PACKAGE)


@pytest.fixture
def database(migrated):
    database = migrated.connect()
    yield database
    database.dispose()


def add(session, user: UUID, paise: int = 1) -> UUID:
    coin = uuid4()
    session.execute(ADD, {"id": coin, "user": user, "paise": paise})
    return coin


def owners(session) -> list[UUID]:
    return list(session.execute(text("SELECT user_id FROM coin ORDER BY user_id")).scalars())


def test_users_see_their_rows_and_the_service_sees_all(database):
    one, two, three = sorted(uuid4() for _ in range(3))
    with database.for_service() as session:
        for user in (one, two, three):
            add(session, user)
    with database.for_users(one) as session:
        assert owners(session) == [one]
    with database.for_users(one, three) as session:
        assert owners(session) == [one, three]
    with database.for_users() as session:
        assert owners(session) == []
    with database.for_service() as session:
        assert owners(session) == [one, two, three]


def test_a_user_cannot_write_anothers_row(database):
    one, two = uuid4(), uuid4()
    with pytest.raises(Exception, match="row-level security"), database.for_users(one) as session:
        add(session, two)


def test_scope_does_not_leak_across_the_pool(migrated):
    database = migrated.connect(pool_size=1)
    with database.for_service() as session:
        add(session, uuid4())
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM coin")).scalar_one() == 0
        assert connection.execute(text("SELECT current_setting('app.scope', true)")).scalar_one() in {"", None}
    database.dispose()


def test_policy_binds_a_table_owner_too(migrated, database):
    with database.for_service() as session:
        add(session, uuid4())
    with psycopg.connect(migrated.admin_url, autocommit=True) as admin:
        admin.execute("CREATE ROLE owner_of_coin NOLOGIN")
        admin.execute("GRANT USAGE ON SCHEMA probe_service TO owner_of_coin")
        admin.execute("ALTER TABLE probe_service.coin OWNER TO owner_of_coin")
        try:
            admin.execute("SET ROLE owner_of_coin")
            assert admin.execute("SELECT count(*) FROM probe_service.coin").fetchone() == (0,)
        finally:
            admin.execute("RESET ROLE")
            admin.execute("ALTER TABLE probe_service.coin OWNER TO CURRENT_USER")
            admin.execute("DROP OWNED BY owner_of_coin")
            admin.execute("DROP ROLE owner_of_coin")


def test_commit_and_rollback(database):
    user = uuid4()

    def fail():
        with database.for_service() as session:
            add(session, user)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.for_service() as session:
        assert owners(session) == []


def test_a_service_stays_in_its_schema(migrated):
    with psycopg.connect(migrated.url, autocommit=True) as connection:
        for statement in (
            "CREATE TABLE probe_service.mine (i int)",
            "CREATE TABLE public.mine (i int)",
            "SELECT * FROM bus.message",
            "UPDATE probe_service.outbox SET body = ''",
            "ALTER TABLE probe_service.coin DISABLE ROW LEVEL SECURITY",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_models_are_what_migrations_made(migrated):
    from probe_service.models import metadata

    from saras_common.bus.models import metadata as bus_metadata

    assert_no_drift(migrated.admin_url, PACKAGE, metadata)
    assert_no_drift(migrated.admin_url, "saras_common.bus", bus_metadata)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE probe_service.coin ADD COLUMN note text",
        "ALTER TABLE probe_service.coin ALTER COLUMN paise TYPE integer",
        "ALTER TABLE probe_service.coin DROP CONSTRAINT coin_not_negative",
        "DROP INDEX probe_service.outbox_unpublished",
        "CREATE TABLE probe_service.stray (i int)",
    ],
)
def test_drift_is_found(migrated, change):
    from probe_service.models import metadata

    with psycopg.connect(migrated.admin_url, autocommit=True) as admin:
        admin.execute(change)
    with pytest.raises(AssertionError, match="differ"):
        assert_no_drift(migrated.admin_url, PACKAGE, metadata)


def test_provision_and_migrate_again_change_only_passwords(postgres):
    admin_url = postgres.empty_database()
    first = provision(admin_url, {PACKAGE: "first-password", "bus": "other"})
    migrate(admin_url, PACKAGE)
    second = provision(admin_url, {PACKAGE: "second %/@ password", "bus": "only-for-tests"})
    migrate(admin_url, PACKAGE)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first[PACKAGE])
    with psycopg.connect(second[PACKAGE]) as connection:
        assert connection.execute("SELECT count(*) FROM probe_service.outbox").fetchone() == (0,)
    provision(admin_url, {PACKAGE: "only-for-tests"})


def test_migrations_started_together_wait_for_one_another(postgres):
    admin_url = postgres.empty_database()
    provision(admin_url, {PACKAGE: "only-for-tests", "bus": "only-for-tests"})
    root = next(path for path in sys.path if "probe" in path)
    code = (
        f"import sys; sys.path.insert(0, {root!r}); from saras_common.db import migrate; "
        f"migrate({admin_url!r}, {PACKAGE!r})"
    )
    started = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(2)]
    for process in started:
        _, said = process.communicate()
        assert process.returncode == 0, said.decode()


def test_a_database_that_is_down_is_unavailable_without_sql(migrated):
    from saras_common.db import Database

    database = Database(migrated.url.replace("127.0.0.1", "127.0.0.1").rsplit(":", 1)[0] + ":1/none", schema=PACKAGE)
    with pytest.raises(Unavailable) as caught, database.for_service():
        pass
    assert caught.value.retry_after_s == 2
    assert "SELECT" not in str(caught.value)
    with pytest.raises(Unavailable):
        database.check()


def test_cut_connections_are_one_unavailable_and_then_well_again(migrated, database):
    with database.for_service() as session:
        add(session, uuid4())
    with psycopg.connect(migrated.admin_url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = 'probe_service'"
        )
    with pytest.raises(Unavailable), database.for_service():
        pass
    with database.for_service() as session:
        assert len(owners(session)) == 1


def test_a_slow_statement_is_unavailable(migrated):
    from saras_common.db import Database

    database = Database(migrated.url, schema=PACKAGE, statement_timeout_ms=50)
    with pytest.raises(Unavailable), database.for_service() as session:
        session.execute(text("SELECT pg_sleep(5)"))
    database.dispose()


def test_a_full_pool_is_unavailable(migrated, monkeypatch):
    from saras_common.db import sessions

    monkeypatch.setattr(sessions, "POOL_TIMEOUT_S", 0.05)
    database = migrated.connect(pool_size=1)
    with database.for_service(), pytest.raises(Unavailable), database.for_service():
        pass
    database.dispose()


def test_unique_violations_are_known_by_name(database):
    with database.for_service() as session:
        coin = add(session, uuid4())
    with pytest.raises(Exception) as caught, database.for_service() as session:
        session.execute(ADD, {"id": coin, "user": uuid4(), "paise": 1})
    assert is_unique_violation(caught.value)
    assert is_unique_violation(caught.value, "coin_pkey")
    assert not is_unique_violation(caught.value, "another")
    assert "paise" not in str(caught.value).split("[SQL")[0].replace("coin_pkey", "")


def test_deadlocks_are_run_again(database):
    one, two = sorted(uuid4() for _ in range(2))
    with database.for_service() as session:
        for coin in (one, two):
            session.execute(ADD, {"id": coin, "user": uuid4(), "paise": 0})
    barrier = threading.Barrier(2)
    contended = []

    def work(first: UUID, second: UUID) -> None:
        waited = []

        def once() -> None:
            try:
                with database.for_service() as session:
                    more = text("UPDATE coin SET paise = paise + 1 WHERE id = :id")
                    session.execute(more, {"id": first})
                    if not waited:
                        waited.append(True)
                        barrier.wait()
                    session.execute(more, {"id": second})
            except Contended:
                contended.append(first)
                raise

        retrying(once)

    threads = [threading.Thread(target=work, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.for_service() as session:
        assert list(session.execute(text("SELECT paise FROM coin")).scalars()) == [2, 2]
    assert contended
