"""What the witness leaves behind."""

from sqlalchemy import text

from saras.home import Home
from saras.witnessing import ROLES, sources_of


def test_connections_of_the_readings_end_with_them(tmp_path, database_for):
    database = database_for()
    opened = []
    with sources_of(Home(tmp_path), dict.fromkeys(ROLES, database.admin_url)) as sources:
        for reading in (sources.people, sources.executor):
            with reading() as session:
                assert session.scalar(text("SHOW transaction_read_only")) == "on"
                opened.append(session.connection().connection.driver_connection)
        assert not any(connection.closed for connection in opened)
    assert all(connection.closed for connection in opened)
