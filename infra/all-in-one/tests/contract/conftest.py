"""One platform for the whole folder, started as an operator would: ``saras up`` with a home and ports of its own."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyotp
import pytest
import requests

sys.path.insert(0, str(Path(__file__).parent))

from contract_client import Early, User, World, until

ADMIN = ("admin@contract.example.com", "correct-horse-7-battery")
START_S = 90


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [held.getsockname()[1] for held in sockets]
    finally:
        for held in sockets:
            held.close()


def ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/health/ready", timeout=5).status_code == 200
    except requests.RequestException:
        return False


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("contract") / "home"


@pytest.fixture(scope="session")
def world(home: Path):
    port, sandbox_port = free_ports(2)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SARAS_", "SANDBOX_"))},
        "SARAS_HOME": str(home),
        "SARAS_PORT": str(port),
        "SARAS_SANDBOX_PORT": str(sandbox_port),
        "SARAS_ADMIN_EMAIL": ADMIN[0],
        "SARAS_ADMIN_PASSWORD": ADMIN[1],
        "SARAS_MODE": "sandbox",
        "SANDBOX_PRICES": "fixed",
        "DATABASE_URL": "",
        "BROKER_URL": "",
        "REDIS_URL": "",
        "RATE_ADDRESS": "1000000/second",
        "RATE_REGISTER": "100000/minute",
        "RATE_LOGIN": "100000/minute",
    }
    output = home.parent / "saras.out"
    url = f"http://127.0.0.1:{port}"
    with output.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "saras", "up"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + START_S
            while not ready(url):
                assert process.poll() is None, output.read_text()[-3000:]
                assert time.monotonic() < deadline, output.read_text()[-3000:]
                time.sleep(0.1)
            made = World(url, f"http://127.0.0.1:{sandbox_port}", *ADMIN)
            try:
                made.listed_when_ready = any(made.reader.pages("/instruments"))
                until(lambda: any(made.reader.pages("/instruments")), "instruments are listed", START_S)
                listed = [row["instrument"] for row in made.reader.pages("/instruments")]
                names = sorted(name for name in listed if name.startswith("NSE:") and name != "NSE:INFY")
                made.price_all(names, ["1500.00", "1234.50"] + ["1000.00"] * (len(names) - 2))
                yield made
            finally:
                made.close()
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def admin(world: World) -> User:
    """Signed in again for each file: a token lives ten minutes."""
    return world.new_admin()


@pytest.fixture
def user(world: World) -> User:
    """A new user with ten lakh rupees."""
    return world.new_user()


@pytest.fixture(scope="session")
def standing_user(world: World) -> User:
    """For checks that change nothing."""
    return world.new_user()


@pytest.fixture(scope="session", autouse=True)
def early(world: World) -> Early:
    """A refresh token already rotated, a TOTP code already used."""
    rotated = world.new_user(None)
    old = rotated.refresh_token
    pair = world.public.call("POST", "/token/refresh", {"refresh_token": old}).expect(200)
    rotated.token, rotated.refresh_token = pair["access_token"], pair["refresh_token"]
    at = time.monotonic()
    guarded = world.new_user(None)
    totp = pyotp.parse_uri(guarded.call("POST", "/me/totp/enroll").expect(200, 201)["otpauth_uri"])
    used = totp.now()
    guarded.call("POST", "/me/totp/confirm", {"code": used}).expect(200, 204)
    return Early(rotated, old, at, guarded, totp, used)
