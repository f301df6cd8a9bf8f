"""Campaign 9: bad input and load at the gateway of a platform that runs as its users run it.

Calls are hostile, drawn from the published OpenAPI, or good ones that build on one another's answers; every answer is
held against that document. Then requests that two readers could cut apart differently, and forged words of the gateway,
all in one and with the services behind a network.
"""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
from prove import corpus, drawn, framing
from prove.campaign import Campaign, Outcome, Run
from prove.corpus import Case, good, who_may
from prove.door import Crowd, Person, enrol, platform
from prove.shapes import Shapes

from saras.client import Api
from saras.commands import reconcile
from saras.home import Home
from saras.process import PlatformProcess
from saras_common.testing import PrivateRabbit, PrivateRedis

USERS, LINES = 12, 16
KINDS = ("hostile", "drawn", "hostile", "hostile", "walk", "hostile")
"""Which kind of case comes when: of the dear ones, to draw or to answer, no more than are needed to come by all."""

REST_S = 110.0
"""Kept for what comes after the cases."""

APART_CASES, APART_S = 2_000, 60.0


def published(at: PlatformProcess) -> Shapes:
    """The document the platform gives out."""
    with Api(at.url) as api:
        return Shapes(api.get("/openapi.json"))


def walk(shapes: Shapes, draw: random.Random) -> Iterator[Case]:
    """Good calls of everything there is, in a drawn order; what they are about is what earlier ones made."""
    while True:
        operation = draw.choice(shapes.operations)
        yield Case(f"{operation.name}: good", good(operation), operation, who_may(operation))


def mixed(shapes: Shapes, draw: random.Random, drawing: Iterator[Case]) -> Iterator[tuple[str, Case]]:
    """Cases of every kind in turn, with the kind."""
    sources = {
        "hostile": corpus.cases(shapes.operations, draw),
        "drawn": drawing,
        "walk": walk(shapes, draw),
    }
    while True:
        for kind in KINDS:
            yield kind, next(sources[kind])


def play_cases(
    at: PlatformProcess, run: Run, people: list[Person], admin: Person, *, drawn_at_once: int | None = None
) -> Outcome:
    """``run.size`` cases; nothing answers 5xx or what is not in the document, and the books balance afterwards.

    ``drawn_at_once``: so few that no process of its own need draw them.
    """
    outcome, shapes, draw = Outcome(), published(at), random.Random(run.seed)
    crowd = Crowd(at, shapes, people, admin, run.seed)

    def counted(drawing: Iterator[Case]) -> Iterator[Case]:
        for kind, case in mixed(shapes, draw, drawing):
            outcome.counts[f"cases: {kind}"] += 1
            yield case

    if drawn_at_once is None:
        with drawn.ahead(shapes.document, run.seed) as drawing:
            asyncio.run(_play(crowd, counted(drawing), run))
    else:
        asyncio.run(_play(crowd, counted(drawn.cases(shapes.document, shapes, draw, drawn_at_once)), run))
    outcome.counts.update(crowd.judged.counts)
    outcome.violate(*sorted(crowd.judged.faults, key=lambda fault: ": answered 5" not in fault))
    outcome.counts["operations"] = len(shapes.operations)
    if outcome.counts["cases"] < run.size:
        outcome.missed.append(f"{outcome.counts['cases']:,} cases fitted into the time, not {run.size:,}")
    outcome.violate(*_books(at, admin))
    return outcome


async def _play(crowd: Crowd, cases: Iterator[Case], run: Run) -> None:
    enough = asyncio.Event()
    asyncio.get_running_loop().call_later(max(run.left_s, 0.0), enough.set)
    await crowd.play(cases, run.size, lines=LINES, until=enough)


def play_huge(at: PlatformProcess, people: list[Person], admin: Person, seed: int) -> Outcome:
    """Texts of a megabyte and of ten, on every call that takes a body."""
    outcome, shapes = Outcome(), published(at)
    crowd = Crowd(at, shapes, people, admin, seed)
    cases = list(corpus.huge(shapes.operations))
    asyncio.run(crowd.play(iter(cases), len(cases), lines=2, until=asyncio.Event()))
    outcome.counts["texts of a megabyte and more"] = len(cases)
    outcome.violate(*crowd.judged.faults)
    return outcome


def _books(at: PlatformProcess, admin: Person) -> list[str]:
    with Api(at.url) as api:
        api.login(admin.email, admin.password)
        admin.token = str(api.token)
        report = reconcile(api)
    return [] if report["balanced"] else [f"the books do not balance afterwards: {json.dumps(report)[:500]}"]


async def forge(at: PlatformProcess, person: Person, admin: Person, *, tokens: int | None = None) -> Outcome:
    """Everything only the gateway may say, said by a user: even with the platform's own key it opens nothing.

    ``tokens``: only so many of the values that are tried.
    """
    key = Home(at.home).vault().get("internal_token_key")["internal_token_key"]
    with Api(at.url) as api:
        api.login(person.email, person.password)
        person.token = str(api.token)
        user_id = api.get("/me")["id"]
        api.login(admin.email, admin.password)
        admin_id = api.get("/me")["id"]
    line = Crowd(at, published(at), [person], admin, 0).line()
    values = [*framing.inner_tokens(key, admin_id), admin_id, framing.FORGED_ADDRESS][:tokens]
    try:
        return await framing.forgeries(line, person, user_id, values)
    finally:
        line.close()


def apart(seed: int) -> Outcome:
    """The gateway as a process of its own, its services behind the network: framing, forgeries, and their own doors."""
    for server in (PrivateRabbit, PrivateRedis):
        if reason := server.missing():
            return Outcome(missed=[f"not spread out: {reason}"])
    outcome = Outcome()
    with platform(SARAS_LAYOUT="spread") as at:
        people, admin = enrol(at, 2)
        parts = asyncio.run(framing.frames("127.0.0.1", at.port, None))
        parts.add(asyncio.run(forge(at, people[0], admin)))
        parts.add(play_cases(at, Run(seed, APART_CASES, time.monotonic() + APART_S), people, admin, drawn_at_once=4))
        parts.add(asyncio.run(framing.doors(at, people[0], admin)))
    outcome.add(replace_names(parts, "spread out: "))
    return outcome


def replace_names(outcome: Outcome, beginning: str) -> Outcome:
    """The same under names that begin so."""
    return replace(
        outcome,
        counts=type(outcome.counts)({beginning + name: number for name, number in outcome.counts.items()}),
        examples=[beginning + what for what in outcome.examples],
        missed=[beginning + what for what in outcome.missed],
    )


def play(run: Run) -> Outcome:
    """The cases with most of the time, then the rest, each on what the cases left standing."""
    outcome = Outcome()
    with platform() as at:
        people, admin = enrol(at, USERS)
        assert at.process is not None
        process = psutil.Process(at.process.pid)
        before = process.memory_info().rss
        outcome.add(play_cases(at, replace(run, deadline=run.deadline - REST_S), people, admin))
        outcome.figures["memory grown by the cases, MB"] = round((process.memory_info().rss - before) / 2**20)
        outcome.add(play_huge(at, people, admin, run.seed))
        outcome.add(asyncio.run(framing.frames("127.0.0.1", at.port, at.home / "logs" / "access.log")))
        outcome.add(asyncio.run(forge(at, people[0], admin)))
    outcome.add(apart(run.seed))
    return outcome


CAMPAIGN = Campaign(
    number=9,
    target="100,000 calls at the gateway (hostile, drawn from the OpenAPI, good ones that follow from one another):"
    " none answers 5xx, or what the OpenAPI does not say, and the books balance; requests with two readings refused or"
    " harmless, the gateway's own headers not forged; all in one and spread out",
    size=100_000,
    bound_s=600,
    play=play,
)
