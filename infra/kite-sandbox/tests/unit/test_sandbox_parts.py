"""Limits, faults, hours, tokens, settings, journal records, instruments, prices and history."""

import asyncio
import gzip
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from kite_sandbox.candles import load_daily_candles
from kite_sandbox.clock import IST, SandboxClock, token_expiry
from kite_sandbox.engine import records as r
from kite_sandbox.engine.model import OrderType, Side, Validity
from kite_sandbox.errors import KiteError
from kite_sandbox.faults import Faults, parse_fault
from kite_sandbox.history import History
from kite_sandbox.instruments import Catalogue, load_instruments, shipped_instruments
from kite_sandbox.journal import Journal, JournalError
from kite_sandbox.limits import RateLimits
from kite_sandbox.market_hours import MarketHours
from kite_sandbox.prices import price_source
from kite_sandbox.settings import Settings

NOW = datetime(2026, 4, 6, 5, 0, tzinfo=UTC)


def test_windows_slide():
    now = [0.0]
    limits = RateLimits(lambda: now[0], is_strict=True)
    assert [limits.take("key", "orders") for _ in range(11)] == [True] * 10 + [False]
    now[0] = 0.99
    assert not limits.take("key", "orders")
    assert limits.take("other", "orders")
    now[0] = 1.0
    assert limits.take("key", "orders")


def test_four_hundred_a_minute():
    now = [0.0]
    limits = RateLimits(lambda: now[0], is_strict=True)
    taken = 0
    while now[0] < 59.9:
        taken += limits.take("key", "orders")
        now[0] += 0.1
    assert taken == 400


def test_limits_can_be_off():
    limits = RateLimits(lambda: 0.0, is_strict=False)
    assert all(limits.take("key", "quotes") for _ in range(100))


def test_faults_count_calls_and_hit_together():
    faults = Faults()
    faults.add(parse_fault("orders", "http_500", 1, 1))
    faults.add(parse_fault("orders", "delay:0.5", 2, 0))
    faults.add(parse_fault("orders", "truncated", 1, 1))
    faults.add(parse_fault("place_order", "partial:0.25", 1, 0))
    hits = [faults.take("orders") for _ in range(4)]
    assert [(hit.outcome, hit.delay_s) for hit in hits] == [
        (None, 0.5),
        ("http_500", 0.5),
        ("truncated", 0.0),
        (None, 0.0),
    ]
    assert [fault.as_dict() for fault in faults.pending()] == [
        {"route": "place_order", "kind": "partial:0.25", "count": 1, "after": 0},
    ]
    faults.clear()
    assert faults.pending() == []


@pytest.mark.parametrize(
    "kind", ["partial", "partial:", "partial:NaN", "partial:-1", "delay:3601", "reject:1", "nope", 5]
)
def test_unknown_faults(kind):
    with pytest.raises(KiteError):
        parse_fault("orders", kind, 1, 0)


@pytest.mark.parametrize(
    ("login", "expiry"),
    [("2026-04-06T05:59:59", "2026-04-06T06:00:00"), ("2026-04-06T06:00:00", "2026-04-07T06:00:00")],
)
def test_tokens_die_at_six(login, expiry):
    at = datetime.fromisoformat(login).replace(tzinfo=IST)
    assert token_expiry(at) == datetime.fromisoformat(expiry).replace(tzinfo=IST)


def test_the_clock_runs_on_from_where_it_is_set():
    real = [NOW]
    clock = SandboxClock(lambda: real[0])
    clock.offset = clock.offset_to(NOW + timedelta(days=30))
    real[0] += timedelta(seconds=5)
    assert clock.now() == NOW + timedelta(days=30, seconds=5)


@pytest.mark.parametrize(
    ("at", "is_open", "takes_amo"),
    [
        ("2026-04-06T09:14:59", False, False),
        ("2026-04-06T09:15:00", True, False),
        ("2026-04-06T15:29:59", True, False),
        ("2026-04-06T15:30:00", False, False),
        ("2026-04-06T16:00:00", False, True),
        ("2026-04-07T08:57:59", False, True),
        ("2026-04-07T08:58:00", False, False),
        ("2026-04-04T11:00:00", False, True),
        ("2026-04-03T11:00:00", False, True),
        ("2026-02-01T11:00:00", True, False),
        ("2027-01-26T11:00:00", True, False),
    ],
)
def test_the_exchanges_week(at, is_open, takes_amo):
    hours = MarketHours("nse")
    moment = datetime.fromisoformat(at).replace(tzinfo=IST)
    assert (hours.is_open(moment), hours.takes_amo(moment)) == (is_open, takes_amo)


def test_next_trading_day_skips_holidays():
    assert MarketHours("nse").next_trading_day(date(2026, 4, 2)) == date(2026, 4, 6)
    assert MarketHours("always").next_trading_day(date(2026, 4, 2)) == date(2026, 4, 3)


@pytest.mark.parametrize(
    "environment",
    [
        {"accounts": "a:b"},
        {"accounts": "a:b:C1,a:d:C2"},
        {"accounts": "a b:c:D1"},
        {"cash": "1.001"},
        {"cash": "NaN"},
        {"prices": "walk:x"},
        {"prices": "replay:"},
        {"prices": "guess"},
        {"market_hours": "nyse"},
        {"postback_url": "file:///etc/passwd"},
        {"port": 70000},
    ],
)
def test_bad_settings_are_refused(environment):
    with pytest.raises(ValidationError):
        Settings(**environment)


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SANDBOX_ACCOUNTS", "one:s:AA1,two:t:AA2")
    monkeypatch.setenv("SANDBOX_CASH", "12.50")
    settings = Settings.from_environment()
    assert [account.api_key for account in settings.accounts] == ["one", "two"]
    assert settings.cash_paise == 1_250
    assert "'s'" not in repr(settings)


def test_every_kind_of_record_survives_the_journal():
    placed = r.OrderPlaced(
        at=NOW, order_id="1", api_key="k", instrument="NSE:INFY", variety="regular", side=Side.BUY, product="CNC",
        order_type=OrderType.SLM, quantity=1, price_paise=5, trigger_price_paise=6, validity=Validity.DAY,
        disclosed_quantity=0, market_protection=Decimal("2.5"), tag=None, tags=["a"], parent_order_id=None,
        visible_at=NOW, fill_cap=0, blocked_paise=7, is_queued=False, rejection=None,
    )  # fmt: skip
    started = r.DayStarted(at=NOW, day=date(2026, 4, 6))
    for record in (placed, started):
        assert r.from_dict(json.loads(json.dumps(r.to_dict(record)))) == record
    assert isinstance(r.from_dict(json.loads(json.dumps(r.to_dict(placed)))).order_type, OrderType)


def test_no_record_has_a_field_that_hides_its_kind():
    for name, record_type in r.KINDS.items():
        assert "kind" not in record_type.__dataclass_fields__, name


def test_journal_appends_reads_and_rotates(tmp_path):
    async def write():
        journal = Journal(tmp_path)
        journal.append([{"n": 1}, {"n": 2}])
        await asyncio.gather(*(journal.durable() for _ in range(10)))
        assert [line["n"] for line in journal.read()] == [1, 2]
        await journal.start_new_file()
        journal.append([{"n": 3}])
        await journal.durable()
        journal.close()

    asyncio.run(write())
    again = Journal(tmp_path)
    assert [line["n"] for line in again.read()] == [3]
    with pytest.raises(JournalError, match="another sandbox"):
        Journal(tmp_path)
    again.close()


def test_a_full_disk_is_an_error_for_everyone_who_waits(tmp_path):
    async def write(full):
        journal = Journal(tmp_path)
        journal._file.close()
        journal._file = full
        journal.append([{"n": 1}])
        with pytest.raises(JournalError, match="cannot be written"):
            await journal.durable()
        assert journal.failure
        journal.close()

    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("this system has no /dev/full")
    with device.open("ab", buffering=0) as full:
        asyncio.run(write(full))


HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange\n"
)
ROWS = (
    "256265,1001,NIFTY 50,NIFTY 50,0.0,,0.0,0.0,0,EQ,INDICES,NSE\n"
    "408065,1594,INFY,INFOSYS,0.0,,0.0,0.1,1,EQ,NSE,NSE\n"
    "1,2,SMALL-SM,SMALL CO,0.0,,0.0,0.05,1200,EQ,NSE,NSE\n"
    "3,4,GOLD26APRFUT,GOLD,0.0,2026-04-30,0.0,1.0,1,FUT,MCX-FUT,MCX\n"
)


def test_a_kite_instruments_file(tmp_path):
    path = tmp_path / "instruments.csv.gz"
    path.write_bytes(gzip.compress((HEADER + ROWS).encode()))
    catalogue = Catalogue(load_instruments(path))
    infy, small, gold = (catalogue.find(key) for key in ("NSE:INFY", "NSE:SMALL-SM", "MCX:GOLD26APRFUT"))
    assert (infy.token, infy.isin, infy.start_price_paise) == (408065, "INE009A01021", 150_000)
    assert small.start_price_paise % 5 == 0
    assert 5_000 <= small.start_price_paise < 205_000
    assert [item.is_traded for item in (infy, small, gold)] == [True, True, False]
    assert catalogue.as_csv("MCX").decode().splitlines()[1].startswith("3,4,GOLD26APRFUT")
    assert len(catalogue.as_csv(None).splitlines()) == 5


@pytest.mark.parametrize(("text", "message"), [("a,b\n1,2\n", "not a Kite"), (HEADER + "x" + ROWS, "line 2")])
def test_a_broken_instruments_file_is_named(tmp_path, text, message):
    path = tmp_path / "instruments.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_instruments(path)


def test_the_shipped_list():
    listed = shipped_instruments()
    traded = [item for item in listed if item.is_traded]
    assert (len(listed), len(traded)) == (51, 50)
    assert len({item.token for item in listed}) == 51
    assert len({item.isin for item in traded}) == 50
    assert all(item.start_price_paise % item.tick_paise == 0 and item.tick_paise in {5, 10} for item in traded)


def test_a_walk_is_its_seed_and_stays_on_the_grid(new_broker):
    paths = []
    for seed in ("7", "7", "8"):
        broker = new_broker()
        source = price_source(f"walk:{seed}", broker.state.catalogue)
        for _ in range(50):
            source.step(broker, NOW)
        paths.append([broker.state.market.get(item, NOW).last_paise for item in broker.state.catalogue.instruments])
    assert paths[0] == paths[1] != paths[2]
    for item, price in zip(broker.state.catalogue.instruments, paths[0], strict=True):
        assert price > 0
        assert price % (item.tick_paise or 5) == 0


CANDLES = (
    "symbol,date,open,high,low,close,qty\n"
    "INFY,2020-01-01,100,110.5,90,105,1000\n"
    "INFY,2020-01-02,106,120,101,119.95,2000\n"
    "GONE,2020-01-01,1,1,1,1,1\n"
)


def test_a_replay_walks_each_day_and_feeds_the_candles(new_broker, tmp_path):
    path = tmp_path / "candles.csv"
    path.write_text(CANDLES)
    broker = new_broker()
    source = price_source(f"replay:{path}", broker.state.catalogue)
    quote = broker.state.market.find("NSE:INFY", NOW)
    seen = []
    for _ in range(10):
        source.step(broker, NOW)
        seen.append(quote.last_paise)
    assert seen == [10_000, 11_050, 9_000, 10_500, 10_600, 12_000, 10_100, 11_995, 11_995, 11_995]
    assert (quote.open_paise, quote.high_paise, quote.low_paise, quote.close_paise) == (10_600, 12_000, 10_100, 10_500)
    assert source.reached == broker.state.replayed_to == date(2020, 1, 2)
    history = History(MarketHours("always"), date(2026, 4, 6), source.candles)
    span = (datetime(2020, 1, 1, tzinfo=IST), datetime(2020, 1, 3, tzinfo=IST))
    bars = list(history.bars(quote, "day", *span, NOW, source.reached))
    assert [(bar.open_paise, bar.close_paise, bar.volume) for bar in bars] == [
        (10_000, 10_500, 1_000),
        (10_600, 11_995, 2_000),
    ]
    assert list(history.bars(quote, "day", *span, NOW, date(2020, 1, 1))) == bars[:1]
    later = price_source(f"replay:{path}", broker.state.catalogue, date(2020, 1, 2))
    assert later.reached == date(2020, 1, 1)


@pytest.mark.parametrize(
    "text", ["symbol,date\n", CANDLES.replace("110.5", "110.555"), CANDLES.replace("2020-01-02", "soon")]
)
def test_a_broken_candle_file_is_refused(tmp_path, text):
    path = tmp_path / "candles.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"candles\.csv|isoformat"):
        load_daily_candles(path)


def test_drawn_history_is_consistent(new_broker):
    broker = new_broker()
    hours = MarketHours("nse")
    history = History(hours, date(2026, 4, 6), None)
    quote = broker.state.market.find("NSE:TCS", NOW)
    since, until = datetime(2026, 3, 2, tzinfo=IST), datetime(2026, 3, 6, 23, tzinfo=IST)
    days = list(history.bars(quote, "day", since, until, NOW, None))
    assert [bar.at.day for bar in days] == [2, 4, 5, 6]
    minutes = list(history.bars(quote, "minute", since, until, NOW, None))
    assert len(minutes) == 4 * 375
    for day in days:
        own = [bar for bar in minutes if bar.at.date() == day.at.date()]
        assert own[0].open_paise == day.open_paise
        assert own[-1].close_paise == day.close_paise
        assert max(bar.high_paise for bar in own) == day.high_paise
        assert min(bar.low_paise for bar in own) == day.low_paise
        assert all(bar.close_paise % 10 == 0 for bar in own)
    assert days == list(history.bars(quote, "day", since, until, NOW, None))
    last = list(history.bars(quote, "day", datetime(2026, 4, 2, tzinfo=IST), NOW, NOW, None))
    assert last[-1].close_paise == quote.last_paise
    assert abs(last[0].close_paise - quote.last_paise) < quote.last_paise // 10
