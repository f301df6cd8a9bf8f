"""What stands in a token, and the one check of it: every claim present, typed and within bounds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saras_common.auth.compact import InvalidToken
from saras_common.auth.identity import Identity

CLOCK_SKEW_S = 2
"""How far another machine's clock may be ahead of ours before its ``iat`` counts as the future."""

_LATEST = 2**40
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a kind of token must say: its fixed claims, the roles it may carry and how long it may live."""

    issuer: str
    kind: str
    roles: frozenset[str]
    max_ttl_s: int


def claims_of(
    identity: Identity, terms: Terms, audience: str, *, issued_at: int, expires_at: int, jti: UUID
) -> dict[str, Any]:
    """The claims that speak for ``identity``."""
    return {
        "aud": audience,
        "exp": expires_at,
        "iat": issued_at,
        "iss": terms.issuer,
        "jti": str(jti),
        "roles": sorted(identity.roles),
        "sid": str(identity.session_id),
        "sub": str(identity.user_id),
        "typ": terms.kind,
        "ver": identity.version,
    }


def identity_of(claims: Mapping[str, Any], terms: Terms, audience: str, now: float) -> Identity:
    """The identity ``claims`` speak for at ``now`` (unix seconds); raises `InvalidToken`."""
    if (claims.get("iss"), claims.get("typ"), claims.get("aud")) != (terms.issuer, terms.kind, audience):
        raise InvalidToken
    expires_at = _whole(claims, "exp")
    issued_at = _whole(claims, "iat")
    not_before = _whole(claims, "nbf") if "nbf" in claims else issued_at
    if expires_at <= now or max(issued_at, not_before) > now + CLOCK_SKEW_S:
        raise InvalidToken
    if not 0 < expires_at - issued_at <= terms.max_ttl_s:
        raise InvalidToken
    _id(claims, "jti")
    return Identity(
        _id(claims, "sub"), _id(claims, "sid"), _roles(claims, terms.roles), _whole(claims, "ver"), float(expires_at)
    )


def _whole(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value <= _LATEST:  # bool is an int to isinstance
        raise InvalidToken
    return value


def _id(claims: Mapping[str, Any], name: str) -> UUID:
    text = claims.get(name)
    if not isinstance(text, str) or not _UUID.fullmatch(text):
        raise InvalidToken
    return UUID(text)


def _roles(claims: Mapping[str, Any], allowed: frozenset[str]) -> frozenset[str]:
    value = claims.get("roles")
    if not isinstance(value, list) or not value or not all(isinstance(role, str) for role in value):
        raise InvalidToken
    roles = frozenset(value)
    if len(roles) != len(value) or not roles <= allowed:
        raise InvalidToken
    return roles
