"""Both ways to the book carry the same calls: over HTTP, and into an application in this process."""

import asyncio
import json
import threading

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from saras_common.auth import InternalTokens
from saras_common.clock import SystemClock
from saras_common.errors import Unavailable
from saras_common.ids import new_id
from saras_common.postgres import free_port
from smallcase_service.book import Book, HttpTransport, MountedTransport, Placement, Wanted
from smallcase_service.domain.refusals import Refused

KEY = b"internal-key-of-the-tests-32-bytes-long"
USER, BASKET = new_id(), new_id()


def scripted_book():
    """Answers by what the first order is; remembers what it was asked."""
    app = FastAPI()
    app.state.asked = []

    @app.post("/internal/orders/batch")
    async def place(request: Request) -> Response:
        body = await request.json()
        identity = InternalTokens(KEY, SystemClock()).verify(request.headers["X-Internal-Token"], "portfolio-service")
        app.state.asked.append((identity.is_service, request.headers["Idempotency-Key"], body))
        status, document = {
            "NSE:OK": (202, {"items": [{"id": "1", "instrument": "NSE:OK", "status": "ACCEPTED"}]}),
            "NSE:NO": (422, {"code": "insufficient_funds", "status": 422, "title": "No", "detail": "No cash"}),
            "NSE:BUSY": (409, {"code": "idempotency_in_progress", "status": 409, "title": "Wait", "detail": "Wait"}),
            "NSE:BROKEN": (500, {"code": "internal_error", "status": 500, "title": "Oh", "detail": "Oh"}),
        }[body["orders"][0]["instrument"]]
        return Response(json.dumps(document), status, media_type="application/json")

    @app.get("/holdings")
    async def holdings(request: Request) -> Response:
        identity = InternalTokens(KEY, SystemClock()).verify(request.headers["X-Internal-Token"], "portfolio-service")
        assert identity.user_id == USER
        items = [{"instrument": "NSE:OK", "quantity": 10, "reserved": 3}]
        return Response(json.dumps({"items": items}), media_type="application/json")

    return app


@pytest.fixture
def served():
    app = scripted_book()
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.02)
    transport = HttpTransport(f"http://127.0.0.1:{port}/")
    yield app, transport
    transport.close()
    server.should_exit = True
    thread.join()


@pytest.fixture
def mounted():
    app = scripted_book()
    transport = MountedTransport(app)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(transport.start(), loop).result()
    yield app, transport
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(params=["served", "mounted"])
def site(request):
    app, transport = request.getfixturevalue(request.param)
    return app, Book(transport, InternalTokens(KEY, SystemClock()), SystemClock())


def placement(name, key="run:0:0"):
    return Placement(USER, BASKET, key, [Wanted(name, "BUY", 2)])


def test_many_placements_and_their_answers_in_order(site):
    app, book = site
    names = ["NSE:OK", "NSE:NO", "NSE:BUSY", "NSE:BROKEN"] * 20
    answers = book.place([placement(name, f"k{n}") for n, name in enumerate(names)])
    kinds = {"NSE:OK": list, "NSE:NO": Refused, "NSE:BUSY": Unavailable, "NSE:BROKEN": Unavailable}
    assert [type(answer) for answer in answers] == [kinds[name] for name in names]
    assert answers[1].code == "insufficient_funds"
    assert {key for _, key, _ in app.state.asked} == {f"k{n}" for n in range(80)}
    is_service, _, body = app.state.asked[0]
    assert is_service
    assert body["atomic"] is True
    assert (body["user_id"], body["basket_id"]) == (str(USER), str(BASKET))
    assert body["orders"][0]["order_type"] == "MARKET"


def test_what_a_user_holds_is_asked_in_its_name(site):
    _, book = site
    assert book.held_shares(USER) == {"NSE:OK": 10}
    assert book.free_shares(USER) == {"NSE:OK": 7}


def test_nobody_there_is_unavailable():
    clock = SystemClock()
    away = HttpTransport(f"http://127.0.0.1:{free_port()}")
    for transport in (away, MountedTransport(scripted_book())):
        (answer,) = Book(transport, InternalTokens(KEY, clock), clock).place([placement("NSE:OK")])
        assert isinstance(answer, Unavailable)
        with pytest.raises(Unavailable):
            Book(transport, InternalTokens(KEY, clock), clock).held_shares(USER)
    away.close()
