"""Who calls: access tokens verified with the user-service's keys, and whatever was revoked since.

The verifier remembers genuine tokens for seconds; revocation is asked on every request, from a set kept fresh by
polling. When the feed has been silent for too long nobody is let in: a logout must hold everywhere within a second.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import UUID

from api_gateway.upstreams import Upstream
from saras_common.auth import (
    Identity,
    InternalTokens,
    InvalidToken,
    PublishedKeys,
    TokenVerifier,
    UnknownKey,
    anonymous,
    service,
)
from saras_common.auth.identity import NOBODY
from saras_common.clock import Clock
from saras_common.errors import Unauthenticated, Unavailable

log = logging.getLogger(__name__)

USER_SERVICE = "user-service"
KEEP_S = 3700.0
"""How long a revocation is remembered: an access token lives an hour at most."""

_ASK_TIMEOUT_S = 2.0
_PRUNE_AT = 10_000
_NEVER = 2.0**40
_READ_KEYS_S = 60.0
_MAX_CALLERS = 20_000

INTERNAL_TTL_S = 30
_KEEP_INTERNAL_S = 10.0
"""Minting gives a token with at least half of its life left; after this much of that there is still time to use it."""


class Revocations:
    """Sessions ended and users' lowest good version, as last heard from the user-service."""

    def __init__(self, clock: Clock, stale_after_s: float) -> None:
        self._clock = clock
        self._stale_after_s = stale_after_s
        self._sessions: dict[UUID, float] = {}
        self._users: dict[UUID, tuple[int, float]] = {}
        self._heard_at: float | None = None
        self.cursor: str | None = None

    def check(self, identity: Identity) -> None:
        """`Unauthenticated` when ``identity`` was revoked, `Unavailable` when nobody knows."""
        age_s = self.age_s()
        if age_s is None or age_s > self._stale_after_s:
            raise Unavailable("revocations are not known at the moment", retry_after_s=1)
        if identity.session_id in self._sessions:
            raise Unauthenticated
        revoked = self._users.get(identity.user_id)
        if revoked is not None and identity.version < revoked[0]:
            raise Unauthenticated

    def age_s(self) -> float | None:
        """Seconds since the feed last answered; ``None`` before the first time."""
        return None if self._heard_at is None else self._clock.monotonic() - self._heard_at

    def apply(self, document: Mapping[str, Any], asked_at: float) -> None:
        """Add what the feed said to a question asked at ``asked_at``; ``ValueError`` or ``KeyError`` when malformed."""
        sessions = [UUID(text) for text in document["sessions"]]
        users = [(UUID(item["user_id"]), int(item["min_version"])) for item in document["users"]]
        cursor = document["cursor"]
        for session_id in sessions:
            self._sessions[session_id] = asked_at
        for user_id, min_version in users:
            known = self._users.get(user_id, (0, 0.0))[0]
            self._users[user_id] = (max(known, min_version), asked_at)
        self.cursor = None if cursor is None else str(cursor)
        self._heard_at = asked_at
        if len(self._sessions) + len(self._users) > _PRUNE_AT:
            self._prune(asked_at - KEEP_S)

    def _prune(self, before: float) -> None:
        self._sessions = {key: at for key, at in self._sessions.items() if at >= before}
        self._users = {key: entry for key, entry in self._users.items() if entry[1] >= before}


class Caller:
    """Someone let in: the identity, and the internal tokens that speak for it, by service."""

    __slots__ = ("_internal", "_tokens", "identity", "user")

    def __init__(self, identity: Identity, internal: InternalTokens) -> None:
        self.identity = identity
        self.user = "" if identity.user_id == NOBODY else str(identity.user_id)
        self._internal = internal
        self._tokens: dict[str, tuple[bytes, float]] = {}

    def token_for(self, audience: str, moment: float) -> bytes:
        """The internal token to show the service ``audience``; ``moment`` is the monotonic clock's."""
        known = self._tokens.get(audience)
        if known is not None and moment < known[1]:
            return known[0]
        token = self._internal.mint(self.identity, audience, INTERNAL_TTL_S).encode("ascii")
        self._tokens[audience] = (token, moment + _KEEP_INTERNAL_S)
        return token


class Sessions:
    """Answers who a token speaks for. ``users`` is the user-service, or ``None`` where there is none."""

    def __init__(
        self, users: Upstream | None, internal_tokens: InternalTokens, clock: Clock, *, revocation_stale_s: float
    ) -> None:
        self._users = users
        self._internal = internal_tokens
        self._clock = clock
        self._keys = PublishedKeys(clock, min_interval_s=1.0)
        self._verifier = TokenVerifier(self._keys, clock)
        self._service = service(_NEVER)
        self._callers: dict[str, Caller] = {}
        self.anonymous = Caller(anonymous(_NEVER), internal_tokens)
        self._was_good = True
        self._keys_read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self.revocations = Revocations(clock, revocation_stale_s)

    async def admit(self, token: str | None) -> Caller:
        """Whom ``token`` speaks for; `Unauthenticated`, or `Unavailable` while that cannot be known."""
        if token is None:
            raise Unauthenticated
        try:
            identity = self._verifier.verify(token)
        except (UnknownKey, Unavailable):
            if not await self._read_again():
                raise
            identity = self._verifier.verify(token)
        self.revocations.check(identity)
        caller = self._callers.get(token)
        if caller is None or caller.identity is not identity:
            if len(self._callers) >= _MAX_CALLERS:
                self._callers.clear()
            caller = self._callers[token] = Caller(identity, self._internal)
        return caller

    async def _read_again(self) -> bool:
        """Join the reading under way or begin one; false when the last was a moment ago."""
        if self._reading is None or self._reading.done():
            if not self._keys.due():
                return False
            self._reading = asyncio.create_task(self._read_keys())
        await asyncio.shield(self._reading)
        return True

    async def _read_keys(self) -> None:
        """Read the published keys again; on failure the known ones stay."""
        if self._users is None:
            raise Unavailable("there is no user-service")
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                answer = await self._users.ask("/.well-known/jwks.json", {})
            self._keys.load(answer.json())
        except (Unavailable, TimeoutError, ValueError, InvalidToken) as error:
            log.warning("signing keys could not be read", extra={"reason": type(error).__name__})

    async def poll(self) -> None:
        """Hear what was revoked since the last time; read the keys at first and once a minute."""
        if self._users is None:
            return
        asked_at = self._clock.monotonic()
        if not len(self._keys) or asked_at - self._keys_read_at > _READ_KEYS_S:
            self._keys_read_at = asked_at
            await self._read_keys()
        since = self.revocations.cursor
        path = "/internal/revocations" if since is None else f"/internal/revocations?since={quote(since, safe='')}"
        headers = {"x-internal-token": self._internal.mint(self._service, USER_SERVICE)}
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                answer = await self._users.ask(path, headers)
            self.revocations.apply(answer.json(), asked_at)
        except Exception as error:  # noqa: BLE001 - whatever it was, the feed is silent; the age says for how long
            self._note(good=False, reason=type(error).__name__)
        else:
            self._note(good=True)

    def _note(self, *, good: bool, reason: str = "") -> None:
        if good != self._was_good:
            self._was_good = good
            if good:
                log.info("revocations are heard again")
            else:
                log.warning("revocations are not heard", extra={"reason": reason})
