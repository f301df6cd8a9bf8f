"""Who is asking: access tokens for people (ES256), internal tokens between services (HS256), and the keys behind them.

Every refusal is an `InvalidToken` (401) and never repeats the token.
"""

from saras_common.auth.access import ACCESS_AUDIENCE, ISSUER, TokenSigner, TokenVerifier
from saras_common.auth.compact import InvalidToken, UnknownKey
from saras_common.auth.identity import Identity, anonymous, service
from saras_common.auth.internal import InternalTokens, InternalVerifier
from saras_common.auth.keys import PublishedKeys, SigningKey, key_set

__all__ = [
    "ACCESS_AUDIENCE",
    "ISSUER",
    "Identity",
    "InternalTokens",
    "InternalVerifier",
    "InvalidToken",
    "PublishedKeys",
    "SigningKey",
    "TokenSigner",
    "TokenVerifier",
    "UnknownKey",
    "anonymous",
    "key_set",
    "service",
]
