"""An administrator's routes: imports with adjustments and gaps, corrections, replays, closes."""

from datetime import date

import pytest

INFY, TCS = "NSE:INFY", "NSE:TCS"

# shapes of the files, figures made up: Kite's candles, the exchange's old and new bhavcopy, and any CSV
KITE = b"""{"status": "success", "data": {"candles": [
["2025-07-01T09:15:00+0530", 1704.5, 1705, 1699.25, 1702.8, 2499],
["2025-07-01T15:29:00+0530", 1702, 1710, 1698.15, 1698.15, 1271],
["2025-07-03T09:15:00+0530", 1700, 1700, 1690, 1695, 10]]}}"""
OLD_BHAVCOPY = b"""SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,
AAA,EQ,10,12,9.5,11,11,10,500,5500,02-JAN-2020,3,INE1,
AAA,N1,1000,1000,1000,1000,1000,1000,1,1000,02-JAN-2020,1,INE2,
BBB,BE,20,20,20,20,20,20,5,100,02-JAN-2020,1,INE3,
"""
NEW_BHAVCOPY = b"""TradDt,Sgmt,Src,FinInstrmTp,ISIN,TckrSymb,SctySrs,OpnPric,HghPric,LwPric,ClsPric,TtlTradgVol
2025-07-02,CM,NSE,STK,INE1,CCC,EQ,10.00,12.00,9.50,11.00,500
"""
GENERIC = b"instrument,date,open,high,low,close,volume\nNSE:DDD,2025-07-01,1,2,1,1.505,\n"


def take(door, content, **params):
    return door.admin().call("POST", "/admin/history/prices", content=content, params=params)


def days_of(door, instrument, **params):
    query = {"from": "2020-01-01", "to": "2025-12-31", **params}
    return door.somebody().get(f"/analytics/history/{instrument}", **query).json()


def test_kites_candles_become_days_and_a_missing_session_is_a_gap(door):
    answer = take(door, KITE, instrument="NSE:KITE")
    assert answer.json() == {"days": 2, "instruments": 1, "first_on": "2025-07-01", "last_on": "2025-07-03"}
    body = days_of(door, "NSE:KITE")
    assert [(bar["day"], bar["open"], bar["high"], bar["low"], bar["close"]) for bar in body["items"]] == [
        ("2025-07-01", "1704.50", "1710.00", "1698.15", "1698.15"),
        ("2025-07-02", None, None, None, None),
        ("2025-07-03", "1700.00", "1700.00", "1690.00", "1695.00"),
    ]
    assert (body["gaps"], body["items"][0]["volume"]) == (1, 3770)


@pytest.mark.parametrize(
    ("content", "instrument", "close", "volume"),
    [
        (OLD_BHAVCOPY, "NSE:AAA", "11.00", 500),
        (OLD_BHAVCOPY, "NSE:BBB", "20.00", 5),
        (NEW_BHAVCOPY, "NSE:CCC", "11.00", 500),
        (GENERIC, "NSE:DDD", "1.51", None),
    ],
)
def test_every_form_of_file_is_read(door, content, instrument, close, volume):
    assert take(door, content).status_code == 200
    (bar,) = days_of(door, instrument)["items"]
    assert (bar["close"], bar["volume"]) == (close, volume)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n", "no column"),
        (b"date,open,high,low,close\n2025-07-01,1,2,1,3\n", "between low and high"),
        (b"date,open,high,low,close\nyesterday,1,2,1,1\n", "not a date"),
        (b"date,open,high,low,close\n2025-07-01,1,2,1,NaN\n", "not a price"),
        (b"date,open,high,low,close\n2025-07-01,-1,2,-1,1\n", "not a price"),
        (b"date,open,high,low,close,volume\n2025-07-01,1,2,1,1,lots\n", "not a number"),
        (b"{", "not valid JSON"),
        (b"[" * 30_000 + b"]" * 30_000, "not valid JSON"),
        (b'{"data": 1}', "no candles"),
        (b"[[1]]", "not a price"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_file_with_a_fault_is_refused_whole_and_says_where(door, content, message):
    good_then_bad = content
    answer = take(door, good_then_bad, instrument="NSE:BAD")
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["code"] == "invalid_input"
    assert any(message in error["message"] for error in problem["errors"]), problem
    assert door.service.scalar("SELECT count(*) FROM day_prices WHERE instrument = 'NSE:BAD'") == 0


def test_splits_adjust_what_came_before_and_nothing_else(door):
    admin = door.admin()
    content = b"date,open,high,low,close,volume\n2025-07-01,100,110,90,101,50\n2025-07-02,51,52,50,51,100\n"
    assert take(door, content, instrument="NSE:SPLIT").status_code == 200
    action = {"instrument": "NSE:SPLIT", "ex_day": "2025-07-02", "ratio": "2"}
    assert admin.post("/admin/history/corporate-actions", {"actions": [action]}).json() == {"count": 1}
    adjusted = days_of(door, "NSE:SPLIT")["items"]
    assert [(bar["close"], bar["volume"]) for bar in adjusted] == [("50.50", 100), ("51.00", 100)]
    raw = days_of(door, "NSE:SPLIT", adjusted="false")["items"]
    assert [bar["close"] for bar in raw] == ["101.00", "51.00"]
    for wrong in ("0", "x", "NaN", "-1", 2):
        body = {"actions": [{**action, "ratio": wrong}]}
        assert admin.post("/admin/history/corporate-actions", body).status_code == 422


def test_any_price_has_its_digits_after_consolidations(door):
    content = b"date,open,high,low,close,volume\n2025-07-01,1,1,1,1,1\n"
    assert take(door, content, instrument="NSE:FEW").status_code == 200
    actions = [{"instrument": "NSE:FEW", "ex_day": f"2025-07-0{day}", "ratio": "0.000000000001"} for day in (2, 3, 4)]
    assert door.admin().post("/admin/history/corporate-actions", {"actions": actions}).status_code == 200
    (bar,) = days_of(door, "NSE:FEW")["items"]
    assert (bar["close"], bar["volume"]) == (f"1{36 * '0'}.00", 0)


def test_more_shares_than_there_can_be_are_unknown(door):
    rows = "".join(f"2025-07-0{day},1,1,1,1,{2**63 - 1}\n" for day in (1, 2))
    content = f"date,open,high,low,close,volume\n{rows}".encode()
    assert take(door, content, instrument="NSE:CROWD").status_code == 200
    action = {"instrument": "NSE:CROWD", "ex_day": "2025-07-02", "ratio": "1000"}
    assert door.admin().post("/admin/history/corporate-actions", {"actions": [action]}).status_code == 200
    assert [bar["volume"] for bar in days_of(door, "NSE:CROWD")["items"]] == [None, 2**63 - 1]
    assert [bar["volume"] for bar in days_of(door, "NSE:CROWD", interval="week")["items"]] == [None]


def test_weeks_and_months_are_made_of_days(door):
    rows = b"".join(b"2025-07-%02d,%d,%d,%d,%d,1\n" % (day, day, day + 1, day, day) for day in (1, 2, 7, 31))
    assert take(door, b"date,open,high,low,close,volume\n" + rows, instrument="NSE:LONG").status_code == 200
    weeks = days_of(door, "NSE:LONG", interval="week")["items"]
    assert [(bar["day"], bar["open"], bar["close"]) for bar in weeks] == [
        ("2025-06-30", "1.00", "2.00"), ("2025-07-07", "7.00", "7.00"), ("2025-07-28", "31.00", "31.00"),
    ]  # fmt: skip
    (month,) = days_of(door, "NSE:LONG", interval="month")["items"]
    assert (month["open"], month["high"], month["low"], month["close"], month["volume"]) == (
        "1.00", "32.00", "1.00", "31.00", 4,
    )  # fmt: skip


def test_an_instrument_nobody_knows_has_no_history(door):
    assert door.somebody().get("/analytics/history/NSE:NOBODY").status_code == 404
    assert door.somebody().get("/analytics/history/nothing").status_code == 422
    assert door.somebody().get(f"/analytics/history/{INFY}", interval="minute").status_code == 422


def test_facts_are_told_when_they_are_new(door):
    admin = door.admin()
    fact = {"instrument": "NSE:FACT", "sector": "Power", "shares_issued": 1000}
    assert admin.post("/admin/history/facts", {"facts": [fact]}).json() == {"count": 1}
    assert admin.post("/admin/history/facts", {"facts": [fact]}).json() == {"count": 0}
    again = {"instrument": "NSE:FACT", "sector": "Power"}  # what is left out stays known
    assert admin.post("/admin/history/facts", {"facts": [again]}).json() == {"count": 0}


def test_a_rejected_trade_is_seen_corrected_and_gone(door):
    user, admin = door.somebody(cash=1), door.admin()
    door.service.record(user.user_id, instrument="NSE:TYPO", quantity=2)
    (row,) = [
        row
        for row in admin.get("/admin/trades/rejected", status="open", limit=500).json()["items"]
        if row["user_id"] == str(user.user_id)
    ]
    assert (row["reason"], row["trade"]["instrument"], row["trade"]["value"]) == (
        "unknown_instrument", "NSE:TYPO", "3000.00",
    )  # fmt: skip
    path = f"/admin/trades/rejected/{row['id']}/replay"
    assert admin.post(path, {}).json()["code"] == "still_rejected"
    fixed = admin.post(path, {"instrument": INFY, "price": "1490.00"})
    assert (fixed.status_code, fixed.json()["status"]) == (200, "replayed")
    assert admin.post(path, {"instrument": INFY}).json()["code"] == "already_replayed"
    (position,) = user.get("/analytics").json()["elsewhere"]
    assert (position["quantity"], position["cost"]) == (2, "2980.00")
    assert admin.post(path, {"quantity": 0}).status_code == 422
    assert admin.post("/admin/trades/rejected/no-id/replay", {}).status_code == 404


def test_rebuilding_changes_nothing(door):
    user = door.somebody(cash=1, deposited=1)
    door.service.fill(user.user_id)
    before = user.get("/analytics").json()["positions"]
    stored = door.service.scalar("SELECT count(*) FROM trades")
    assert door.admin().post("/admin/trades/rebuild").json() == {"count": stored}
    assert user.get("/analytics").json()["positions"] == before


def test_a_close_by_hand_is_listed_with_everybodys_figures(door):
    user, admin = door.somebody(cash=100, deposited=100), door.admin()
    last = door.service.scalar("SELECT max(day) FROM closes") or date(2026, 3, 2)
    close = admin.post("/admin/analytics/close", {"day": max(last, date(2026, 3, 9)).isoformat()})
    assert close.status_code == 200, close.text
    assert close.json()["users"] >= 1
    found = {row["user_id"]: row for row in admin.get("/admin/analytics", limit=500).json()["items"]}
    assert found[str(user.user_id)]["figures"]["twr"].keys() >= {"value", "reason"}
    assert admin.post("/admin/analytics/close", {"day": "2020-01-01"}).json()["code"] == "day_passed"
    for day in ("0054-01-25", "9999-12-31"):  # every series would have a row for each session up to today
        refused = admin.post("/admin/analytics/close", {"day": day})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "day")
