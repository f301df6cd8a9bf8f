"""A backup under load, everything destroyed, restored, and compared with the broker, which went on meanwhile."""

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from saras.backup import BackupFailed, Manifest, restore
from saras.backup.manifest import server_of
from saras.backup.restoring import HALTED
from saras.client import Api, Sandbox
from saras.commands import reconcile
from saras.demo.market import list_quotes, wait_tradable
from saras.demo.oracle import broker_totals
from saras.home import Home
from saras.process import ADMIN_EMAIL, ADMIN_PASSWORD, PlatformProcess
from saras.seeding import Seeder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SCRIPTS = Path(__file__).parents[3] / "scripts"
ENVIRONMENT = {
    "SARAS_MODE": "sandbox",
    "DATABASE_URL": "",
    "BROKER_URL": "",
    "REDIS_URL": "",
    "SANDBOX_PRICES": "fixed",
    "SARAS_WINDOW_S": "0.5",
}
NAMES = ("NSE:INFY", "NSE:TCS", "NSE:ITC")
LATER = "NSE:SBIN"
"""Traded after the backup alone, so that what the broker did since shows for what it is."""


def run(script, *arguments, home):
    done = subprocess.run(
        [sys.executable, SCRIPTS / f"{script}.py", *arguments, "--home", str(home)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def admin_of(platform):
    api = Api(platform.url)
    api.login(ADMIN_EMAIL, ADMIN_PASSWORD)
    return api


def until(is_true, what, timeout_s=45.0):
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.2)


class Load(threading.Thread):
    """Buys, one after the other, until told to stop."""

    def __init__(self, api):
        super().__init__(daemon=True)
        self.api, self.placed, self.stop = api, [], threading.Event()

    def run(self):
        while not self.stop.wait(0.02):
            name = NAMES[len(self.placed) % len(NAMES)]
            order = self.api.post("/buy", {"instrument": name, "quantity": 2, "order_type": "MARKET"})
            self.placed.append(order["id"])

    def end(self):
        self.stop.set()
        self.join()

    def all_ended(self):
        found = {order["id"]: order["status"] for order in self.api.pages("/orders")}
        return all(found[order_id] == "FILLED" for order_id in self.placed)


def held(api):
    return {item["instrument"]: item["quantity"] for item in api.get("/holdings")["items"]}


@pytest.fixture(scope="module")
def after(tmp_path_factory):
    """Backup under load, more trading, the database destroyed and restored, the platform started: what is there."""
    root = tmp_path_factory.mktemp("backup")
    with PlatformProcess(root / "home", ENVIRONMENT) as platform:
        (user,) = Seeder(platform.url, Home(platform.home)).seed([("b@saras.example.com", "B")], "nine-lives-of-a-cat")
        with Api(platform.url, token=user.token) as api, admin_of(platform) as admin:
            api.post("/funds/deposit", {"amount": "5000000.00"}, key="once")
            wait_tradable(api, list_quotes(admin, 5))
            load = Load(api)
            load.start()
            until(lambda: len(load.placed) > 20, "orders flow")
            code, backup, error = run("backup", str(root / "backups"), home=platform.home)
            assert code == 0, error
            placed_at_backup = len(load.placed)
            until(lambda: len(load.placed) > placed_at_backup, "orders still flow after the backup")
            load.end()
            until(load.all_ended, "every order has ended")
            api.post("/buy", {"instrument": LATER, "quantity": 7, "order_type": "MARKET"})
            until(lambda: LATER in held(api), "what came after the backup")
            before = held(api)
        assert run("restore", backup, home=platform.home)[0] == 1, "a running platform must not be restored over"
        platform.stop()
        shutil.rmtree(platform.home / "postgres")
        restored = run("restore", backup, home=platform.home)
        platform.start()
        yield {
            "platform": platform,
            "backup": Path(backup),
            "restored": restored,
            "before": before,
            "token": user.token,
            "placed": load.placed,
        }


def test_everything_of_that_moment_is_there_again(after):
    code, told, error = after["restored"]
    assert code == 0, error
    assert "every rule of the book holds" in told
    with Api(after["platform"].url, token=after["token"]) as api:
        ids = {order["id"] for order in api.pages("/orders")}
    assert set(after["placed"][:20]) <= ids
    manifest = Manifest.read(after["backup"])
    assert manifest.rows["portfolio_service.orders"] > 20


def test_it_stands_halted_and_sends_nothing(after):
    with admin_of(after["platform"]) as admin:
        state = admin.get("/admin/execution")["accounts"][0]
        assert state["halted"] is True
        assert state["halt_reason"] == HALTED


def test_the_reconciliation_shows_what_the_broker_did_since(after):
    platform = after["platform"]
    sandbox = Sandbox(platform.sandbox_url)
    broker = broker_totals(sandbox.journal()).net()
    with admin_of(platform) as admin:

        def settled():
            rows = {row["instrument"]: row for row in reconcile(admin)["instruments"]}
            return LATER in rows and rows[LATER]["unallocated"] + rows[LATER]["difference"] == 7

        until(settled, "the later trade is found")
        report = reconcile(admin)
    rows = {row["instrument"]: row for row in report["instruments"]}
    for name, quantity in broker.items():
        row = rows[name]
        assert row["users"] + row["unallocated"] + row["difference"] == row["broker"] == quantity
    assert rows[LATER]["users"] == 0  # nobody is given what no order of theirs explains
    with Api(platform.url, token=after["token"]) as api:
        assert LATER not in held(api)


def test_a_damaged_backup_and_a_full_server_are_refused(after, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(after["backup"], damaged)
    with (damaged / "portfolio_service.dump").open("r+b") as file:
        file.seek(200)
        byte = file.read(1)[0]
        file.seek(200)
        file.write(bytes([byte ^ 1]))
    code, _, error = run("restore", str(damaged), home=tmp_path / "elsewhere")
    assert code == 1
    assert "damaged" in error
    home = Home(after["platform"].home)
    with server_of(home, None) as url, pytest.raises(BackupFailed, match="never over a book"):
        restore(url, home, after["backup"])


def test_a_backup_is_private_and_complete(after):
    folder = after["backup"]
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "secrets.json").stat().st_mode & 0o077 == 0
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["sha256"]) == {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert {f"{schema}.dump" for schema in manifest["schemas"]} <= set(manifest["sha256"])
