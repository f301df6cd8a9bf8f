"""What order entry reads and writes: one statement each, however many orders share the commit.

The statements are sent without waiting for one another; what is read comes with the first answer asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from portfolio_service.domain.entry import Market, ShelfKey, Wallet
from portfolio_service.domain.ledger import asset_of
from portfolio_service.domain.placed import Placed
from portfolio_service.store import clients
from portfolio_service.store.arrays import array, few_array, text_array
from portfolio_service.store.idempotency import Kept
from saras_common.clock import trading_day
from saras_common.db import driver
from saras_common.ids import NewId

# its own statement behind the lock: what others committed while we waited for it is seen
_READ = """
SELECT (SELECT json_agg(json_build_array(owner_id, account_id, amount)) FROM balances
        WHERE owner_id = ANY(%(users)s::uuid[]) AND account = 'cash' AND asset = 'INR'),
    (SELECT json_agg(json_build_array(i.name, i.tick_paise, i.lot_size, m.last_paise,
            ARRAY(SELECT b.account_id FROM blocked_instruments b WHERE b.instrument = i.name)))
        FROM instruments i LEFT JOIN marks m ON m.instrument = i.name WHERE i.name = ANY(%(instruments)s::text[])),
    (SELECT json_agg(json_build_array(k.user_id, k.key, encode(k.fingerprint, 'hex'), k.status,
            convert_from(k.body, 'UTF8')))
        FROM unnest(%(keyed)s::uuid[], %(keys)s::text[]) AS asked (user_id, key)
        JOIN idempotency_keys k ON k.user_id = asked.user_id AND k.key = asked.key COLLATE "C"),
    (SELECT json_agg(json_build_array(user_id, portfolio_id, instrument, product, quantity - reserved)) FROM positions
        WHERE user_id = ANY(%(sellers)s::uuid[]) AND instrument = ANY(%(sold)s::text[])),
    (SELECT json_agg(json_build_array(user_id, id)) FROM portfolios WHERE user_id = ANY(%(choosers)s::uuid[]))
"""

# a buy's cash leaves in one line a request and is held order by order; a sell's units move order by order
_RECORD = """
WITH placed AS MATERIALIZED (
    SELECT *, %(at)s::timestamptz AS at FROM unnest(%(ids)s::uuid[], %(journals)s::uuid[], %(users)s::uuid[],
        %(accounts)s::text[], %(portfolios)s::uuid[], %(instruments)s::text[], %(sides)s::text[], %(types)s::text[],
        %(products)s::text[], %(validities)s::text[], %(quantities)s::bigint[], %(prices)s::bigint[],
        %(triggers)s::bigint[], %(paise)s::bigint[], %(units)s::bigint[], %(assets)s::text[], %(baskets)s::uuid[],
        %(values)s::bigint[])
        AS row (id, journal_id, user_id, account_id, portfolio_id, instrument, side, order_type, product, validity,
        quantity, price_paise, trigger_price_paise, hold_paise, hold_quantity, asset, basket_id, value_paise)
), stored AS (
    INSERT INTO orders (id, user_id, account_id, portfolio_id, instrument, side, order_type, product, validity,
        quantity, price_paise, trigger_price_paise, hold_paise, hold_quantity, basket_id, created_at, updated_at)
    SELECT id, user_id, account_id, portfolio_id, instrument, side, order_type, product, validity,
        quantity, price_paise, trigger_price_paise, hold_paise, hold_quantity, basket_id, at, at FROM placed
), counted AS (
    UPDATE clients SET open_orders = open_orders + more.orders, day = %(day)s,
        day_orders = CASE WHEN day = %(day)s THEN day_orders ELSE 0 END + more.orders,
        day_paise = CASE WHEN day = %(day)s THEN day_paise ELSE 0 END + more.paise
    FROM (SELECT user_id, count(*) AS orders, sum(value_paise)::bigint AS paise FROM placed GROUP BY user_id) AS more
    WHERE clients.user_id = more.user_id
), kept AS (
    INSERT INTO idempotency_keys (user_id, key, fingerprint, status, body, created_at)
    SELECT user_id, key, decode(fingerprint, 'hex'), status, convert_to(body, 'UTF8'), %(at)s::timestamptz
    FROM unnest(%(keyed)s::uuid[], %(keys)s::text[], %(marks)s::text[], %(statuses)s::smallint[], %(bodies)s::text[])
        AS answer (user_id, key, fingerprint, status, body)
)
INSERT INTO entries (journal_id, owner_id, account, account_id, asset, amount, kind, order_id, value_paise,
    charges_paise, at)
SELECT journal_id, user_id, 'held', account_id, 'INR', hold_paise, 'reserve', id, 0, 0, at
FROM placed WHERE hold_paise > 0
UNION ALL SELECT journal_id, user_id, 'cash', account_id, 'INR', -sum(hold_paise)::bigint, 'reserve', NULL, 0, 0, at
FROM placed WHERE hold_paise > 0 GROUP BY journal_id, user_id, account_id, at
UNION ALL SELECT journal_id, user_id, line.account, account_id, asset, line.sign * hold_quantity, 'reserve', id, 0, 0,
    at
FROM placed, (VALUES ('securities', -1), ('securities_held', 1)) AS line (account, sign) WHERE hold_quantity > 0
"""

# behind the balances, as every transaction of this service takes its locks
_RESERVE_SHARES = """
UPDATE positions p SET reserved = p.reserved + s.quantity
FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::bigint[])
    AS s (user_id, portfolio_id, instrument, product, quantity)
WHERE (p.user_id, p.portfolio_id, p.instrument, p.product)
    = (s.user_id, s.portfolio_id, s.instrument COLLATE "C", s.product COLLATE "C")
"""


class Asked(NamedTuple):
    """What a group's requests touch: users with keys, users who sell, users who name a portfolio."""

    users: Sequence[str]
    instruments: Iterable[str]
    keys: Sequence[tuple[str, str]]
    sellers: Iterable[str]
    sold: Iterable[str]
    choosers: Iterable[str]


class Found(NamedTuple):
    """The users' wallets, filled and locked; the markets by name; answers given before by (user, key)."""

    wallets: dict[str, Wallet]
    markets: dict[str, Market]
    kept: dict[tuple[str, str], Kept]


def lock_and_read(session: Session, asked: Asked, now: datetime, new_id: NewId) -> Found:
    """Take the users' locks in the order of their ids, then read; users the book has not met get their record."""
    connection = driver(session)
    users = array(asked.users)
    parameters = {
        "users": users,
        "instruments": text_array(asked.instruments),
        "keyed": array([user_id for user_id, _ in asked.keys]),
        "keys": text_array([key for _, key in asked.keys]),
        "sellers": array(asked.sellers),
        "sold": text_array(asked.sold),
        "choosers": array(asked.choosers),
    }
    locked = connection.execute(clients.LOCK, (users,))
    read = connection.execute(_READ, parameters)
    wallets = {row[0]: Wallet(*row) for row in locked.fetchall()}
    if len(wallets) < len(asked.users):
        clients.add_clients(session, [user_id for user_id in asked.users if user_id not in wallets], now, new_id)
        return lock_and_read(session, asked, now, new_id)
    ((cash, markets, kept, shares, portfolios),) = read.fetchall()
    _fill(wallets, cash or (), shares or (), portfolios or ())
    return Found(
        wallets,
        {name: Market(tick, lot, last, frozenset(blocked)) for name, tick, lot, last, blocked in markets or ()},
        {
            (user_id, key): Kept(user_id, key, bytes.fromhex(mark), status, body.encode())
            for user_id, key, mark, status, body in kept or ()
        },
    )


def _fill(
    wallets: dict[str, Wallet],
    cash: Iterable[tuple[str, str, int]],
    shares: Iterable[tuple[str, str, str, str, int]],
    portfolios: Iterable[tuple[str, str]],
) -> None:
    for user_id, account_id, amount in cash:
        wallet = wallets[user_id]
        if wallet.account_id == account_id:
            wallet.available_paise = amount
    for user_id, portfolio_id, instrument, product, free in shares:
        wallets[user_id].shares[portfolio_id, instrument, product] = free
    for user_id, portfolio_id in portfolios:
        wallets[user_id].portfolios |= {portfolio_id}


def record(
    session: Session,
    placed: Sequence[Placed],
    units: Mapping[tuple[str, ShelfKey], int],
    answers: Sequence[Kept],
    now: datetime,
) -> None:
    """Store accepted orders with their holds, and answers to keys; ``units`` are what sells hold, by user and shelf.

    An error of ``balances_not_negative``, raised at the end, means that somebody has not got what was taken from him.
    """
    terms = [order.accepted.terms for order in placed]
    accepted = [order.accepted for order in placed]
    connection = driver(session)
    connection.execute(
        _RECORD,
        {
            "at": now,
            "day": trading_day(now),
            "ids": array([order.id for order in placed]),
            "journals": few_array([order.journal_id for order in placed]),
            "users": few_array([order.user_id for order in placed]),
            "accounts": text_array([order.account_id for order in placed]),
            "portfolios": few_array([order.portfolio_id for order in accepted]),
            "instruments": text_array([term.instrument for term in terms]),
            "sides": few_array([term.side for term in terms]),
            "types": few_array([term.order_type for term in terms]),
            "products": few_array([term.product for term in terms]),
            "validities": few_array([term.validity for term in terms]),
            "quantities": array([term.quantity for term in terms]),
            "prices": array([term.price for term in terms]),
            "triggers": array([term.trigger_price for term in terms]),
            "paise": array([order.hold_paise for order in accepted]),
            "units": array([order.hold_quantity for order in accepted]),
            "assets": text_array([asset_of(term.instrument, term.product) for term in terms]),
            "baskets": few_array([order.basket_id for order in placed]),
            "keyed": array([kept.user_id for kept in answers]),
            "keys": text_array([kept.key for kept in answers]),
            "marks": array([kept.fingerprint.hex() for kept in answers]),
            "statuses": array([kept.status for kept in answers]),
            "bodies": text_array([kept.body.decode() for kept in answers]),
            "values": array([order.value_paise for order in accepted]),
        },
    )
    if units:
        rows = [(user_id, *shelf, units[user_id, shelf]) for user_id, shelf in sorted(units)]
        users, portfolios, instruments, products, quantities = zip(*rows, strict=True)
        shelves = (array(users), array(portfolios), text_array(instruments), array(products), array(quantities))
        connection.execute(_RESERVE_SHARES, shelves)
