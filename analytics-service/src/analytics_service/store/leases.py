"""Leases: what only one worker may do at a time, by the database's clock."""

from sqlalchemy.orm import Session

from analytics_service.store.statements import rows_of, run

_TAKE = """
INSERT INTO leases AS l (name, holder, expires_at) VALUES (%b, %b, now() + make_interval(secs => %b))
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
WHERE l.holder = excluded.holder OR l.expires_at <= now() RETURNING name
"""


def take_lease(session: Session, name: str, holder: str, ttl_s: int) -> bool:
    """Take or keep it for ``ttl_s`` more; false while somebody else has it."""
    return bool(rows_of(session, _TAKE, name, holder, float(ttl_s)))


def drop_lease(session: Session, name: str, holder: str) -> None:
    """Give it up."""
    run(session, "DELETE FROM leases WHERE name = %b AND holder = %b", name, holder)
