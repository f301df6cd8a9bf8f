"""What order entry reads and writes."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy.orm import Session

from portfolio_service.domain.entry import Market, ShelfKey
from portfolio_service.domain.placed import Placed
from portfolio_service.store.arrays import array, few_array, rows_of, run, text_array

_MARKETS = """
SELECT i.name, i.tick_paise, i.lot_size, m.last_paise,
    ARRAY(SELECT b.account_id FROM blocked_instruments b WHERE b.instrument = i.name)
FROM instruments i LEFT JOIN marks m ON m.instrument = i.name WHERE i.name = ANY(%s::text[])
"""

_PORTFOLIOS = "SELECT user_id::text, id::text FROM portfolios WHERE user_id = ANY(%s::uuid[])"

_FREE_SHARES = """
SELECT p.user_id::text, p.portfolio_id::text, p.instrument, p.product, p.quantity - p.reserved
FROM positions p WHERE p.user_id = ANY(%s::uuid[]) AND p.instrument = ANY(%s::text[])
"""

_ADD_ORDERS = """
INSERT INTO orders (id, user_id, account_id, portfolio_id, instrument, side, order_type, product, validity, quantity,
    price_paise, trigger_price_paise, hold_paise, hold_quantity, basket_id, created_at, updated_at)
SELECT *, at FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::uuid[], %s::timestamptz[])
    AS row (id, user_id, account_id, portfolio_id, instrument, side, order_type, product, validity, quantity,
    price_paise, trigger_price_paise, hold_paise, hold_quantity, basket_id, at)
"""

_RESERVE_SHARES = """
UPDATE positions p SET reserved = p.reserved + s.quantity
FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::bigint[])
    AS s (user_id, portfolio_id, instrument, product, quantity)
WHERE (p.user_id, p.portfolio_id, p.instrument, p.product)
    = (s.user_id, s.portfolio_id, s.instrument COLLATE "C", s.product COLLATE "C")
"""


def list_markets(session: Session, instruments: Iterable[str]) -> dict[str, Market]:
    """What is known of each of these that exists."""
    rows = rows_of(session, _MARKETS, text_array(instruments))
    return {name: Market(tick, lot, last, frozenset(blocked)) for name, tick, lot, last, blocked in rows}


def list_portfolio_ids(session: Session, user_ids: Iterable[str]) -> dict[str, set[str]]:
    """The users' own portfolios."""
    found: dict[str, set[str]] = {}
    for user_id, portfolio_id in rows_of(session, _PORTFOLIOS, array(user_ids)):
        found.setdefault(user_id, set()).add(portfolio_id)
    return found


def list_free_shares(
    session: Session, user_ids: Iterable[str], instruments: Iterable[str]
) -> dict[str, dict[ShelfKey, int]]:
    """Units no open sell holds, by user and shelf."""
    found: dict[str, dict[ShelfKey, int]] = {}
    for user_id, portfolio, instrument, product, free in rows_of(
        session, _FREE_SHARES, array(user_ids), text_array(instruments)
    ):
        found.setdefault(user_id, {})[portfolio, instrument, product] = free
    return found


def add_orders(session: Session, placed: Sequence[Placed]) -> None:
    """Store accepted orders."""
    terms = [order.accepted.terms for order in placed]
    accepted = [order.accepted for order in placed]
    run(
        session,
        _ADD_ORDERS,
        array([order.id for order in placed]),
        few_array([order.user_id for order in placed]),
        text_array([order.account_id for order in placed]),
        few_array([order.portfolio_id for order in accepted]),
        text_array([term.instrument for term in terms]),
        few_array([term.side for term in terms]),
        few_array([term.order_type for term in terms]),
        few_array([term.product for term in terms]),
        few_array([term.validity for term in terms]),
        array([term.quantity for term in terms]),
        array([term.price for term in terms]),
        array([term.trigger_price for term in terms]),
        array([order.hold_paise for order in accepted]),
        array([order.hold_quantity for order in accepted]),
        few_array([order.basket_id for order in placed]),
        few_array([order.created_at for order in placed]),
    )


def reserve_shares(session: Session, units: Mapping[tuple[str, str, str, str], int]) -> None:
    """Count units as held by open sells, by (user, portfolio, instrument, product)."""
    if units:
        users, portfolios, instruments, products = zip(*sorted(units), strict=True)
        run(
            session,
            _RESERVE_SHARES,
            array(users),
            array(portfolios),
            text_array(instruments),
            array(products),
            array([units[key] for key in sorted(units)]),
        )
