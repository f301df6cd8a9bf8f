"""The database's roles and schemas, brought to the code's state; a home already there is recognised in milliseconds."""

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

BUS = "bus"
MARK = "saras "


def prepare_database(admin_url: str, passwords: Mapping[str, str], packages: Sequence[str]) -> dict[str, str]:
    """Role → URL, with every schema migrated to its head.

    What was done is noted as a comment on the bus's schema: a hash over all migrations and passwords. It lives and
    dies with the database it speaks of, so a restored or emptied one is prepared anew.
    """
    fingerprint = MARK + _fingerprint(passwords, packages)
    with psycopg.connect(admin_url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s", [BUS]
        ).fetchone()
        if found is None or found[0] != fingerprint:
            _prepare(admin_url, passwords, packages)
            connection.execute(sql.SQL("COMMENT ON SCHEMA bus IS {}").format(sql.Literal(fingerprint)))
    admin = make_url(admin_url)
    return {
        role: admin.set(username=role, password=password).render_as_string(hide_password=False)
        for role, password in passwords.items()
    }


def _prepare(admin_url: str, passwords: Mapping[str, str], packages: Sequence[str]) -> None:
    from saras_common.db import migrate, provision

    provision(admin_url, passwords)
    for package in packages:
        migrate(admin_url, package)


def _fingerprint(passwords: Mapping[str, str], packages: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for role, password in sorted(passwords.items()):
        digest.update(f"{role}:{password}\n".encode())
    for package in (*packages, "saras_common.bus", "saras_common.db"):
        for path in sorted(_folder(package).rglob("*.py")):
            if package.startswith("saras_common") or "migrations" in path.parts:
                digest.update(path.name.encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(package)
    return Path(spec.origin).parent
