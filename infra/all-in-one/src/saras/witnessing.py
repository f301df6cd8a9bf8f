"""The witness and the verifier on a home: which databases they read, with which keys, and where the file is."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

from sqlalchemy import make_url, text
from sqlalchemy.orm import Session

from saras.evidence import EVERY_S, FILE, Seals, Sources, Witness, check_evidence
from saras.home import Home
from saras.settings import PlatformSettings
from saras_common.db import Database
from saras_common.errors import Unavailable
from saras_common.postgres import EmbeddedPostgres
from saras_common.web import Worker
from trade_executor.sealing import Sealer
from user_service.vault import Vault

log = logging.getLogger(__name__)

ROLES = ("user_service", "trade_executor")
"""Who writes evidence."""


@contextmanager
def sources_of(home: Home, urls: Mapping[str, str]) -> Iterator[Sources]:
    """Read-only readings with the services' own logins (role → URL), judged with the keys of the home.

    Their connections are closed at the end.
    """
    secrets = home.vault()
    people = Vault.from_text(secrets.get_key("data_key"))
    executor = Sealer(secrets.get_key("executor_key"))
    databases = {schema: Database(urls[schema], schema=schema, pool_size=1) for schema in ROLES}
    try:
        yield Sources(
            _reading(databases["user_service"]),
            _reading(databases["trade_executor"]),
            Seals(people.has_vouched, executor.has_sealed),
        )
    finally:
        for database in databases.values():
            database.dispose()


def _reading(database: Database) -> Callable[[], AbstractContextManager[Session]]:

    @contextmanager
    def reading() -> Iterator[Session]:
        with database.for_service() as session:
            session.execute(text("SET TRANSACTION READ ONLY"))
            yield session

    return reading


def witness(home: Home, urls: Mapping[str, str]) -> Worker:
    """The loop that keeps ``evidence.chain`` of this home."""

    def run(stop: threading.Event) -> None:
        with sources_of(home, urls) as sources:
            _watch(Witness(home.path / FILE, sources), stop)

    return Worker("witness", run)


def _watch(watching: Witness, stop: threading.Event) -> None:
    told: list[str] = []
    while not stop.wait(EVERY_S):
        try:
            watching.look()
        except Unavailable as error:
            log.info("the witness waits: %s", error)
        if watching.refused != told:
            told = watching.refused
            log.error("evidence that nobody of ours wrote: %s", "; ".join(told))


def verify_evidence(settings: PlatformSettings) -> list[str]:
    """What does not agree on this home. Starts its database when it does not run; writes nothing into it."""
    home = Home(settings.home)
    spread = home.services / "postgres"
    server = EmbeddedPostgres(spread if spread.exists() else home.postgres)
    try:
        admin_url = settings.database_url.get_secret_value() if settings.database_url else server.start()
        passwords = home.vault().get(*(f"{role}_password" for role in ROLES))
        admin = make_url(admin_url)
        urls = {
            role: admin.set(username=role, password=passwords[f"{role}_password"]).render_as_string(hide_password=False)
            for role in ROLES
        }
        with sources_of(home, urls) as sources:
            return check_evidence(home.path / FILE, sources, now=datetime.now(UTC))
    finally:
        server.stop()
