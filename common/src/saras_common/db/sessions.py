"""Sessions: one transaction each, told by ``set_config`` whose rows it may see."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from saras_common.db.patience import (
    CONNECT_TIMEOUT_S,
    NOTICE_THE_DEAD,
    SERVER_NOTICES_THE_DEAD,
    PatientConnection,
)
from saras_common.errors import Unavailable

T = TypeVar("T")

Transactions = Callable[[], AbstractContextManager[Session]]
"""Opens a session in a transaction: commits on exit, rolls back on error."""

RETRY_AFTER_S = 2
POOL_TIMEOUT_S = 5.0
SILENT_AFTER_S = 1.0
"""Longer than the server lets a statement run: who is silent past this hangs, and the connection is given up."""

IDLE_IN_TRANSACTION_TIMEOUT_S = 60.0

_SCOPE = "SELECT set_config('app.scope', %s, true), set_config('app.user_ids', %s, true)"

_AS_IT_IS: Mapping[str, str] = {}

_CONTENDED = {"40001", "40P01"}
_DOWN_CLASSES = ("08", "53", "57", "58")
_DOWN = {"55P03", "25006", "25P03", "25P04", "28P01", "3D000"}
"""Lock timeout, read-only after a failover, too long in a transaction, and a server not (yet) provisioned."""


class Contended(Unavailable):
    """Two transactions met; PostgreSQL undid this one. `retrying` runs it again."""


class Database:
    """A pool of connections to one schema. Nothing connects before the first session."""

    def __init__(
        self,
        url: str,
        *,
        schema: str,
        pool_size: int = 8,
        statement_timeout_ms: int = 15_000,
        idle_in_transaction_s: float = IDLE_IN_TRANSACTION_TIMEOUT_S,
        transaction_s: float | None = None,
        planner: Mapping[str, str] = _AS_IT_IS,
    ) -> None:
        """``planner``: settings of PostgreSQL's planner for every session.

        ``idle_in_transaction_s``: a session that was stopped, or cut off, gives up its locks after so long;
        ``transaction_s``: and every transaction ends after that (PostgreSQL 17 on), for in a pipeline none is idle.
        """
        self.schema = schema
        self.url = url
        options = {
            "search_path": schema,
            "statement_timeout": statement_timeout_ms,
            "idle_in_transaction_session_timeout": round(idle_in_transaction_s * 1000),
            "timezone": "UTC",
            **SERVER_NOTICES_THE_DEAD,
            **planner,
        }
        self.engine: Engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_S,
            pool_use_lifo=True,
            hide_parameters=True,  # errors are logged, people's data is not
            connect_args={
                "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": schema,
                **NOTICE_THE_DEAD,
            },
        )
        silence_s = statement_timeout_ms / 1000 + SILENT_AFTER_S if statement_timeout_ms else None

        @event.listens_for(self.engine, "do_connect")
        def connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> PatientConnection:
            connection = PatientConnection.connect(*arguments, **parameters)
            connection.settle_in(silence_s=silence_s, transaction_s=transaction_s)
            return connection

    def for_service(self) -> AbstractContextManager[Session]:
        """A transaction that sees every row."""
        return self._transaction("service", "{}")

    def for_users(self, *user_ids: UUID) -> AbstractContextManager[Session]:
        """A transaction that sees and writes rows of these users only, where a table has the `user_policy`."""
        return self._transaction("users", _array(user_ids))

    def pipelined_for_service(self) -> AbstractContextManager[Session]:
        """`for_service` for hot paths: what `driver` executes is sent at once, and waited for when its rows are asked.

        The commit travels right behind the last statement. The error of a statement nobody asked is raised at the
        end, as psycopg's.
        """
        return self._pipelined("service", "{}")

    def pipelined_for_users(self, *user_ids: UUID | str) -> AbstractContextManager[Session]:
        """`for_users` in the same way."""
        return self._pipelined("users", _array(user_ids))

    def check(self) -> None:
        """`Unavailable` unless the database answers."""
        with translated(), self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self, scope: str, users: str) -> Iterator[Session]:
        with translated(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            connection = driver(session)
            with connection.pipeline():  # one wait for BEGIN and the scope
                connection.execute(_SCOPE, (scope, users))
            yield session

    @contextmanager
    def _pipelined(self, scope: str, users: str) -> Iterator[Session]:
        with translated(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            connection = driver(session)
            with connection.pipeline():
                connection.execute(_SCOPE, (scope, users))
                yield session
                connection.commit()


def _array(user_ids: Sequence[UUID | str]) -> str:
    return "{" + ",".join([str(one if isinstance(one, UUID) else UUID(one)) for one in user_ids]) + "}"


def driver(session: Session) -> psycopg.Connection:
    """The psycopg connection under a session, inside its transaction: for COPY, and for ``%b`` parameters.

    Binary parameters matter for ``bytea`` arrays, which are eight times slower as text.
    """
    session.flush()
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("the session is not on psycopg")
    return connection


@contextmanager
def translated() -> Iterator[None]:
    """Turns a database that is down, full or overloaded into `Unavailable`, a lost race into `Contended`.

    Other database errors pass: they are faults of ours or constraints a use case knows by name.
    """
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("The database is busy", retry_after_s=RETRY_AFTER_S) from error
    except (DBAPIError, psycopg.Error) as error:
        if is_contended(error):
            raise Contended(retry_after_s=RETRY_AFTER_S) from error
        if _is_down(error):
            raise Unavailable("The database is not available", retry_after_s=RETRY_AFTER_S) from error
        raise


def retrying(work: Callable[[], T], *, attempts: int = 5) -> T:
    """``work()``, run again when PostgreSQL undid it for a serialization failure or a deadlock."""
    for attempt in range(1, attempts):
        try:
            return work()
        except Contended:
            pass
        except (DBAPIError, psycopg.Error) as error:
            if not is_contended(error):
                raise
        time.sleep(random.uniform(0, 0.01 * 2**attempt))
    return work()


def is_contended(error: BaseException) -> bool:
    """Whether running the same transaction again may succeed at once."""
    return _sqlstate(error) in _CONTENDED


def is_unique_violation(error: BaseException, constraint: str | None = None) -> bool:
    """Whether a unique constraint refused the row; with ``constraint``, that one."""
    return _sqlstate(error) == psycopg.errors.UniqueViolation.sqlstate and constraint in {None, constraint_of(error)}


def constraint_of(error: BaseException) -> str | None:
    """Name of the constraint that refused the row, if one did."""
    original = _original(error)
    return original.diag.constraint_name if isinstance(original, psycopg.Error) else None


def _original(error: BaseException) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _sqlstate(error: BaseException) -> str | None:
    original = _original(error)
    return original.sqlstate if isinstance(original, psycopg.Error) else None


def _is_down(error: DBAPIError | psycopg.Error) -> bool:
    state = _sqlstate(error)
    if state is not None:
        return state in _DOWN or state.startswith(_DOWN_CLASSES)
    if isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error, InterfaceError)):
        return True
    return isinstance(_original(error), psycopg.OperationalError | psycopg.InterfaceError)
