"""Access tokens: signed by the user-service, verified wherever a person knocks."""

from collections.abc import Callable
from uuid import UUID

from saras_common.auth import compact
from saras_common.auth.claims import Terms, claims_of, identity_of
from saras_common.auth.identity import Identity
from saras_common.auth.keys import PublishedKeys, SigningKey
from saras_common.auth.remembered import Remembered
from saras_common.clock import Clock
from saras_common.ids import NewId, new_id

ISSUER = "saras"
ACCESS_AUDIENCE = "saras-api"
MAX_ACCESS_TTL_S = 3600


def _terms(issuer: str) -> Terms:
    return Terms(issuer, "access", frozenset({"user", "admin"}), MAX_ACCESS_TTL_S)


class TokenSigner:
    """Signs with whichever key ``current_key`` names at that moment, so rotation needs no restart."""

    def __init__(
        self,
        current_key: Callable[[], SigningKey],
        clock: Clock,
        *,
        issuer: str = ISSUER,
        audience: str = ACCESS_AUDIENCE,
        new_id: NewId = new_id,
    ) -> None:
        self._current_key = current_key
        self._clock = clock
        self._terms = _terms(issuer)
        self._audience = audience
        self._new_id = new_id

    def sign(self, identity: Identity, ttl_s: int) -> str:
        """A token for ``identity``, good for ``ttl_s`` seconds (its own ``expires_at`` is not looked at)."""
        if not 0 < ttl_s <= MAX_ACCESS_TTL_S:
            raise ValueError("an access token lives at most an hour")
        key = self._current_key()
        issued_at = int(self._clock.now().timestamp())
        jti: UUID = self._new_id()
        claims = claims_of(
            identity, self._terms, self._audience, issued_at=issued_at, expires_at=issued_at + ttl_s, jti=jti
        )
        return compact.write(claims, key.key, "ES256", key.kid)


class TokenVerifier:
    """Verifies access tokens against a closed set of keys; remembers the good ones for ``remember_s`` seconds.

    What it remembers is that the token is genuine. Revocation is the caller's next question, asked on every request.
    """

    def __init__(
        self,
        keys: PublishedKeys,
        clock: Clock,
        *,
        issuer: str = ISSUER,
        audience: str = ACCESS_AUDIENCE,
        remember_s: float = 5.0,
        remember_limit: int = 20_000,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._terms = _terms(issuer)
        self._audience = audience
        self._remember_s = remember_s
        self._remembered: Remembered[str, Identity] = Remembered(remember_limit)

    def verify(self, token: str) -> Identity:
        """Whom the token speaks for; `InvalidToken` for anything but a good one."""
        moment = self._clock.monotonic()
        identity = self._remembered.find(token, moment)
        if identity is not None:
            return identity
        claims = compact.read(token, "ES256", self._keys.find, with_kid=True)
        now = self._clock.now().timestamp()
        identity = identity_of(claims, self._terms, self._audience, now)
        self._remembered.put(token, identity, moment + min(self._remember_s, identity.expires_at - now))
        return identity
