"""Users and sessions by the hundred, for demonstrations, tests and benches. Sandbox mode only.

user-service offers this to the platform's own processes alone. In one process there is no port of its own to call it
on, so the outer application has this door beside the gateway: it opens only to a token made with the home's key, and
to everybody else the paths do not exist.
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from saras.client import Http
from saras.errors import CommandFailed
from saras.home import Home
from saras_common.auth import InternalTokens, service
from saras_common.clock import SystemClock
from saras_common.errors import SarasError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

USERS_PATH = "/internal/users"
SESSIONS_PATH = "/internal/sessions"
TOKEN_HEADER = "X-Internal-Token"  # noqa: S105 - a header's name
AUDIENCE = "user-service"
MOST_AT_ONCE = 500
TOKEN_TTL_S = 60


class SeedingDoor:
    """The gateway, except that a holder of the internal key may seed users at ``user_service``."""

    def __init__(self, gateway: AsgiApp, user_service: AsgiApp, tokens: InternalTokens, audience: str) -> None:
        self._gateway = gateway
        self._user_service = user_service
        self._tokens = tokens
        self._audience = audience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in {USERS_PATH, SESSIONS_PATH} and self._is_ours(scope):
            await self._user_service(scope, receive, send)
        else:
            await self._gateway(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        token = next((value for name, value in scope["headers"] if name == TOKEN_HEADER.lower().encode()), None)
        if token is None:
            return False
        try:
            return self._tokens.verify(token.decode("latin-1"), self._audience).is_service
        except SarasError:
            return False


@dataclass(frozen=True, slots=True)
class Seeded:
    """A user that exists now, signed in."""

    id: str
    email: str
    full_name: str
    token: str


class Seeder:
    """Asks the platform at ``url`` that runs on ``home``."""

    def __init__(self, url: str, home: Home) -> None:
        running = home.find_running()
        self._url = url if running is None or running.seeding_url is None else running.seeding_url
        key = home.vault().get("internal_token_key")["internal_token_key"]
        self._tokens = InternalTokens(key.encode(), SystemClock())

    def seed(self, people: Sequence[tuple[str, str]], password: str) -> list[Seeded]:
        """Users for ``(email, full name)``, all with one password and a session each; those there are kept."""
        seeded = []
        with Http(self._url, timeout_s=60.0) as http:
            for start in range(0, len(people), MOST_AT_ONCE):
                part = people[start : start + MOST_AT_ONCE]
                users = [{"email": email, "full_name": full_name} for email, full_name in part]
                made = self._ask(http, USERS_PATH, {"users": users, "password": password})
                opened = self._ask(http, SESSIONS_PATH, {"user_ids": [user["id"] for user in made]})
                tokens = {session["user_id"]: session["access_token"] for session in opened}
                seeded += [
                    Seeded(user["id"], email, full_name, tokens[user["id"]])
                    for user, (email, full_name) in zip(made, part, strict=True)
                ]
        return seeded

    def _ask(self, http: Http, path: str, body: Any) -> list[dict[str, Any]]:
        now = SystemClock().now().timestamp()
        token = self._tokens.mint(service(now + TOKEN_TTL_S), AUDIENCE, ttl_s=TOKEN_TTL_S)
        answer = http.send("POST", path, body, {TOKEN_HEADER: token})
        if not answer.ok:
            raise CommandFailed(f"seeding at {self._url}: {answer.describe()}")
        items: list[dict[str, Any]] = answer.body["items"]
        return items
