"""`burst` and its baseline: queued orders of many users → all of them in the ledger, against the usual demo."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from entry import accepted, batch_requests
from figures import Figure, median_of
from loadgen import http_request, run_load
from stage import Stage, private_rabbitmq, stage

from saras_common.postgres import EmbeddedPostgres, free_port

INSTRUMENTS = 50
ORDERS_A_USER = 10
OLD_ORDERS = 1_000_000
BASELINE_ORDERS = 2000
_OPEN = """
SELECT NOT EXISTS (SELECT FROM portfolio_service.orders
                   WHERE status IN ('ACCEPTED', 'QUEUED', 'WORKING', 'PARTIALLY_FILLED'))
"""
_QUEUED = "SELECT NOT EXISTS (SELECT FROM portfolio_service.orders WHERE status = 'ACCEPTED')"


def burst(platform: Stage, orders: int, *, prefix: str) -> tuple[float, int]:
    """Orders a second from the trigger to the last ledger entry, and how many broker orders it took."""
    people = platform.people(max(1, orders // ORDERS_A_USER), prefix=prefix)
    instruments = platform.instruments(INSTRUMENTS)
    requests = batch_requests(people, instruments, len(people), ORDERS_A_USER)
    accepted(run_load(platform.port, requests, 8))
    platform.wait_until(_QUEUED)
    before = len([item for item in platform.sandbox().journal() if item["event"] == "order_accepted"])
    with platform.admin() as admin:
        started = time.perf_counter()
        admin.post("/admin/execution/run")
        ended = platform.wait_until(_OPEN)
        report = admin.post("/admin/reconciliation/run")
    assert report["balanced"], report
    sent = len([item for item in platform.sandbox().journal() if item["event"] == "order_accepted"]) - before
    return orders / (ended - started), sent


def baseline_celery(amqp_url: str) -> float:
    """Orders a second of the usual demo from the first request to the last order booked."""
    with tempfile.TemporaryDirectory(prefix="saras-bench-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        try:
            admin = server.start()
            environment = {
                **os.environ,
                "BASELINE_DATABASE": admin.replace("postgresql://", "postgresql+psycopg://", 1),
                "BASELINE_BROKER": amqp_url,
            }
            return _run_shop(environment, admin)
        finally:
            server.stop()


def _run_shop(environment: dict[str, str], admin: str) -> float:
    here = Path(__file__).parent / "baselines"
    port = free_port()
    subprocess.run(
        [sys.executable, "-c", "import celery_shop; celery_shop.create()"], cwd=here, env=environment, check=True
    )
    web = [sys.executable, "-m", "uvicorn", "celery_shop:app", "--port", str(port), "--log-level", "warning"]
    worker = [sys.executable, "-m", "celery", "-A", "celery_shop:celery", "worker", "-c", "2", "-l", "error"]
    with _process(web, here, environment), _process(worker, here, environment):
        body = b'{"account_id": %d, "symbol": "INFY", "quantity": 1}'
        requests = [
            http_request("POST", "/orders", {"Content-Type": "application/json"}, body % (1 + number % 100))
            for number in range(BASELINE_ORDERS)
        ]
        _until_open(port)
        run_load(port, requests[:50], 8)
        _until_filled(admin, 50)
        started = time.perf_counter()
        accepted(run_load(port, requests, 8))
        _until_filled(admin, 50 + BASELINE_ORDERS)
        return BASELINE_ORDERS / (time.perf_counter() - started)


@contextmanager
def _process(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _until_open(port: int) -> None:
    import socket

    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the baseline did not start")


def _until_filled(admin: str, count: int) -> None:
    with psycopg.connect(admin, autocommit=True) as connection:
        for _ in range(6000):
            row = connection.execute("SELECT count(*) FROM shop_orders WHERE status = 'FILLED'").fetchone()
            if row and row[0] >= count:
                return
            time.sleep(0.02)
    raise TimeoutError("the baseline did not finish")


def _sizes(platform: Stage, name: str, sizes: tuple[int, ...], repeats: int) -> list[Figure]:
    figures = []
    for orders in sizes:
        runs, sent = [], 0
        for number in range(repeats):
            rate, sent = burst(platform, orders, prefix=f"{name[:1]}{orders // 1000}r{number}")
            runs.append(rate)
        met = median_of(runs) >= 8000 and sent <= 100 if orders == 100_000 else None
        goal = "≥ 8,000, ≤ 100 broker orders" if orders == 100_000 else ""
        figures.append(
            Figure(f"burst {orders:,} ({name})", "orders/s", median_of(runs), runs, goal, met, f"{sent} broker orders")
        )
    return figures


def measure() -> list[Figure]:
    """On both buses, at three sizes, and the baseline in the same run."""
    environment = {"SARAS_WINDOW_S": "3600"}
    with stage(environment) as platform:
        figures = _sizes(platform, "PostgreSQL bus", (10_000, 100_000), 3)
    with private_rabbitmq() as amqp_url:
        if amqp_url is None:
            return [*figures, Figure("baseline_celery", "orders/s", 0, note="RabbitMQ is not installed: make services")]
        with stage(environment | {"BROKER_URL": amqp_url}) as platform:
            figures += _sizes(platform, "RabbitMQ", (100_000,), 3)
        runs = [baseline_celery(amqp_url) for _ in range(3)]
    base = median_of(runs)
    figures.append(Figure("baseline_celery", "orders/s", base, runs, note="FastAPI + ORM + a Celery task an order"))
    for figure in [one for one in figures if one.name.startswith("burst 100,000")]:
        ratio = figure.value / base
        name = figure.name.replace("burst", "burst / baseline_celery,")
        figures.append(Figure(name, "ratio", ratio, [], "≥ 30", ratio >= 30))
    return figures


def measure_old_book() -> list[Figure]:
    """`burst` of 100,000 once more on a book that holds a million finished orders: cost must not grow with them."""
    with stage({"SARAS_WINDOW_S": "3600"}) as platform:
        first, _ = burst(platform, 100_000, prefix="new")
        for number in range(OLD_ORDERS // 100_000 - 1):
            burst(platform, 100_000, prefix=f"old{number}")
        last, sent = burst(platform, 100_000, prefix="last")
    return [
        Figure("burst 100,000 on an empty book", "orders/s", first, [first]),
        Figure("burst 100,000 on 1,000,000 old orders", "orders/s", last, [last], note=f"{sent} broker orders"),
        Figure("old book / empty book", "ratio", last / first, [], "≥ 0.7", last / first >= 0.7),
    ]
