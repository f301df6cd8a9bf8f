"""Accounts, leases, logins, switches."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from trade_executor.domain import Account, BrokerSession, Lease
from trade_executor.store import LeaseLost
from trade_executor.store.postgres.statements import Statements

_ACCOUNT = """
    SELECT a.id, a.halted, a.halt_reason, a.opening_cash_paise, coalesce(s.version, 0),
           coalesce(s.alive, false),
           ARRAY(SELECT instrument FROM blocked_instruments b WHERE b.account_id = a.id)
    FROM accounts a LEFT JOIN sessions s ON s.account_id = a.id
"""


class AccountQueries(Statements):
    """See `trade_executor.store.Accounts`."""

    def get_account(self, account_id: str) -> Account:
        return _account(self.get(_ACCOUNT + " WHERE a.id = %s", [account_id]))

    def list_accounts(self) -> list[Account]:
        return [_account(row) for row in self.all(_ACCOUNT + " ORDER BY a.id")]

    def ensure_account(self, account_id: str) -> None:
        self.run("INSERT INTO accounts (id) VALUES (%s) ON CONFLICT DO NOTHING", [account_id])

    def set_halt(self, account_id: str, reason: str | None) -> bool:
        changed = self.count(
            "UPDATE accounts SET halted = %(halted)s, halt_reason = %(reason)s"
            " WHERE id = %(id)s AND halted <> %(halted)s",
            {"id": account_id, "halted": reason is not None, "reason": reason},
        )
        return changed > 0

    def set_blocked(self, account_id: str, instruments: Iterable[str], blocked: bool) -> list[str]:
        names = list(instruments)
        if blocked:
            rows = self.all(
                "INSERT INTO blocked_instruments (account_id, instrument) SELECT %s, unnest(%s::text[])"
                " ON CONFLICT DO NOTHING RETURNING instrument",
                [account_id, names],
            )
        else:
            rows = self.all(
                "DELETE FROM blocked_instruments WHERE account_id = %s AND instrument = ANY(%s) RETURNING instrument",
                [account_id, names],
            )
        return sorted(row[0] for row in rows)

    def set_opening(self, account_id: str, cash_paise: int, shares: Mapping[str, int]) -> None:
        self.run(
            "UPDATE accounts SET opening_cash_paise = %s, opening_shares = %s"
            " WHERE id = %s AND opening_cash_paise IS NULL",
            [cash_paise, Jsonb(dict(shares)), account_id],
        )

    def acquire_lease(self, account_id: str, holder: UUID, ttl_s: float, grace_s: float) -> int | None:
        row = self.find(
            "INSERT INTO leases AS held (account_id, holder, epoch, expires_at)"
            " VALUES (%(account)s, %(holder)s, 1, clock_timestamp() + make_interval(secs => %(ttl)s))"
            " ON CONFLICT (account_id) DO UPDATE SET holder = %(holder)s, epoch = held.epoch + 1,"
            " expires_at = clock_timestamp() + make_interval(secs => %(ttl)s)"
            " WHERE held.holder = %(holder)s"
            " OR held.expires_at + make_interval(secs => %(grace)s) <= clock_timestamp()"
            " RETURNING epoch",
            {"account": account_id, "holder": holder, "ttl": ttl_s, "grace": grace_s},
        )
        return None if row is None else int(row[0])

    def renew_lease(self, account_id: str, holder: UUID, epoch: int, ttl_s: float) -> bool:
        renewed = self.count(
            "UPDATE leases SET expires_at = clock_timestamp() + make_interval(secs => %s)"
            " WHERE account_id = %s AND holder = %s AND epoch = %s AND expires_at > clock_timestamp()",
            [ttl_s, account_id, holder, epoch],
        )
        return renewed > 0

    def release_lease(self, account_id: str, holder: UUID, epoch: int, grace_s: float) -> None:
        self.run(
            "UPDATE leases SET expires_at = clock_timestamp() - make_interval(secs => %s)"
            " WHERE account_id = %s AND holder = %s AND epoch = %s",
            [grace_s, account_id, holder, epoch],
        )

    def fence(self, lease: Lease) -> None:
        row = self.find(
            "SELECT 1 FROM leases WHERE account_id = %s AND holder = %s AND epoch = %s"
            " AND expires_at > clock_timestamp() FOR KEY SHARE",
            [lease.account_id, lease.holder, lease.epoch],
        )
        if row is None:
            raise LeaseLost

    def find_leader(self, account_id: str) -> tuple[UUID, int] | None:
        row = self.find(
            "SELECT holder, epoch FROM leases WHERE account_id = %s AND expires_at > clock_timestamp()", [account_id]
        )
        return None if row is None else (row[0], row[1])

    def save_session(self, account_id: str, sealed_token: bytes, expires_at: datetime) -> int:
        row = self.get(
            "INSERT INTO sessions AS s (account_id, version, sealed_token, expires_at, alive)"
            " VALUES (%s, 1, %s, %s, true) ON CONFLICT (account_id) DO UPDATE SET version = s.version + 1,"
            " sealed_token = excluded.sealed_token, expires_at = excluded.expires_at, alive = true RETURNING version",
            [account_id, sealed_token, expires_at],
        )
        return int(row[0])

    def find_session(self, account_id: str) -> BrokerSession | None:
        row = self.find(
            "SELECT version, sealed_token, expires_at FROM sessions WHERE account_id = %s AND alive",
            [account_id],
        )
        return None if row is None else BrokerSession(row[0], bytes(row[1]), row[2])

    def end_session(self, account_id: str, version: int) -> bool:
        ended = self.count(
            "UPDATE sessions SET alive = false WHERE account_id = %s AND version = %s AND alive", [account_id, version]
        )
        return ended > 0

    def log_call(self, account_id: str, at: datetime, value_paise: int = 0) -> None:
        self.run(
            "INSERT INTO order_calls (account_id, at, value_paise) VALUES (%s, %s, %s)", [account_id, at, value_paise]
        )

    def sum_calls(self, account_id: str, since: datetime) -> int:
        row = self.get(
            "SELECT coalesce(sum(value_paise), 0)::bigint FROM order_calls WHERE account_id = %s AND at >= %s",
            [account_id, since],
        )
        return int(row[0])

    def list_calls(self, account_id: str, since: datetime) -> list[datetime]:
        rows = self.all(
            "SELECT at FROM order_calls WHERE account_id = %s AND at >= %s ORDER BY at", [account_id, since]
        )
        return [row[0] for row in rows]

    def find_opening(self, account_id: str) -> tuple[dict[str, int], int] | None:
        row = self.find(
            "SELECT opening_shares, opening_cash_paise FROM accounts WHERE id = %s AND opening_cash_paise IS NOT NULL",
            [account_id],
        )
        return None if row is None else (row[0], row[1])


def _account(row: tuple[object, ...]) -> Account:
    identity, halted, reason, opening, version, logged_in, blocked = row
    return Account(
        id=str(identity),
        halted=bool(halted),
        halt_reason=None if reason is None else str(reason),
        logged_in=bool(logged_in),
        session_version=int(str(version)),
        blocked=frozenset(blocked if isinstance(blocked, list) else ()),
        opening_cash_paise=None if opening is None else int(str(opening)),
    )


def json_bytes(value: object) -> str:
    """JSON text of a document, keys as they stand."""
    return orjson.dumps(value).decode()
