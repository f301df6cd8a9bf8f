"""`burst` and its baseline: queued orders of many users → all of them in the ledger, against the usual demo."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from crowd import add_old_orders
from entry import accepted, batch_requests
from figures import RUNS, Figure, median_of
from loadgen import http_request, run_load
from stage import Stage, private_rabbitmq, stage

from saras.demo.people import Person
from saras_common.ids import new_id
from saras_common.postgres import EmbeddedPostgres, free_port

INSTRUMENTS = 50
ORDERS_A_USER = 10
OLD_ORDERS = int(os.environ.get("BENCH_OLD_ORDERS", "1000000"))
SIZES = tuple(int(size) for size in os.environ.get("BENCH_BURST", "10000,100000").split(","))
"""Both can be made smaller for a machine that is busy; the goals are of the largest."""

BASELINE_ORDERS = 2000
_OPEN = "SELECT NOT EXISTS (SELECT FROM portfolio_service.clients WHERE open_orders > 0)"
_QUEUED = "SELECT NOT EXISTS (SELECT FROM portfolio_service.orders WHERE id > %s AND status = 'ACCEPTED')"
_FILLED = "SELECT count(*) FROM portfolio_service.orders WHERE id > %s AND status = 'FILLED'"
_SENT = "SELECT count(*) FROM trade_executor.broker_orders"


def burst(platform: Stage, people: Sequence[Person], orders: int) -> tuple[float, int]:
    """Orders a second from the trigger to the last ledger entry, and how many broker orders it took."""
    first = new_id()
    users = people[: max(1, orders // ORDERS_A_USER)]
    requests = batch_requests(users, platform.instruments(INSTRUMENTS), len(users), ORDERS_A_USER)
    accepted(run_load(platform.port, requests, 8))
    platform.wait_until(_QUEUED, first)
    ((sent_before,),) = platform.query(_SENT)
    with platform.admin() as admin:
        started = time.perf_counter()
        admin.post("/admin/execution/run")
    ended = platform.wait_until(_OPEN)
    ((filled,),) = platform.query(_FILLED, first)
    assert filled == orders, filled
    ((sent,),) = platform.query(_SENT)
    report = platform.reconcile()
    assert report["balanced"], report
    return orders / (ended - started), sent - sent_before


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


def _sizes(platform: Stage, name: str) -> list[Figure]:
    people = platform.people(max(SIZES) // ORDERS_A_USER, prefix="burst")
    burst(platform, people, 1000)  # warm
    figures = []
    for orders in SIZES:
        done = [burst(platform, people, orders) for _ in range(RUNS)]
        rates, sent = [rate for rate, _ in done], max(count for _, count in done)
        met = median_of(rates) >= 8000 and sent <= 100 if orders == 100_000 else None
        goal = "≥ 8,000, ≤ 100 broker orders" if orders == 100_000 else ""
        figures.append(
            Figure(
                f"burst {orders:,} ({name})", "orders/s", median_of(rates), rates, goal, met, f"{sent} broker orders"
            )
        )
    return figures


def measure() -> list[Figure]:
    """On both buses, at two sizes, and the baseline in the same run."""
    environment = {"SARAS_WINDOW_S": "3600"}
    with stage(environment) as platform:
        figures = _sizes(platform, "PostgreSQL bus")
    with private_rabbitmq() as amqp_url:
        if amqp_url is None:
            return [*figures, Figure("baseline_celery", "orders/s", 0, note="RabbitMQ is not installed: make services")]
        with stage(environment | {"BROKER_URL": amqp_url}) as platform:
            figures += _sizes(platform, "RabbitMQ")
        runs = [baseline_celery(amqp_url) for _ in range(RUNS)]
    base = median_of(runs)
    figures.append(Figure("baseline_celery", "orders/s", base, runs, note="FastAPI + ORM + a Celery task an order"))
    for figure in [one for one in figures if one.name.startswith("burst ")]:
        name = figure.name.replace("burst", "burst / baseline_celery,")
        ratio, counts = figure.value / base, "100,000" in figure.name
        figures.append(Figure(name, "ratio", ratio, [], "≥ 30" if counts else "", ratio >= 30 if counts else None))
    return figures


def measure_old_book() -> list[Figure]:
    """`burst` once more on a book of a million finished orders of the same users: cost must not grow with them."""
    orders = 10_000
    with stage({"SARAS_WINDOW_S": "3600"}) as platform:
        people = platform.people(orders // ORDERS_A_USER, prefix="old")
        burst(platform, people, 1000)  # warm
        young = [burst(platform, people, orders)[0] for _ in range(RUNS)]
        ids = [person.id for person in people]
        add_old_orders(platform.database_url, ids, platform.instruments(INSTRUMENTS), OLD_ORDERS)
        old = [burst(platform, people, orders)[0] for _ in range(RUNS)]
    ratio = median_of(old) / median_of(young)
    return [
        Figure(f"burst {orders:,} on a young book", "orders/s", median_of(young), young),
        Figure(f"burst {orders:,} on {OLD_ORDERS:,} old orders", "orders/s", median_of(old), old),
        Figure("old book / young book", "ratio", ratio, [], "≥ 0.7", ratio >= 0.7),
    ]
