"""Who alone does a job. The database's clock decides, so nobody's own can be wrong."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

_HOLD = text("""
INSERT INTO leases (name, holder, until) VALUES (:name, :holder, clock_timestamp() + :ttl)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE leases.holder = excluded.holder OR leases.until < clock_timestamp()
RETURNING name
""")


def hold(session: Session, name: str, holder: UUID, ttl: timedelta) -> bool:
    """Take or renew the lease; ``False`` while somebody else has it."""
    return session.execute(_HOLD, {"name": name, "holder": holder, "ttl": ttl}).one_or_none() is not None
