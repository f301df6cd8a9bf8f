"""Reports over HTTP: what they hold, whose they are, and how they are made."""

import csv
import io
from datetime import timedelta

import pypdf
import pytest

from analytics_service import tasks
from analytics_service.usecases import closes, reports
from saras_common.clock import trading_day
from saras_common.db import Database
from saras_common.ids import new_id
from saras_common.inbox import Inbox

INFY = "NSE:INFY"
CHARGES = (0, 1500, 46, 2, 225, 9, 0)


def table(answer):
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))


@pytest.fixture
def trader(door):
    """Ten bought at 1500 and four of them sold at 1600, both with charges; the rest is held."""
    charges = 2 * sum(CHARGES)
    cash = 3_000_000 - 1_500_000 + 640_000 - charges
    user = door.somebody(cash=cash, deposited=3_000_000, shelves={INFY: (6, 900_000, 160_000)})
    door.service.move(user.user_id, 3_000_000)
    door.service.fill(user.user_id, charges=CHARGES)
    door.service.fill(user.user_id, "SELL", 4, 640_000, charges=CHARGES)
    return user


def test_positions_and_profit_of_today(door, trader):
    (row,) = table(trader.get("/reports/positions"))
    assert {"NSE:INFY", "6", "9600.00"} <= set(row.values())
    (row,) = table(trader.get("/reports/pnl_summary"))
    assert {"400.00", "600.00"} <= set(row.values())  # realised, and 6 x (1600 - 1500)
    today = trading_day(door.service.clock.now())
    named = trader.get(f"/reports/positions_{today:%Y%m%d}.csv")
    assert named.headers["content-disposition"] == f'attachment; filename="positions_{today:%Y%m%d}.csv"'
    assert len(table(trader.get("/reports/trades"))) == 2
    assert len(table(trader.get("/reports/tax_lots"))) == 2  # one closed, one open


def test_a_day_before_any_trade_is_empty(trader):
    assert table(trader.get("/reports/trades", date="2026-02-27")) == []
    assert trader.get("/reports/trades", date="2090-01-01").status_code == 422
    assert trader.get("/reports/nothing").status_code == 404
    assert trader.get("/reports/positions_20261399.csv").status_code == 404
    assert trader.get("/reports/monthly_statement", date="0001-01-10").status_code == 422
    assert trader.get("/reports/monthly_statement_000101.pdf").status_code == 404


def test_true_ups_are_netted_into_their_order(door):
    user, order = door.somebody(cash=1), new_id()
    door.service.fill(user.user_id, order_id=order, charges=CHARGES)
    door.service.fill(user.user_id, order_id=order, quantity=0, value=-100, kind="true_up")
    (row,) = table(user.get("/reports/trades"))
    assert "14999.00" in row.values()


@pytest.mark.parametrize("name", ["contract_note", "monthly_statement"])
def test_documents_are_pdf_and_locked_with_a_password(trader, name):
    plain = trader.get(f"/reports/{name}")
    assert (plain.status_code, plain.headers["content-type"]) == (200, "application/pdf")
    words = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(plain.content)).pages)
    assert "INFY" in words
    locked = trader.call("GET", f"/reports/{name}", headers={"X-Report-Password": "seven-herons"})
    reader = pypdf.PdfReader(io.BytesIO(locked.content))
    assert reader.is_encrypted
    assert reader.decrypt("seven-herons")
    assert trader.call("GET", f"/reports/{name}", headers={"X-Report-Password": "x"}).status_code == 422


def test_the_statements_cash_is_the_books(door, trader):
    scope = reports._scope(door.service.context, trader.user_id, None)
    data = reports._gather(door.service.context, "monthly_statement", scope)
    assert data.closing_cash_paise == door.service.context.book.find(trader.user_id).cash
    assert (data.paid_in_paise, data.paid_out_paise) == (3_000_000, 0)
    assert [row.amount_paise for row in data.cash] == [3_000_000, -1_500_000 - sum(CHARGES), 640_000 - sum(CHARGES)]


def work(door):
    while reports.work_one(door.service.context):
        pass


def test_a_report_asked_for_is_queued_made_and_fetched_by_its_owner_alone(door, trader):
    asked = trader.post("/reports", {"name": "trades"})
    assert (asked.status_code, asked.json()["status"], asked.json()["progress"]) == (202, "queued", 0)
    path = f"/reports/runs/{asked.json()['id']}"
    assert trader.get(f"{path}/content").status_code == 404
    work(door)
    assert trader.get(path).json()["status"] == "done"
    assert len(table(trader.get(f"{path}/content"))) == 2
    assert trader.get("/reports").json()["items"][0]["id"] == asked.json()["id"]
    other = door.somebody()
    for hidden in (path, f"{path}/content"):
        assert other.get(hidden).status_code == 404
        assert door.admin().get(hidden).status_code == 404  # an administrator asks with user_id instead
    assert other.get("/reports").json()["items"] == []
    assert trader.post("/reports", {"name": "nothing"}).status_code == 422
    assert trader.post("/reports", {"name": "trades", "all_users": True}).status_code == 403


def test_after_a_close_the_tables_of_all_users_are_there_for_administrators(door, trader):
    context = door.service.context
    day = trading_day(door.service.clock.now())
    door.service.clock.advance(0)
    closes.take_close(context, day)
    reports.schedule(context, day)
    work(door)
    admin = door.admin()
    done = {row["name"]: row for row in admin.get("/reports").json()["items"]}
    assert set(done) >= {"positions", "pnl_summary", "trades"}
    rows = table(admin.get(f"/reports/runs/{done['positions']['id']}/content"))
    assert str(trader.user_id) in {value for row in rows for value in row.values()}
    assert trader.get(f"/reports/runs/{done['positions']['id']}/content").status_code == 404


def test_a_users_reports_are_asked_for_and_read_where_row_level_security_holds(door, trader, monkeypatch):
    path = f"/reports/runs/{trader.post('/reports', {'name': 'trades'}).json()['id']}"
    work(door)

    def sees_everything(_):
        raise AssertionError("a user's request sees every row")

    monkeypatch.setattr(Database, "for_service", sees_everything)
    assert trader.post("/reports", {"name": "positions"}).status_code == 202
    assert len(trader.get("/reports").json()["items"]) == 2
    assert trader.get(path).json()["status"] == "done"
    assert trader.get(f"{path}/content").status_code == 200
    monkeypatch.undo()
    work(door)


def test_a_report_left_by_a_dead_worker_is_made_by_the_next(door, trader):
    asked = trader.post("/reports", {"name": "trades"}).json()
    with door.service.database.for_service() as session:
        assert str(reports.reports.take_report(session, reports.STALE_S).id) == asked["id"]
    assert not reports.work_one(door.service.context)
    door.service.rows(
        "UPDATE reports SET touched_at = now() - make_interval(secs => 500) WHERE id = :id RETURNING 1", id=asked["id"]
    )
    work(door)
    assert trader.get(f"/reports/runs/{asked['id']}").json()["status"] == "done"


def test_all_users_tables_are_made_before_the_first_close_too(service, monkeypatch):
    told = []
    monkeypatch.setattr(reports.reports, "set_progress", lambda *values: told.append(values[-1]))
    users = [service.user(cash=1, shelves={INFY: (count, count * 1000, 2000)}) for count in (1, 2, 3)]
    asked = reports.queue_report(service.context, "positions", new_id(), None, all_users=True)
    assert reports.work_one(service.context)
    with service.database.for_service() as session:
        filename, _, content = reports.reports.find_content(session, asked.id)
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert {row["user_id"]: row["market_value"] for row in rows} == {
        str(user): f"{20 * count}.00" for count, user in enumerate(users, 1)
    }
    assert filename.startswith("positions_")
    assert told == [33, 66, 99]


def test_the_round_closes_the_day_and_makes_its_reports(service):
    user = service.user(cash=100, deposited=100)
    service.move(user, 100)
    service.clock.advance(timedelta(hours=6).total_seconds())
    inbox = Inbox("analytics_service", "analytics-service")
    tasks.turn(service.context, inbox)
    tasks.turn(service.context, inbox)
    assert service.rows("SELECT day, users FROM closes") == [(trading_day(service.clock.now()), 1)]
    assert service.rows("SELECT DISTINCT status FROM reports") == [("done",)]
    assert service.scalar("SELECT count(*) FROM reports") == 3
