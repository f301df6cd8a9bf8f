"""ES256 keys: the private ones that sign, and the published set that verifies."""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from saras_common import jsonio
from saras_common.auth.compact import Key, UnknownKey, ec_key, encode
from saras_common.clock import Clock
from saras_common.errors import Unavailable

MAX_KEYS = 16


class SigningKey:
    """A private key and its public half. ``kid`` is the RFC 7638 thumbprint, so it cannot name another key."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        numbers = private.public_key().public_numbers()
        self._point = {"crv": "P-256", "kty": "EC", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}
        self.kid = thumbprint(self._point)
        self.key: Key = ec_key(self.pem().decode("ascii"))

    @classmethod
    def generate(cls) -> Self:
        """A new key from the machine's randomness."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """The key as `pem` wrote it."""
        private = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
            raise ValueError("not a P-256 private key")  # noqa: TRY004 - the text is wrong, not the caller's type
        return cls(private)

    def pem(self) -> bytes:
        """The private key in the clear; whoever stores it encrypts it."""
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def public_jwk(self) -> dict[str, str]:
        """The public half as published."""
        return {**self._point, "alg": "ES256", "kid": self.kid, "use": "sig"}

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r})"


class PublishedKeys:
    """The closed set of keys a verifier believes, by ``kid``.

    With ``fetch`` (a blocking call giving the JWKS document, or raising) an unknown ``kid`` makes it read the set
    again, at most once in ``min_interval_s`` however many bad tokens ask. Without it the owner feeds `load`: an event
    loop asks `due` when it met `UnknownKey`, awaits the document itself, loads it and verifies again.
    """

    def __init__(
        self, clock: Clock, fetch: Callable[[], Mapping[str, Any]] | None = None, *, min_interval_s: float = 3.0
    ) -> None:
        self._clock = clock
        self._fetch = fetch
        self._min_interval_s = min_interval_s
        self._lock = Lock()
        self._tried_at: float | None = None
        self._keys: dict[str, Key] = {}

    def find(self, kid: str) -> Key:
        """The key; `UnknownKey` when it is not in the set, `Unavailable` when no set was ever read."""
        key = self._keys.get(kid)
        if key is None and self._fetch is not None and self.due():
            try:
                self.load(self._fetch())
            except Exception as error:  # the caller's token is judged by the keys we have
                if not self._keys:
                    raise Unavailable("signing keys could not be read", retry_after_s=2) from error
            key = self._keys.get(kid)
        if key is not None:
            return key
        if not self._keys:
            raise Unavailable("signing keys are not known yet", retry_after_s=2)
        raise UnknownKey

    def due(self) -> bool:
        """Whether the set may be read again now; a yes is taken by the one who got it."""
        with self._lock:
            now = self._clock.monotonic()
            if self._tried_at is not None and now - self._tried_at < self._min_interval_s:
                return False
            self._tried_at = now
            return True

    def load(self, document: Mapping[str, Any]) -> None:
        """Replace the set by ``document`` (RFC 7517); ``ValueError`` when any key in it is not as we publish them."""
        listed = document.get("keys")
        if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_KEYS:
            raise ValueError("not a key set")
        self._keys = {jwk["kid"]: key for jwk, key in ((jwk, _verifying_key(jwk)) for jwk in listed)}

    def __len__(self) -> int:
        return len(self._keys)


def key_set(keys: Iterable[SigningKey]) -> dict[str, list[dict[str, str]]]:
    """The JWKS document of ``keys``."""
    return {"keys": [key.public_jwk() for key in keys]}


def thumbprint(jwk: Mapping[str, str]) -> str:
    """RFC 7638 thumbprint of an EC key."""
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return encode(hashlib.sha256(jsonio.dumps(required)).digest())


def _verifying_key(jwk: Any) -> Key:
    expected = {"alg": "ES256", "crv": "P-256", "kty": "EC", "use": "sig"}
    if not isinstance(jwk, dict) or jwk.keys() != {*expected, "kid", "x", "y"}:
        raise ValueError("not an ES256 public key")
    if not all(isinstance(value, str) for value in jwk.values()) or expected.items() - jwk.items():
        raise ValueError("not an ES256 public key")
    if jwk["kid"] != thumbprint(jwk):
        raise ValueError("a key id that is not the key's thumbprint")
    try:
        if any(_coordinate(_number(jwk[axis])) != jwk[axis] for axis in ("x", "y")):
            raise ValueError("a coordinate is not written canonically")
        return ec_key(jwk)
    except OverflowError as error:
        raise ValueError("not a point on the curve") from error


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def _coordinate(value: int) -> str:
    return encode(value.to_bytes(32, "big"))
