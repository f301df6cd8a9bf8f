"""What the book said at each close: values and flows by day, holdings as spans, and the matrices figures come from."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt
import orjson
from sqlalchemy.orm import Session

from analytics_service.domain.trades import NOBODY
from analytics_service.store.statements import columns, rows_of, run

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

UNKNOWN = -(2**63)
"""Stands for a value without a price where a column of plain integers is read."""

_PUT = """
INSERT INTO valuations (user_id, day, portfolio_id, cash_paise, market_paise, invested_paise, realised_paise,
    charges_paise, deposited_paise, withdrawn_paise)
SELECT user_id, %b, portfolio_id, cash, market, invested, realised, charges, deposited, withdrawn
FROM unnest(%b::uuid[], %b::uuid[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[],
    %b::bigint[]) AS t (user_id, portfolio_id, cash, market, invested, realised, charges, deposited, withdrawn)
ON CONFLICT (user_id, day, portfolio_id) DO UPDATE SET cash_paise = excluded.cash_paise,
    market_paise = excluded.market_paise, invested_paise = excluded.invested_paise,
    realised_paise = excluded.realised_paise, charges_paise = excluded.charges_paise,
    deposited_paise = excluded.deposited_paise, withdrawn_paise = excluded.withdrawn_paise
"""

# a day taken again begins where the day before it ended
_UNDO_NEW = "DELETE FROM held WHERE user_id = ANY(%b::uuid[]) AND since = %b"
_UNDO_END = "UPDATE held SET until = NULL WHERE user_id = ANY(%b::uuid[]) AND until = %b"

_KEYS = """
unnest(%b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::bigint[], %b::bigint[])
    AS n (user_id, portfolio_id, instrument, product, quantity, cost)
"""
_SAME = """
(h.user_id, h.portfolio_id, h.instrument, h.product, h.quantity, h.cost_paise)
    = (n.user_id, n.portfolio_id, n.instrument COLLATE "C", n.product COLLATE "C", n.quantity, n.cost)
"""
_END: LiteralString = f"""
UPDATE held h SET until = %b WHERE h.user_id = ANY(%b::uuid[]) AND h.until IS NULL
    AND NOT EXISTS (SELECT FROM {_KEYS} WHERE {_SAME})
"""  # noqa: S608 - our own parts
_BEGIN: LiteralString = f"""
INSERT INTO held (user_id, portfolio_id, instrument, product, since, quantity, cost_paise)
SELECT n.user_id, n.portfolio_id, n.instrument, n.product, %b, n.quantity, n.cost FROM {_KEYS}
WHERE NOT EXISTS (SELECT FROM held h WHERE h.until IS NULL AND {_SAME})
"""  # noqa: S608 - our own parts

# plain big-endian integers, a string of them for each user: nothing is parsed row by row
_SERIES = """
SELECT user_id, string_agg(int4send(day - DATE '1970-01-01'), ''::bytea),
    string_agg(int8send(coalesce(cash_paise + market_paise, -9223372036854775808)), ''::bytea),
    string_agg(int8send(deposited_paise), ''::bytea), string_agg(int8send(withdrawn_paise), ''::bytea)
FROM valuations WHERE user_id = ANY(%b::uuid[]) AND day BETWEEN %b AND %b GROUP BY user_id ORDER BY user_id
"""

_HELD_ON = """
SELECT portfolio_id, instrument, product, quantity, cost_paise FROM held
WHERE user_id = %b AND since <= %b AND (until IS NULL OR until > %b) ORDER BY instrument, product, portfolio_id
"""


class Valuation(NamedTuple):
    """A portfolio at a close."""

    user_id: UUID
    portfolio_id: UUID
    cash: int
    market: int | None
    invested: int
    realised: int
    charges: int
    deposited: int
    withdrawn: int


class HeldLine(NamedTuple):
    """What a portfolio holds of one instrument."""

    user_id: UUID
    portfolio_id: UUID
    instrument: str
    product: str
    quantity: int
    cost: int


class Span(NamedTuple):
    """Units of an instrument held at the closes from ``since`` up to the one before ``until``."""

    instrument: str
    since: date
    until: date | None
    quantity: int


class Close(NamedTuple):
    """A session's snapshot."""

    day: date
    taken_at: datetime
    users: int


class Series(NamedTuple):
    """Values and flows of users over days, shape (users, days): paise as float64, NaN where nothing was valued."""

    user_ids: list[UUID]
    values: Floats
    deposits: Floats
    withdrawals: Floats


def put_valuations(session: Session, day: date, rows: Sequence[Valuation]) -> None:
    """What portfolios were worth at the close of ``day``, in place of what was known of that day."""
    run(session, _PUT, day, *columns(rows, 9))


def put_held(session: Session, day: date, user_ids: Sequence[UUID], rows: Sequence[HeldLine]) -> None:
    """All these users hold at the close of ``day``; only what changed is written. No later close may be stored."""
    users, lines = list(user_ids), columns(rows, 6)
    run(session, _UNDO_NEW, users, day)
    run(session, _UNDO_END, users, day)
    run(session, _END, day, users, *lines)
    run(session, _BEGIN, day, *lines)


def put_close(session: Session, close: Close) -> None:
    """The snapshot of a session is complete."""
    run(
        session,
        "INSERT INTO closes (day, taken_at, users) VALUES (%b, %b, %b)"
        " ON CONFLICT (day) DO UPDATE SET taken_at = excluded.taken_at, users = excluded.users",
        *close,
    )


def find_last_close(session: Session) -> Close | None:
    """The newest complete snapshot."""
    rows = rows_of(session, "SELECT day, taken_at, users FROM closes ORDER BY day DESC LIMIT 1")
    return next((Close(*row) for row in rows), None)


def list_close_days(session: Session, first: date, last: date) -> list[date]:
    """Days with a complete snapshot, ascending."""
    query = "SELECT day FROM closes WHERE day BETWEEN %b AND %b ORDER BY day"
    return [day for (day,) in rows_of(session, query, first, last)]


def find_first_flow(session: Session) -> datetime | None:
    """When money first came in; before that nothing was worth anything."""
    ((at,),) = rows_of(session, "SELECT min(at) FROM flows")
    found: datetime | None = at
    return found


def list_valued_users(session: Session, after: UUID | None, limit: int) -> list[UUID]:
    """Users that were ever valued, by id."""
    # one step down the index for each user, however many days it has; a condition that may also be absent would make
    # a kept plan read all users up to ``after``
    query = """
    WITH RECURSIVE walk AS (
        (SELECT user_id FROM valuations WHERE user_id > %b::uuid ORDER BY user_id LIMIT 1)
        UNION ALL
        SELECT (SELECT v.user_id FROM valuations v WHERE v.user_id > walk.user_id ORDER BY v.user_id LIMIT 1)
        FROM walk WHERE walk.user_id IS NOT NULL
    ) SELECT user_id FROM walk WHERE user_id IS NOT NULL LIMIT %b
    """
    return [user_id for (user_id,) in rows_of(session, query, after or NOBODY, limit)]


def load_series(session: Session, user_ids: Sequence[UUID], days: Days) -> Series:
    """Values and flows of these users on ``days`` (ascending, at least one). Flows between days go to the next one."""
    first, last = days[0].item(), days[-1].item()
    found = rows_of(session, _SERIES, list(user_ids), first, last)
    shape = (len(found), len(days))
    values, deposited, withdrawn = np.full(shape, np.nan), np.zeros(shape), np.zeros(shape)
    for index, (_, on, worth, put_in, taken_out) in enumerate(found):
        at = np.searchsorted(days, np.frombuffer(on, ">i4").astype("datetime64[D]"))
        whole = np.frombuffer(worth, ">i8")
        line = np.zeros(len(days))
        np.add.at(line, at, np.where(whole == UNKNOWN, np.nan, whole))
        values[index, at] = line[at]
        np.add.at(deposited[index], at, np.frombuffer(put_in, ">i8"))
        np.add.at(withdrawn[index], at, np.frombuffer(taken_out, ">i8"))
    return Series([row[0] for row in found], values, _steps(deposited), _steps(withdrawn))


def list_held_on(session: Session, user_id: UUID, day: date) -> list[HeldLine]:
    """What a user held at the close of ``day``."""
    return [HeldLine(user_id, *row) for row in rows_of(session, _HELD_ON, user_id, day, day)]


def list_spans(session: Session, user_id: UUID, first: date, last: date) -> list[Span]:
    """What a user held between two days, portfolios and products apart."""
    query = (
        "SELECT instrument, since, until, quantity FROM held WHERE user_id = %b AND since <= %b"
        " AND (until IS NULL OR until > %b) ORDER BY instrument, since"
    )
    return [Span(*row) for row in rows_of(session, query, user_id, last, first)]


def list_valuations(session: Session, user_id: UUID, first: date, last: date) -> list[tuple[date, Valuation]]:
    """A user's portfolios at each close of a period."""
    query = (
        "SELECT day, user_id, portfolio_id, cash_paise, market_paise, invested_paise, realised_paise, charges_paise,"
        " deposited_paise, withdrawn_paise FROM valuations WHERE user_id = %b AND day BETWEEN %b AND %b"
        " ORDER BY day, portfolio_id"
    )
    return [(day, Valuation(*row)) for day, *row in rows_of(session, query, user_id, first, last)]


def put_metrics(session: Session, day: date, rows: Iterable[tuple[UUID, dict[str, Any]]]) -> None:
    """Figures of users as of ``day``."""
    lines = [(user_id, orjson.dumps(figures).decode()) for user_id, figures in rows]
    run(
        session,
        "INSERT INTO metrics (user_id, day, figures) SELECT user_id, %b, figures::jsonb"
        " FROM unnest(%b::uuid[], %b::text[]) AS n (user_id, figures)"
        " ON CONFLICT (user_id) DO UPDATE SET day = excluded.day, figures = excluded.figures",
        day,
        *columns(lines, 2),
    )


def list_metrics(session: Session, after: UUID | None, limit: int) -> Iterator[tuple[UUID, date, dict[str, Any]]]:
    """Figures of every user's last night, by user id."""
    query = "SELECT user_id, day, figures::text FROM metrics WHERE user_id > %b::uuid ORDER BY user_id LIMIT %b"
    for user_id, day, figures in rows_of(session, query, after or NOBODY, limit):
        yield user_id, day, orjson.loads(figures)


def _steps(totals: Floats) -> Floats:
    """Growth from day to day of totals that never fall; a day without one (nought) carries the last."""
    carried: Floats = np.maximum.accumulate(totals, axis=1)
    return np.diff(carried, axis=1, prepend=0)
