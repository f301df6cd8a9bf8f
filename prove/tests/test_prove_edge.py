"""Slices of the campaigns at the gateway and of the canaries, on one platform; and that their judges are not blind."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from prove import framing, secrets
from prove import input as edge
from prove.campaign import Run
from prove.canaries import Canary, Net
from prove.door import enrol
from prove.samples import SAMPLES
from prove.shapes import Shapes
from prove.wire import Answer

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi" / "platform.json").read_text())


@pytest.fixture(scope="module")
def scene():
    with secrets.scene() as made:
        yield made


@pytest.fixture(scope="module")
def crowd(scene):
    return enrol(scene.platform, 3, scene.admin_password)


@pytest.fixture
def shapes():
    return Shapes(DOCUMENT)


def test_no_canary_gets_out_and_every_leak_is_found(scene):
    secrets.live(scene, 1)
    planted = secrets.leaks(scene)
    outcome = secrets.judge(scene, secrets.search(scene), planted)
    outcome.violate(*secrets.limits(scene))
    assert outcome.examples == []
    assert outcome.counts["leaks found"] == outcome.counts["leaks planted"]
    assert outcome.counts["broker tokens opened"] == 1
    assert outcome.counts["orders seen filled"] == 1


def test_hostile_drawn_and_good_calls_are_answered_as_documented(scene, crowd):
    people, admin = crowd
    outcome = edge.play_cases(scene.platform, Run(7, 150, time.monotonic() + 60), people, admin, drawn_at_once=13)
    assert outcome.examples == []
    assert outcome.counts["cases"] == 150
    assert min(outcome.counts[f"cases: {kind}"] for kind in set(edge.KINDS)) >= 25
    assert outcome.counts["answered 200"] > 10


def test_ambiguous_requests_are_refused(scene):
    outcome = asyncio.run(
        framing.frames("127.0.0.1", scene.platform.port, scene.folder / "home" / "logs" / "access.log")
    )
    assert outcome.examples == []
    assert outcome.counts["ambiguous requests"] > 90


def test_only_the_gateway_says_who_calls(scene, crowd):
    people, admin = crowd
    outcome = asyncio.run(edge.forge(scene.platform, people[0], admin, tokens=1))
    assert outcome.examples == []
    assert outcome.counts["forged heads"] > 90
    assert outcome.counts["sessions opened from a forged address"] > 10


def test_every_operation_with_a_body_has_a_sample(shapes):
    open_bodies = {"POST /api/v1/broker/postback", "POST /api/v1/admin/history/prices"}
    assert {operation.name for operation in shapes.operations if operation.has_body} | open_bodies == set(SAMPLES)


PROBLEM = {"type": "a", "title": "b", "status": 404, "detail": "c", "code": "d", "request_id": "e"}


@pytest.mark.parametrize(
    ("fault", "status", "kind", "body"),
    [
        ("answered 500", 500, "application/problem+json", {**PROBLEM, "status": 500}),
        ("is not in the document", 418, "application/problem+json", {**PROBLEM, "status": 418}),
        ("an error of type", 404, "application/json", PROBLEM),
        ("not a problem document", 404, "application/problem+json", {"status": 404}),
        ("the problem says", 403, "application/problem+json", PROBLEM),
        ("repeats what was sent", 404, "application/problem+json", {**PROBLEM, "detail": "mark"}),
        ("an answer of type", 200, "text/html", {}),
        ("not as documented", 200, "application/json", {"cash": 1.5}),
    ],
)
def test_the_judge_of_answers_is_not_blind(shapes, fault, status, kind, body):
    headers = {"content-type": kind, "x-request-id": "e"}
    answer = Answer(status, headers, json.dumps(body).encode())
    found = shapes.faults(shapes.find("GET", "/api/v1/funds"), answer, unsaid=b"mark")
    assert fault in " ".join(found)


def test_a_good_answer_has_no_fault(shapes):
    funds = dict.fromkeys(("cash", "held", "available", "collateral", "margin_used"), "1.00")
    answer = Answer(200, {"content-type": "application/json", "x-request-id": "e"}, json.dumps(funds).encode())
    assert shapes.faults(shapes.find("GET", "/api/v1/funds"), answer) == []


@pytest.mark.parametrize("written", ["plain", "base64", "hex", "wide", "url"])
def test_a_canary_is_found_however_it_is_written(written):
    import base64

    value = "a+very/secret value"
    text = {
        "plain": value.encode(),
        "base64": base64.b64encode(b"user:" + value.encode() + b"@host"),
        "hex": value.encode().hex().encode(),
        "wide": value.encode("utf-16-le"),
        "url": b"a%2Bvery%2Fsecret%20value",
    }[written]
    net = Net([Canary("it", value, ("at home",))])
    net.look("at home", b"--" + text + b"--")
    net.look("elsewhere", b"--" + text[:-9] + b"--")
    assert net.hits == []
    net.look("elsewhere", b"--" + text + b"--")
    net.look("elsewhere again", bytes(5_000) + text + bytes(5_000) + b"--" + text[:-9])
    assert net.hits == ["it in elsewhere", "it in elsewhere again"]
