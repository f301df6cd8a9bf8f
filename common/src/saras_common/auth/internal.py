"""Internal tokens: how the gateway and the services tell one another whom a request is for.

Another algorithm, key, issuer and kind than access tokens, so neither can pass for the other.
"""

from saras_common.auth import compact
from saras_common.auth.claims import Terms, claims_of, identity_of
from saras_common.auth.identity import Identity
from saras_common.auth.remembered import Remembered
from saras_common.clock import Clock
from saras_common.ids import new_id

MAX_INTERNAL_TTL_S = 60

_TERMS = Terms("saras-internal", "internal", frozenset({"user", "admin", "anonymous", "service"}), MAX_INTERNAL_TTL_S)


class InternalTokens:
    """Mints and verifies internal tokens with the platform's shared secret (≥ 32 bytes). Both ways are remembered."""

    def __init__(self, key: bytes, clock: Clock, *, remember_limit: int = 20_000) -> None:
        self._key = compact.hmac_key(key)
        self._clock = clock
        self._minted: Remembered[tuple[Identity, str, int], str] = Remembered(remember_limit)
        self._verified: Remembered[tuple[str, str], Identity] = Remembered(remember_limit)

    def mint(self, identity: Identity, audience: str, ttl_s: int = 30) -> str:
        """A token for the service ``audience``; the same one again while more than half of its life is left.

        It never outlives ``identity.expires_at``.
        """
        if not 0 < ttl_s <= MAX_INTERNAL_TTL_S:
            raise ValueError("an internal token lives at most a minute")
        moment = self._clock.monotonic()
        wanted = (identity, audience, ttl_s)
        token = self._minted.find(wanted, moment)
        if token is None:
            now = self._clock.now().timestamp()
            expires_at = int(min(now + ttl_s, identity.expires_at))
            claims = claims_of(identity, _TERMS, audience, issued_at=int(now), expires_at=expires_at, jti=new_id())
            token = compact.write(claims, self._key, "HS256")
            self._minted.put(wanted, token, moment + (expires_at - now) / 2)
        return token

    def verify(self, token: str, audience: str) -> Identity:
        """Whom the token speaks for, when it was minted for ``audience``; else `InvalidToken`."""
        moment = self._clock.monotonic()
        identity = self._verified.find((token, audience), moment)
        if identity is not None:
            return identity
        claims = compact.read(token, "HS256", lambda _kid: self._key, with_kid=False)
        now = self._clock.now().timestamp()
        identity = identity_of(claims, _TERMS, audience, now)
        self._verified.put((token, audience), identity, moment + identity.expires_at - now)
        return identity


class InternalVerifier:
    """One service's view of `InternalTokens`: believes what was minted for it alone."""

    def __init__(self, tokens: InternalTokens, audience: str) -> None:
        self._tokens = tokens
        self.audience = audience

    def verify(self, token: str) -> Identity:
        """Whom the token speaks for; `InvalidToken` for anything but a good one for this service."""
        return self._tokens.verify(token, self.audience)
