"""A platform with canaries for secrets, and its life: people sign in and fail to, order, break rules, get messages."""

import contextlib
import json
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pyotp
from prove.canaries import Canary, opened
from prove.door import ENVIRONMENT

from saras.client import Answer, Api, NotReachable
from saras.commands import reconcile
from saras.demo.market import list_quotes, wait_tradable
from saras.fleet import SERVICES
from saras.home import Home
from saras.process import ADMIN_EMAIL, PlatformProcess

WAIT_S = 40.0
EVERYBODY = [f"{service.name}.*" for service in SERVICES]
SECRETS_FILE = ("home/secrets.json", "backup/*/secrets.json")
OWN_FOLDERS = ("home/postgres/*", "home/services/*")
"""Where servers keep their own passwords, readable by their owner alone."""


def fresh(beginning: str = "") -> str:
    """A value that is nowhere yet."""
    return f"{beginning}{secrets.token_hex(16)}"


class Listener:
    """Takes whatever is posted to it: traces as a collector does, messages as a user's own program does."""

    def __init__(self) -> None:
        heard = self.heard = list[bytes]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(opened(self.rfile.read(int(self.headers.get("Content-Length") or 0))))
                heard.append(str(self.headers).encode())
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Scene:
    """A platform with canaries for secrets, and everything it said."""

    def __init__(self, folder: Path, traces: Listener, hooks: Listener, *, layout: str) -> None:
        self.folder, self.traces, self.hooks = folder, traces, hooks
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.canaries: list[Canary] = []
        self.problems: list[bytes] = []
        self.pages: dict[str, bytes] = {}
        self.counts: dict[str, int] = {}
        self.admin_password = self.plant(
            "the administrator's password",
            homes=(
                "home/admin.json",
                "backup/*/admin.json",
                "environment of saras up",
                "environment of user-service.*",
            ),
        )
        sms = self.plant(
            "the login of the SMS gateway", homes=("environment of saras up", "environment of notification-*")
        )
        mail = self.plant("the password of the mail server", homes=("environment of saras up", "environment of notif*"))
        kite = self.plant("the api_secret of a live account", homes=("environment of saras up",))
        roles = self.plant("the password of a database login", homes=("environment of saras up",))
        self.platform = PlatformProcess(
            folder / "home",
            {
                **ENVIRONMENT,
                "LOG_LEVEL": "DEBUG",
                "SARAS_LAYOUT": layout,
                "SARAS_ADMIN_PASSWORD": self.admin_password,
                "NOTIFY_SMS_URL": f"json://user:{sms}@127.0.0.1:9/{{to}}",
                "NOTIFY_SMTP_PASSWORD": mail,
                "NOTIFY_ALLOW_LOOPBACK": "true",
                "NOTIFY_SETTLE_S": "0",
                "KITE_ACCOUNTS": f"main:live:{kite}",
                "SARAS_ROLE_PASSWORDS": f"user_service:{roles}",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{traces.url}/v1/traces",
                "TMPDIR": str(self.temporary),
            },
        )
        self.home = Home(folder / "home")

    def plant(self, name: str, value: str | None = None, *, homes: tuple[str, ...] = ()) -> str:
        """A new secret, or one that the platform made itself."""
        value = value or fresh()
        self.canaries.append(Canary(name, value, homes))
        return value

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + number

    def call(self, api: Api, method: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        """One request; what an error says is kept."""
        answer = api.call(method, path, body, key=key)
        self.count("requests")
        if not answer.ok:
            self.problems.append(json.dumps(answer.body).encode())
        return answer


@contextmanager
def scene(*, layout: str = "one") -> Iterator[Scene]:
    """A running platform in a folder of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="saras-secrets-", ignore_cleanup_errors=True) as folder,
        ExitStack() as stack,
    ):
        traces, hooks = Listener(), Listener()
        stack.callback(traces.stop)
        stack.callback(hooks.stop)
        made = Scene(Path(folder), traces, hooks, layout=layout)
        stack.callback(made.platform.stop)
        made.platform.start()
        yield made


# --- a platform's life


def live(on: Scene, people: int) -> None:
    """What people do, and what happens to a platform."""
    with Api(on.platform.url) as admin, Api(on.platform.url) as api:
        admin.login(ADMIN_EMAIL, on.admin_password)
        quotes = list_quotes(admin, 45)[:2]
        for number in range(people):
            person(on, api, number)
            if number == 0:
                wait_tradable(api, quotes)
            trade(on, api, quotes[0].instrument)
            quarrel(on, api)
        run_window(on, admin, api)
        administer(on, admin)
    own_secrets(on)


def person(on: Scene, api: Api, number: int) -> None:
    """Registers, fails to sign in, signs in with a code, declares who it is, wants to be told, changes its password."""
    email, old, new = f"{fresh('p')}@secrets.example.com", on.plant("a password"), on.plant("a new password")
    api.token = None
    on.call(api, "POST", "/register", {"email": email, "password": old, "full_name": f"Person {number}"})
    on.call(api, "POST", "/login", {"email": email, "password": on.plant("a mistyped password")})
    on.call(api, "POST", "/login", {"email": email, "password": [on.plant("a password of a wrong type")]})
    sign_in(on, api, email, old)
    seed = on.call(api, "POST", "/me/totp/enroll").body["secret"]
    code = pyotp.TOTP(on.plant("a TOTP seed", seed))
    on.call(api, "POST", "/me/totp/confirm", {"code": code.now()})
    on.call(api, "POST", "/login", {"email": email, "password": old})
    declaration = {
        "pan": f"{''.join(secrets.choice('ABCDEFGHJKLMN') for _ in range(3))}P{secrets.choice('ABCDEF')}"
        f"{secrets.randbelow(9000) + 1000}F",
        "date_of_birth": "1990-01-31",
        "address": f"{secrets.randbelow(900) + 1} {fresh('Lane')}, Pune 411001",
        "bank_account": str(secrets.randbelow(9 * 10**15) + 10**15),
        "ifsc": "HDFC0001234",
    }
    for name in ("pan", "address", "bank_account"):
        on.plant(f"a {name} of KYC", declaration[name])
    on.call(api, "PUT", "/me/kyc", declaration)
    on.call(api, "PUT", "/me/kyc", {**declaration, "ifsc": "wrong"})
    on.pages[f"KYC as {number} sees it"] = json.dumps(on.call(api, "GET", "/me/kyc").body).encode()
    path = on.plant("the address of a webhook", homes=("table notification_service.webhooks", *OWN_FOLDERS))
    hook = on.call(api, "POST", "/webhooks", {"url": f"{on.hooks.url}/{path}", "kinds": ["order_filled", "funds"]})
    on.plant("the signing secret of a webhook", hook.body["secret"])
    phone = f"+9198{secrets.randbelow(10**8):08d}"
    on.plant("a number to send SMS to", phone, homes=("table notification_service.preferences", *OWN_FOLDERS))
    wishes = {"events": {"funds": {"sms": True}, "order_filled": {"sms": True}}, "contacts": {"sms": phone}}
    on.call(api, "PUT", "/notifications/preferences", wishes)
    on.call(api, "POST", "/funds/deposit", {"amount": "100000.00"}, key=fresh())
    keep(on, api, on.call(api, "POST", "/me/password", {"current_password": old, "new_password": new}).body)
    on.count("people")


def sign_in(on: Scene, api: Api, email: str, password: str) -> None:
    """A session; its refresh token is turned over."""
    pair = on.call(api, "POST", "/login", {"email": email, "password": password}).body
    keep(on, api, pair)
    keep(on, api, on.call(api, "POST", "/token/refresh", {"refresh_token": pair["refresh_token"]}).body)
    on.count("sign-ins")


def keep(on: Scene, api: Api, pair: dict[str, str]) -> None:
    """Go on with these tokens."""
    on.plant("an access token", pair["access_token"])
    on.plant("a refresh token", pair["refresh_token"])
    api.token = pair["access_token"]


def trade(on: Scene, api: Api, instrument: str) -> None:
    """Two orders that may fill."""
    for quantity in (1, 2):
        order = {"instrument": instrument, "quantity": quantity, "order_type": "MARKET"}
        on.call(api, "POST", "/buy", order, key=fresh())
        on.count("orders")


def quarrel(on: Scene, api: Api) -> None:
    """Errors of every kind, each with a secret in what was sent."""
    wrong = on.plant("a secret in a body that is refused")
    token, api.token = api.token, f"eyJhbGciOiJub25lIn0.{on.plant('a forged token')}.x"
    on.call(api, "GET", "/me")
    api.token = token
    for path, body in (
        ("/buy", {"instrument": wrong, "quantity": wrong, "order_type": wrong}),
        ("/funds/deposit", {"amount": wrong}),
        ("/me/password", {"current_password": wrong, "new_password": wrong[:3]}),
        ("/token/refresh", {"refresh_token": wrong}),
        ("/me/totp/disable", {"code": wrong}),
        ("/webhooks", {"url": f"https://user:{wrong}@127.0.0.1/"}),
        ("/login", {"email": f"{wrong}@secrets.example.com", "password": wrong}),
        ("/broker/postback", {"order_id": "1", "order_timestamp": "1", "checksum": wrong}),
    ):
        on.call(api, "POST", path, body)
    on.call(api, "GET", f"/reports/positions?password={wrong[:4]}")


def run_window(on: Scene, admin: Api, api: Api) -> None:
    """The orders are sent and filled, and people are told."""
    deadline = time.monotonic() + WAIT_S
    while True:
        on.call(admin, "POST", "/admin/execution/run")
        states = {row["status"] for row in on.call(api, "GET", "/orders").body["items"]}
        if "FILLED" in states or time.monotonic() > deadline:
            break
        time.sleep(0.3)
    on.count("orders seen filled", int("FILLED" in states))
    on.call(api, "GET", "/notifications")


def administer(on: Scene, admin: Api) -> None:
    """What the administrator looks at, and a login at the broker that fails."""
    on.call(admin, "POST", "/admin/broker/session", {"request_token": on.plant("a request token of the broker")})
    reconcile(admin)
    on.pages["users as the administrator sees them"] = json.dumps(on.call(admin, "GET", "/admin/users").body).encode()


def own_secrets(on: Scene) -> None:
    """What the platform made for itself."""
    for name, value in json.loads((on.folder / "home" / "secrets.json").read_text()).items():
        if name == "sandbox_api_key":
            continue  # goes over the wire in clear
        homes = [*SECRETS_FILE, *_environments(name)]
        if name.startswith("sandbox"):
            homes += ["home/sandbox/*"]
        on.plant(f"the platform's {name}", value, homes=(*homes, *OWN_FOLDERS))
    for name in ("data_key", "executor_key"):
        on.plant(
            f"the platform's {name}, as it is used", on.home.vault().get_key(name), homes=tuple(_environments(name))
        )


def _environments(name: str) -> list[str]:
    """Processes that have to know one of the platform's secrets; all in one, nobody is told by the environment."""
    owners = {
        "internal_token_key": EVERYBODY,
        "data_key": ["user-service.*"],
        "executor_key": ["trade-executor.*"],
        "webhook_key": ["notification-service.*"],
        "sandbox_api_secret": ["sandbox", "trade-executor.*"],
        "rabbitmq_password": EVERYBODY,
        "redis_password": EVERYBODY,
    }
    package = name.removesuffix("_password")
    known = owners.get(name, [f"{package.replace('_', '-')}.*"])
    return [f"environment of {owner}" for owner in known]


def trouble(on: Scene) -> None:
    """The database is killed under calls, then the platform itself; both come back."""
    assert on.platform.process is not None
    children = psutil.Process(on.platform.process.pid).children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.name() == "postgres" and "-D" in child.cmdline():
                child.kill()
    with Api(on.platform.url, timeout_s=10.0) as api:
        for _ in range(10):
            with contextlib.suppress(NotReachable):
                on.call(api, "POST", "/login", {"email": ADMIN_EMAIL, "password": on.admin_password})
    on.platform.kill()
    on.count("kills", 2)
    on.platform.start()
    with Api(on.platform.url) as api:
        api.login(ADMIN_EMAIL, on.admin_password)
        on.plant("an access token", str(api.token))
