"""Campaign 11, its second half: canaries. Every secret of a platform has a value that stands nowhere else.

The platform lives: people sign in and fail to, order, break rules, get messages; its database is killed, it is killed,
it is started again. Then all that it wrote, answered, traced, dumped and told its children is searched. A secret may
be in the few places named here as its homes, and nowhere else, in no spelling.
"""

import base64
import contextlib
import http.client
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import psutil
import psycopg
from prove.campaign import Campaign, Outcome, Run
from prove.canaries import Canary, Net
from prove.life import Scene, fresh, live, scene, trouble
from prove.samples import PASSWORD

from saras.backup import back_up
from saras.backup.manifest import server_of
from saras.client import Api
from saras_common.postgres import binaries
from saras_common.testing import PrivateRabbit, PrivateRedis
from trade_executor.sealing import Sealer


def search(on: Scene) -> Net:
    """Everything there is to see while the platform runs."""
    with server_of(on.home, None) as url:
        _plant_broker_token(on, url)
        net = Net(on.canaries)
        _search_database(on, net, url)
    for number, problem in enumerate(on.problems):
        net.look(f"problem {number}", problem)
    for name, page in on.pages.items():
        net.look(f"answer: {name}", page)
    for name, heard in (("traces", on.traces.heard), ("messages to webhooks", on.hooks.heard)):
        for part in heard:
            net.look(name, part)
    for path in ("/metrics", "/docs", "/health/ready", "/api/v1/openapi.json", "/api/v1/event-schemas.json"):
        net.look(f"page {path}", _page(on.platform.port, path))
    for name, port in _ports(on).items():
        net.look(f"metrics of {name}", _page(port, "/metrics"))
    for process, called in processes(on):
        net.look_at_process(process, called)
    net.look_below(on.folder / "home", "home")
    net.look_below(on.temporary, "temporary")
    net.look_at_file("terminal", on.platform.output)
    return net


def _page(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def _ports(on: Scene) -> dict[str, int]:
    """Of each process of a platform spread out but its gateway; of one process, none of its own."""
    path = on.home.services / "ports.json"
    ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    return {name: port for name, port in ports.items() if "." in name and not name.startswith("api-gateway")}


def processes(on: Scene) -> Iterator[tuple[psutil.Process, str]]:
    """The platform's own processes with what they are called, as its environment's homes call them."""
    assert on.platform.process is not None
    top = psutil.Process(on.platform.process.pid)
    yield top, "saras up"
    for child in top.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            line = child.cmdline()
            yield child, _called(line)


def _called(line: list[str]) -> str:
    words = line[line.index("saras.child") + 1 :] if "saras.child" in line else line[:1]
    if words[:1] == ["kite_sandbox"]:
        return "sandbox"
    if "trade_executor.ticker" in line:
        return "ticker"
    return f"{words[0].replace('_', '-')}.{words[1]}" if len(words) > 1 else " ".join(words)


def _search_database(on: Scene, net: Net, url: str) -> None:
    """Every row of every table, and a backup with its dumps written out."""
    with psycopg.connect(url, autocommit=True) as database:
        query = (
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('information_schema', 'pg_catalog')"
        )
        for schema, table in database.execute(query.encode()).fetchall():
            rows = database.execute(f'SELECT t::text FROM "{schema}"."{table}" t'.encode()).fetchall()
            net.look(f"table {schema}.{table}", "\n".join(row[0] for row in rows).encode())
        statements = database.execute(b"SELECT query FROM pg_stat_activity").fetchall()
        net.look("statements", "\n".join(str(row[0]) for row in statements).encode())
    made = back_up(url, on.home, on.folder / "backup", datetime.now(UTC))
    net.look_below(on.folder / "backup", "backup")
    for dump in made.glob("*.dump"):
        written = subprocess.run(
            [str(binaries() / "pg_restore"), "--file=-", str(dump)], capture_output=True, check=True
        )
        for canary in net.canaries:
            _check_dump(net, canary, dump.stem, written.stdout)
        net.places += 1


def _check_dump(net: Net, canary: Canary, schema: str, written: bytes) -> None:
    """A dump may hold what a table of its schema may."""
    if canary.value.encode() in written and not any(home.startswith(f"table {schema}.") for home in canary.homes):
        net.hits.append(f"{canary.name} in the dump of {schema}")


def _plant_broker_token(on: Scene, url: str) -> None:
    """The access token of the broker, opened with the executor's key: only the sandbox, which made it, may show it."""
    sealer = Sealer(on.home.vault().get_key("executor_key"))
    with psycopg.connect(url) as database:
        rows = database.execute(b"SELECT account_id, sealed_token FROM trade_executor.sessions").fetchall()
    for account, sealed in rows:
        on.plant("the broker's access token", sealer.unseal(bytes(sealed), account), homes=("home/sandbox/*",))
        on.count("broker tokens opened")


def limits(on: Scene) -> list[str]:
    """Processes that would leave their memory behind in a file when they crash."""
    found = []
    for process, called in processes(on):
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            soft, _hard = process.rlimit(psutil.RLIMIT_CORE)
            if soft != 0:
                found.append(f"{called} may dump core")
    return found


# --- is the net whole?


def leaks(on: Scene) -> dict[str, str]:
    """Canaries let out on purpose, by the ways an accident would take; their names and the places."""
    with Api(on.platform.url) as api:
        spoken = on.plant("a leak by a request id")
        api._http.send("GET", "/api/v1/me", None, {"X-Request-ID": spoken})  # noqa: SLF001 - a header of one's own
        stored = on.plant("a leak into the database")
        on.call(api, "POST", "/register", {"email": f"{fresh('p')}@secrets.example.com", "password": PASSWORD,
                                            "full_name": stored})  # fmt: skip
    (on.temporary / "crash.dmp").write_bytes(b"\0" * 5000 + on.plant("a leak into a file").encode())
    (on.temporary / "crash.txt").write_text(
        f"{_in_base64(on.plant('a leak in base64'))} {on.plant('a leak in hexadecimal').encode().hex()}"
    )
    on.problems.append(on.plant("a leak by a problem").encode())
    on.traces.heard.append(on.plant("a leak by a trace").encode())
    time.sleep(1.0)
    return {
        "a leak by a request id": "home/logs/access.log",
        "a leak into the database": "table user_service.users",
        "a leak into a file": "temporary/crash.dmp",
        "a leak in base64": "temporary/crash.txt",
        "a leak in hexadecimal": "temporary/crash.txt",
        "a leak by a problem": "problem",
        "a leak by a trace": "traces",
    }


def _in_base64(text: str) -> str:
    """``text`` in the middle of something else, in base64."""
    return base64.b64encode(b"x" + text.encode() + b"yz").decode()


def judge(on: Scene, net: Net, planted: dict[str, str]) -> Outcome:
    """Hits nobody planted are violations, and so are planted ones that were not found."""
    outcome = Outcome()
    found = {name: [hit for hit in net.hits if hit.startswith(f"{name} in {place}")] for name, place in planted.items()}
    outcome.violate(*(f"not found: {name}" for name, hits in found.items() if not hits))
    outcome.violate(*(hit for hit in net.hits if not hit.startswith(tuple(f"{name} in " for name in planted))))
    outcome.counts["canaries"] = len(on.canaries) - len(planted)
    outcome.counts["places searched"] = net.places
    outcome.counts["leaks planted"] = len(planted)
    outcome.counts["leaks found"] = sum(bool(hits) for hits in found.values())
    outcome.counts["megabytes searched"] = net.bytes // 2**20
    outcome.counts["messages heard by the trace collector"] = len(on.traces.heard) // 2
    outcome.counts["messages heard by webhooks"] = len(on.hooks.heard) // 2
    outcome.counts.update(on.counts)
    return outcome


def all_in_one(people: int, *, kills: bool) -> Outcome:
    """One process, its life, its trouble, and what it left behind."""
    with scene() as on:
        live(on, people)
        if kills:
            trouble(on)
        planted = leaks(on)
        outcome = judge(on, search(on), planted)
        outcome.violate(*limits(on))
    return outcome


def spread_out(people: int) -> Outcome:
    """The same with every service's processes apart: what each is told, and what each writes."""
    for server in (PrivateRabbit, PrivateRedis):
        if reason := server.missing():
            return Outcome(missed=[f"not spread out: {reason}"])
    with scene(layout="spread") as on:
        live(on, people)
        called = {name for _, name in processes(on)}
        outcome = judge(on, search(on), {})
        outcome.violate(*limits(on))
        outcome.counts["processes looked into, spread out"] = len(called)
    return Outcome(
        Counter(
            {f"spread out: {name}" if not name.startswith("proc") else name: n for name, n in outcome.counts.items()}
        ),
        outcome.figures,
        outcome.violations,
        [f"spread out: {what}" for what in outcome.examples],
        outcome.missed,
    )


def play(run: Run) -> Outcome:
    """All in one, and spread out."""
    outcome = all_in_one(run.size, kills=True)
    outcome.add(spread_out(max(1, run.size // 4)))
    return outcome


CAMPAIGN = Campaign(
    number=11,
    target="every secret of a living platform is a canary (passwords, TOTP seeds, tokens, KYC, keys, database logins,"
    " the broker's api_secret and access token, webhooks): none in logs, metrics, traces, problems, OpenAPI, tables,"
    " dumps, files, command lines, or environments of processes that need not know; every leak planted is found",
    size=12,
    bound_s=600,
    play=play,
)
