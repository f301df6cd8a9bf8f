"""What the database itself refuses, whatever the application does."""

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portfolio_service.domain.ledger import Entry
from portfolio_service.models import Base
from portfolio_service.store import ledger
from saras_common.db import Database, constraint_of
from saras_common.ids import new_id
from saras_common.testing import assert_no_drift

INFY = "NSE:INFY|CNC"


def entry(book, journal, owner, account, amount, asset="INR"):
    return Entry(str(journal), str(owner), account, "main", asset, amount, "test", None, 0, 0, book.clock.now())


def add(book, *entries):
    with book.database.for_service() as session:
        ledger.add_entries(session, entries)


def test_models_and_migrations_agree(book_database):
    assert_no_drift(book_database.admin_url, "portfolio_service", Base.metadata)


def test_a_journal_that_does_not_sum_to_zero_is_refused(book):
    user, journal = new_id(), new_id()
    with pytest.raises(psycopg.Error) as caught:
        add(book, entry(book, journal, user, "cash", 100), entry(book, journal, user, "external", -99))
    assert constraint_of(caught.value) == "journal_balanced"


def test_two_wrong_journals_do_not_make_a_right_one(book):
    user = new_id()
    with pytest.raises(psycopg.Error) as caught:
        add(book, entry(book, new_id(), user, "cash", 100), entry(book, new_id(), user, "external", -100))
    assert constraint_of(caught.value) == "journal_balanced"


def test_assets_do_not_balance_one_another(book):
    user, journal = new_id(), new_id()
    with pytest.raises(psycopg.Error):
        add(book, entry(book, journal, user, "cash", 100), entry(book, journal, user, "external", -100, INFY))


@pytest.mark.parametrize("account", ["cash", "held", "securities", "securities_held"])
@pytest.mark.parametrize("before", [0, 50])
def test_no_account_of_a_user_goes_below_zero(book, account, before):
    user = new_id()
    if before:
        journal = new_id()
        add(book, entry(book, journal, user, account, before), entry(book, journal, user, "external", -before))
    journal = new_id()
    with pytest.raises(psycopg.Error) as caught:
        add(book, entry(book, journal, user, account, -51), entry(book, journal, user, "external", 51))
    assert constraint_of(caught.value) == "balances_not_negative"
    assert book.balance(user, account) == before


def test_within_one_statement_only_the_sum_counts(book):
    user, first, second = new_id(), new_id(), new_id()
    add(
        book,
        entry(book, second, user, "cash", -30),
        entry(book, second, user, "held", 30),
        entry(book, first, user, "cash", 100),
        entry(book, first, user, "external", -100),
    )
    assert (book.balance(user, "cash"), book.balance(user, "held")) == (70, 30)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET amount = 1",
        "DELETE FROM entries",
        "TRUNCATE entries",
        "UPDATE balances SET amount = 1",
        "DELETE FROM balances",
        "INSERT INTO balances VALUES (gen_random_uuid(), 'cash', 'INR', 'main', 1, 1, 1)",
        "ALTER TABLE entries DISABLE TRIGGER apply_entries",
        "UPDATE orders SET quantity = 1",
        "DELETE FROM orders",
        "UPDATE movements SET amount_paise = 1",
        "UPDATE recorded_trades SET quantity = 1",
        "DELETE FROM recorded_trades",
    ],
)
def test_the_services_login_cannot_rewrite_the_past(book, statement):
    book.user(rupees=10)
    with pytest.raises(DBAPIError) as caught, book.database.for_service() as session:
        session.execute(text(statement))
    assert isinstance(caught.value.orig, errors.InsufficientPrivilege)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET amount = 1",
        "DELETE FROM entries",
        "TRUNCATE entries",
        "UPDATE recorded_trades SET quantity = 1",
        "DELETE FROM recorded_trades",
        "TRUNCATE recorded_trades",
    ],
)
def test_not_even_the_owner_rewrites_what_is_only_added_to(book, book_database, statement):
    book.user(rupees=10)
    owner = Database(book_database.admin_url, schema="portfolio_service", pool_size=1)
    with pytest.raises(DBAPIError) as caught, owner.for_service() as session:
        session.execute(text(statement))
    assert isinstance(caught.value.orig, errors.RestrictViolation)
    owner.dispose()


OWNED = [
    "clients", "portfolios", "orders", "entries", "balances", "movements", "positions", "lots", "idempotency_keys",
    "recorded_trades",
]  # fmt: skip
RECORD = "INSERT INTO recorded_trades VALUES (:id, :user, 'NSE:INFY', 'BUY', 1, 100, now(), now())"


@pytest.mark.parametrize("table", OWNED)
def test_another_users_rows_do_not_exist(book, table):
    mine, other = book.holder(rupees=100), book.holder(rupees=100)
    for user in (mine, other):
        book.buy(user, "NSE:WIPRO", 1) if table == "orders" else None
        with book.database.for_users(user) as session:
            session.execute(text("INSERT INTO idempotency_keys VALUES (:u, 'k', '', 200, '', now())"), {"u": user})
            session.execute(text(RECORD), {"id": new_id(), "user": user})
    query = text(f"SELECT count(*) FROM {table} WHERE {_owner(table)} = :user")
    with book.database.for_users(mine) as session:
        assert session.execute(query, {"user": mine}).scalar_one() > 0
        assert session.execute(query, {"user": other}).scalar_one() == 0
        seen = session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
        assert seen == session.execute(query, {"user": mine}).scalar_one()


def test_nobody_writes_for_another_user(book):
    mine, other = book.user(rupees=100), book.user(rupees=100)
    journal = new_id()
    entries = [entry(book, journal, other, "cash", 5), entry(book, journal, other, "external", -5)]
    with pytest.raises(errors.InsufficientPrivilege), book.database.for_users(mine) as session:
        ledger.add_entries(session, entries)
    with pytest.raises(DBAPIError) as caught, book.database.for_users(mine) as session:
        session.execute(text(RECORD), {"id": new_id(), "user": other})
    assert isinstance(caught.value.orig, errors.InsufficientPrivilege)
    with book.database.for_users(mine) as session:
        changed = session.execute(text("UPDATE clients SET open_orders = 9 WHERE user_id = :u"), {"u": other})
        assert changed.rowcount == 0


def _owner(table: str) -> str:
    return "owner_id" if table in ("entries", "balances") else "user_id"
