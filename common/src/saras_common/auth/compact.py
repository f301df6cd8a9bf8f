"""The only place that touches python-jose: compact signed tokens, one algorithm at a time.

The library alone takes padded and non-canonical base64, duplicate JSON keys, unknown header fields and the token's own
word for its algorithm, and crashes on some inputs; so everything is checked here before it sees a byte.
"""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from jose import jwk, jws
from jose.backends.base import Key
from jose.exceptions import JOSEError

from saras_common import jsonio
from saras_common.errors import Unauthenticated

MAX_TOKEN_CHARS = 2048
"""Longer than any token we sign by a factor of three."""

__all__ = ["MAX_TOKEN_CHARS", "InvalidToken", "Key", "UnknownKey", "ec_key", "encode", "hmac_key", "read", "write"]

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_SIGNATURE_BYTES = {"ES256": 64, "HS256": 32}
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class InvalidToken(Unauthenticated):
    """The token is not one of ours, or no longer good; which of the two is nobody's business."""


class UnknownKey(InvalidToken):
    """The token names a key outside the known set; the set may be old."""


FindKey = Callable[[str], Key]
"""The key for a ``kid`` (empty where the token carries none); raises `UnknownKey`."""


def ec_key(source: Mapping[str, Any] | str) -> Key:
    """An ES256 key from a JWK or a PEM, built once and kept; ``ValueError`` when it is none."""
    try:
        return jwk.construct(source if isinstance(source, str) else dict(source), "ES256")
    except JOSEError as error:
        raise ValueError("not a point on the curve") from error


def hmac_key(secret: bytes) -> Key:
    """An HS256 key; at least 32 bytes."""
    if len(secret) < _SIGNATURE_BYTES["HS256"]:
        raise ValueError("an internal token key has at least 32 bytes")
    return jwk.construct(secret, "HS256")


def write(claims: Mapping[str, Any], key: Key, algorithm: str, kid: str = "") -> str:
    """A signed compact token with the header fields alg and typ, and kid when there is one."""
    token: str = jws.sign(jsonio.dumps(claims), key, headers={"kid": kid} if kid else None, algorithm=algorithm)
    return _with_low_s(token) if algorithm == "ES256" else token


def read(token: str, algorithm: str, find_key: FindKey, *, with_kid: bool) -> dict[str, Any]:
    """The claims of ``token``, its signature verified with the one algorithm given; raises `InvalidToken`."""
    if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARS or not _SHAPE.fullmatch(token):
        raise InvalidToken
    header_part, claims_part, signature_part = token.split(".")
    header = _json_object(_decode(header_part))
    if header.keys() != ({"alg", "kid", "typ"} if with_kid else {"alg", "typ"}):
        raise InvalidToken
    kid = header.get("kid", "")
    if header["alg"] != algorithm or header["typ"] != "JWT" or not isinstance(kid, str):
        raise InvalidToken
    payload, signature = _decode(claims_part), _decode(signature_part)
    _check_signature_form(signature, algorithm)
    if not find_key(kid).verify(f"{header_part}.{claims_part}".encode("ascii"), signature):
        raise InvalidToken
    return _json_object(payload)


def encode(raw: bytes) -> str:
    """Unpadded base64url."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(part: str) -> bytes:
    """Strict inverse of `encode`: exactly one text stands for each byte string."""
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError as error:
        raise InvalidToken from error
    if encode(raw) != part:
        raise InvalidToken
    return raw


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = jsonio.loads(raw)
    except jsonio.BadJson as error:
        raise InvalidToken from error
    if not isinstance(value, dict):
        raise InvalidToken
    return value


def _check_signature_form(signature: bytes, algorithm: str) -> None:
    if len(signature) != _SIGNATURE_BYTES[algorithm]:
        raise InvalidToken
    if algorithm == "ES256" and int.from_bytes(signature[32:], "big") > _P256_ORDER // 2:
        raise InvalidToken  # (r, n - s) verifies as well as (r, s): of the two only the lower is ours


def _with_low_s(token: str) -> str:
    body, _, signature_part = token.rpartition(".")
    signature = _decode(signature_part)
    s = int.from_bytes(signature[32:], "big")
    if s <= _P256_ORDER // 2:
        return token
    return f"{body}.{encode(signature[:32] + (_P256_ORDER - s).to_bytes(32, 'big'))}"
