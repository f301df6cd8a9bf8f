"""The journal: a killed sandbox comes back as it was, and a reset begins a new file."""

import json
import subprocess
import sys
import threading
import time

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect import exceptions as ex


def everything(kite):
    return {
        "orders": kite.orders(),
        "trades": kite.trades(),
        "positions": kite.positions(),
        "holdings": kite.holdings(),
        "margins": kite.margins(),
        "gtts": kite.get_gtts(),
    }


def test_a_kill_loses_nothing(servers, log_in):
    environment = {"SANDBOX_CASH": "1000000", "SANDBOX_RATE_LIMITS": "off"}
    server = servers(**environment)
    kite = log_in(server)
    server.post("/sandbox/prices", {"NSE:INFY": "1500.00", "NSE:SBIN": "811.10"})
    server.post("/sandbox/funds", {"amount": "5000.50", "ref": "deposit-1"})
    server.post(
        "/sandbox/holdings",
        {"instrument": "NSE:SBIN", "quantity": 40, "average_price": "700", "ref": "seed-1"},
    )
    kite.place_order("regular", "NSE", "INFY", "BUY", 10, "CNC", "MARKET", market_protection=-1, tag="A")
    waiting = kite.place_order("regular", "NSE", "INFY", "BUY", 10, "CNC", "LIMIT", price=1400, tag="B")
    kite.modify_order("regular", waiting, price=1410)
    kite.place_order("regular", "NSE", "SBIN", "SELL", 15, "CNC", "MARKET", market_protection=-1)
    server.fault("place_order", "partial:0.5")
    kite.place_order("regular", "NSE", "SBIN", "BUY", 9, "MIS", "MARKET", market_protection=-1)
    gone = kite.place_order("regular", "NSE", "SBIN", "BUY", 1, "NRML", "LIMIT", price=500)
    kite.cancel_order("regular", gone)
    leg = {"transaction_type": "BUY", "quantity": 3, "order_type": "LIMIT", "product": "CNC", "price": 1410}
    kite.place_gtt(kite.GTT_TYPE_SINGLE, "INFY", "NSE", [1405], 1500, [leg])
    before, journal = everything(kite), server.journal()
    server.kill()

    again = servers(**environment)
    kite = KiteConnect("sandbox", access_token=kite.access_token, root=again.url)
    assert everything(kite) == before
    assert again.journal() == journal
    answer = again.post("/sandbox/funds", {"amount": "5000.50", "ref": "deposit-1"})
    assert answer["applied"] is False
    again.post("/sandbox/prices", {"NSE:INFY": "1404.00"})
    newest = kite.orders()
    assert newest[1]["status"] == "COMPLETE"
    assert kite.get_gtts()[0]["status"] == "triggered"
    ids = [int(trade["trade_id"]) for trade in kite.trades()]
    assert ids == sorted(set(ids))


def test_everything_answered_before_a_kill_is_there_after_it(servers, log_in):
    server = servers(SANDBOX_CASH="100000000", SANDBOX_RATE_LIMITS="off")
    kites = [log_in(server) for _ in range(4)]
    answered: list[str] = []

    def run(kite):
        try:
            while True:
                answered.append(
                    kite.place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "MARKET", market_protection=-1),
                )
        except (requests.RequestException, ex.KiteException):
            return

    threads = [threading.Thread(target=run, args=(kite,)) for kite in kites]
    for thread in threads:
        thread.start()
    while len(answered) < 150:
        pass
    server.kill()
    for thread in threads:
        thread.join()
    again = servers(SANDBOX_CASH="100000000")
    accepted = [item["order_id"] for item in again.journal() if item["event"] == "order_accepted"]
    filled = [item["order_id"] for item in again.journal() if item["event"] == "fill"]
    assert set(answered) <= set(accepted) == set(filled)
    assert len(accepted) == len(set(accepted))


def test_a_torn_last_line_is_cut_and_any_other_stops_the_start(servers, log_in):
    server = servers(SANDBOX_CASH="100000")
    log_in(server).place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "MARKET", market_protection=-1)
    journal = server.journal()
    server.stop()
    path = server.home / "journal-000001.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind": "order_fil')
    again = servers()
    assert again.journal() == journal
    again.stop()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"garbage\n", *lines[2:]]))
    with pytest.raises(AssertionError):
        servers()


def test_reset_starts_a_new_file_and_never_repeats_an_id(servers, log_in):
    server = servers(SANDBOX_CASH="100000", SANDBOX_RATE_LIMITS="off")
    kite = log_in(server)
    first = kite.place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "MARKET", market_protection=-1)
    [first_trade] = kite.trades()
    server.post("/sandbox/reset", {"cash": "5000.00"})
    assert server.journal() == []
    assert kite.orders() == []
    assert kite.positions()["net"] == []
    assert kite.margins("equity")["available"]["cash"] == 5000
    second = kite.place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "MARKET", market_protection=-1)
    [second_trade] = kite.trades()
    assert int(second) > int(first)
    assert int(second_trade["trade_id"]) > int(first_trade["trade_id"])
    assert sorted(path.name for path in server.home.glob("*.jsonl")) == [
        "journal-000001.jsonl",
        "journal-000002.jsonl",
    ]
    server.kill()
    assert [item["order_id"] for item in servers().journal()] == [second, second]


def test_reset_in_the_middle_of_traffic_keeps_the_files_apart(servers, log_in):
    server = servers(SANDBOX_CASH="100000000", SANDBOX_RATE_LIMITS="off")
    kites = [log_in(server) for _ in range(3)]
    done = threading.Event()
    failures = []

    def run(kite):
        while not done.is_set():
            try:
                kite.place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "MARKET", market_protection=-1)
            except ex.KiteException as error:
                failures.append(error)

    threads = [threading.Thread(target=run, args=(kite,)) for kite in kites]
    for thread in threads:
        thread.start()
    for _ in range(5):
        time.sleep(0.1)
        server.post("/sandbox/reset", {})
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    journal = server.journal()
    server.kill()
    files = sorted(server.home.glob("journal-*.jsonl"))
    assert len(files) == 6
    for path in files:
        kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
        assert kinds.index("journal_opened") == 0
        assert kinds.count("journal_opened") == 1
    assert servers().journal() == journal


def test_one_home_has_one_owner_and_a_busy_port_is_named(servers):
    server = servers()
    port = server.url.rsplit(":", 1)[1]
    for arguments, message in (
        (["--home", str(server.home), "--port", "0"], "another sandbox is using"),
        (["--home", str(server.home / "other"), "--port", port], f"port {port} on 127.0.0.1 is in use"),
        (["--port", "99999"], "port"),
    ):
        failed = subprocess.run(
            [sys.executable, "-m", "kite_sandbox", *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert failed.returncode == 1
        assert message in failed.stderr
        assert "Traceback" not in failed.stderr


def test_sigterm_ends_it_cleanly_with_silent_and_open_connections(servers, log_in):
    server = servers(SANDBOX_CASH="100000")
    kite = log_in(server)
    server.fault("orders", "timeout_after_accept")
    with pytest.raises(requests.ReadTimeout):
        KiteConnect("sandbox", access_token=kite.access_token, root=server.url, timeout=(1, 0.3)).orders()
    server.process.terminate()
    assert server.process.wait(8) in {0, -15}


def test_the_journal_is_plain_json_lines_without_secrets(servers, log_in):
    server = servers(SANDBOX_CASH="100000")
    log_in(server)
    text = (server.home / "journal-000001.jsonl").read_text()
    assert [json.loads(line)["kind"] for line in text.splitlines()][:2] == ["journal_opened", "account_opened"]
    assert "sandbox-secret" not in text
    assert (server.home.stat().st_mode & 0o077) == 0
