"""A small platform behind the door: fake services over ASGI, real servers on real sockets, real tokens."""

import asyncio
import http.client
import json
import socket
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs
from uuid import UUID

import pytest
import uvicorn

from api_gateway.app import create_app
from api_gateway.routes import TABLE
from api_gateway.server import uvicorn_config
from api_gateway.settings import GatewaySettings
from api_gateway.streams import STREAMS
from api_gateway.upstreams import HttpUpstream, MountedUpstream
from saras_common.auth import Identity, InternalTokens, InvalidToken, SigningKey, TokenSigner, key_set
from saras_common.clock import SystemClock
from saras_common.ids import new_id
from saras_common.metrics import Metrics
from saras_common.testing import free_port

sys.path.insert(0, str(Path(__file__).parent))

from stream_parts import MemoryFeed

INTERNAL_KEY = "k" * 40
SERVICES = sorted({route.service for route in TABLE} - {STREAMS})


class FakeService:
    """Answers with what it saw. Special paths end in a word that says what they do."""

    def __init__(self, name, people):
        self.name = name
        self.people = people
        self.tokens = InternalTokens(INTERNAL_KEY.encode(), SystemClock())
        self.calls = []
        self.feed = MemoryFeed()
        self.prices = {}
        self.started = False
        self.ready = True

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            self.started = True
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.started = False
            await send({"type": "lifespan.shutdown.complete"})
            return
        path = scope["path"]
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        known = {
            "/openapi.json": self._openapi,
            "/health/ready": self._ready,
            "/.well-known/jwks.json": lambda: (200, key_set(self.people.keys)),
            "/internal/revocations": lambda: self.people.revocations(self._identity(headers)),
        }.get(path)
        if known is not None:
            await _answer(send, *known())
            return
        if path.startswith("/internal/feed"):
            assert self._identity(headers).is_service
            await _answer(send, *await self.feed.answer(path, scope["query_string"].decode()))
            return
        if path == "/quotes" and self.prices:
            await _answer(send, 200, self._quotes(scope["query_string"].decode()))
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message.get("more_body"):
                break
        self.calls.append((scope["method"], path))
        special = getattr(self, "_" + path.rpartition("/")[2], None)
        if special is not None:
            await special(receive, send)
            return
        identity = self._identity(headers)
        seen = {
            "service": self.name,
            "method": scope["method"],
            "path": path,
            "raw_path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "headers": headers,
            "names": [name.decode() for name, _ in scope["headers"]],
            "body": body.decode(errors="replace"),
            "length": len(body),
            "user_id": str(identity.user_id),
            "roles": sorted(identity.roles),
        }
        await _answer(send, 200, seen, [(b"x-request-id", b"inner"), (b"server", b"secret/1"), (b"etag", b'"1"')])

    def _identity(self, headers):
        return self.tokens.verify(headers.get("x-internal-token", ""), self.name)

    def _quotes(self, query):
        wanted = parse_qs(query)["instruments"][0].split(",")
        return {"items": [{"instrument": n, "last_price": p} for n, p in self.prices.items() if n in wanted]}

    def _ready(self):
        return (200, {"status": "ok"}) if self.ready else (503, {"status": "unavailable"})

    def _openapi(self):
        paths = {
            "/orders/{order_id}": {"get": {"operationId": "get_order", "responses": {"200": {}, "422": {}}}},
            "/login": {"post": {"operationId": "login", "responses": {}}},
            "/internal/secret": {"get": {"responses": {}}},
            "/health/live": {"get": {"responses": {}}},
            "/admin/execution/run": {"post": {"responses": {}}},
        }
        schemas = {"Item": {"title": self.name}, "Box": {"properties": {"it": {"$ref": "#/components/schemas/Item"}}}}
        return 200, {"openapi": "3.1.0", "paths": paths, "components": {"schemas": schemas}}

    async def _stream(self, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
            await asyncio.sleep(0.15)
        await send({"type": "http.response.body", "body": b""})

    async def _endless(self, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        self.gone = asyncio.Event()
        while (await _soon(receive)) != "http.disconnect":
            await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})
        self.left = True

    async def _slow(self, _receive, send):
        await asyncio.sleep(3)
        await _answer(send, 200, {})

    async def _big(self, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        for _ in range(300):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _html500(self, _receive, send):
        await send({"type": "http.response.start", "status": 500, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<pre>Traceback: secret</pre>"})

    async def _conflict(self, _receive, send):
        body = b'{"code":"conflict"}'
        headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 409, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _cut(self, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"only this", "more_body": True})
        raise RuntimeError("cut off")


async def _soon(receive):
    try:
        return (await asyncio.wait_for(receive(), 0.05))["type"]
    except TimeoutError:
        return ""


async def _answer(send, status, document, extra=()):
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class People:
    """Signs tokens as the user-service would, and says what is revoked."""

    def __init__(self):
        self.keys = [SigningKey.generate()]
        self.signer = TokenSigner(lambda: self.keys[-1], SystemClock())
        self.sessions = []
        self.users = []
        self.silent = False
        self.asked_since = []

    def identity(self, *roles, version=1):
        return Identity(new_id(), new_id(), frozenset(roles or ("user",)), version, 0.0)

    def token(self, *roles, identity=None, ttl_s=600):
        return self.signer.sign(identity or self.identity(*roles), ttl_s)

    def revocations(self, identity):
        if self.silent:
            return 500, {}
        if not identity.is_service:
            raise InvalidToken
        return 200, {"cursor": "c1", "sessions": list(map(str, self.sessions)), "users": self.users}


class ServerThread:
    """An ASGI application under uvicorn in a thread of its own."""

    def __init__(self, config):
        self.server = uvicorn.Server(config)
        self.port = config.port
        self._thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self):
        self._thread.start()
        while not self.server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the server did not start")
            threading.Event().wait(0.01)
        return self

    def __exit__(self, *_):
        self.server.should_exit = True
        self._thread.join(15)
        assert not self._thread.is_alive()


@dataclass
class Platform:
    """The gateway on a port, the services behind it, and a client's view."""

    port: int
    people: People
    services: dict
    metrics: Metrics
    server: uvicorn.Server
    log: list = field(default_factory=list)

    def reset(self):
        for service in self.services.values():
            service.calls.clear()
            service.ready = True

    def request(self, method, path, *, token=None, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            sent = {"Content-Type": "application/json"} if body is not None else {}
            sent |= {"Authorization": f"Bearer {token}"} if token else {}
            connection.request(method, path, body=body, headers=sent | (headers or {}))
            answer = connection.getresponse()
            return Response(answer.status, dict_of(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def get(self, path, **kwargs):
        return self.request("GET", path, **kwargs)

    def post(self, path, body=b"{}", **kwargs):
        return self.request("POST", path, body=body, **kwargs)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), 5)

    def raw(self, data, *, timeout_s=5):
        """Everything the server says to ``data`` until it closes."""
        with self.connect() as sock:
            sock.settimeout(timeout_s)
            sock.sendall(data)
            parts = []
            while True:
                try:
                    part = sock.recv(65536)
                except ConnectionResetError:
                    break
                if not part:
                    break
                parts.append(part)
            return b"".join(parts)


@dataclass
class Response:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json()["code"]


def dict_of(headers):
    return {name.lower(): value for name, value in headers}


class Running:
    """Servers that end together."""

    def __init__(self):
        self._servers = []

    def platform(self, people, kind="mounted", upstreams_changed=(), **settings):
        services = {name: FakeService(name, people) for name in SERVICES}
        upstreams = {}
        for name, service in services.items():
            if kind == "mounted":
                upstreams[name] = MountedUpstream(service)
                continue
            port = free_port()
            self._enter(ServerThread(uvicorn.Config(service, port=port, log_config=None, lifespan="on")))
            upstreams[name] = HttpUpstream(f"http://127.0.0.1:{port}")
        upstreams.update(upstreams_changed)
        chosen = {"internal_token_key": INTERNAL_KEY, "port": free_port(), "answer_timeout_s": 1.0, **settings}
        gateway_settings = GatewaySettings(**chosen)
        metrics, log = Metrics(), []
        app = create_app(gateway_settings, upstreams, metrics=metrics, write_access_log=log.append)
        door = ServerThread(uvicorn_config(app, gateway_settings, metrics))
        self._enter(door)
        platform = Platform(gateway_settings.port, people, services, metrics, door.server, log)
        while platform.get("/api/v1/me", token=people.token()).status == 503:
            threading.Event().wait(0.02)
        platform.reset()
        return platform

    def stop(self):
        for server in reversed(self._servers):
            server.__exit__(None, None, None)

    def _enter(self, server):
        self._servers.append(server.__enter__())


@pytest.fixture
def platform_with(people):
    """``platform_with(kind, **settings)``: a platform of this test's own."""
    own = Running()
    yield lambda *args, **settings: own.platform(people, *args, **settings)
    own.stop()


@pytest.fixture(scope="module")
def running():
    """For a module's own shared platform."""
    servers = Running()
    yield servers
    servers.stop()


@pytest.fixture(scope="module")
def module_people():
    return People()


@pytest.fixture(scope="module", params=["mounted", "http"])
def shared_platform(request, module_people, running):
    return running.platform(module_people, request.param, rate_login="1000/second")


@pytest.fixture
def platform(shared_platform):
    """One platform for a module's tests, with mounted services and then over HTTP."""
    shared_platform.reset()
    return shared_platform


@pytest.fixture
def people(request):
    """Those of the shared platform, where the test uses it."""
    shared = {"platform", "shared_platform"} & set(request.fixturenames)
    return request.getfixturevalue("module_people") if shared else People()


@pytest.fixture(params=["mounted", "http"])
def upstream_kind(request):
    return request.param


@pytest.fixture
def nobody():
    return UUID(int=0)
