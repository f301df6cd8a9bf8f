"""The broker's token at rest: AES-256-GCM, bound to its account."""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Unreadable(Exception):
    """The sealed text was not made with this key for this account."""


class Sealer:
    """Seals and opens short secrets."""

    def __init__(self, key_base64: str) -> None:
        self._cipher = AESGCM(base64.b64decode(key_base64))

    def seal(self, secret: str, account_id: str) -> bytes:
        """Nonce and ciphertext."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), account_id.encode())

    def unseal(self, sealed: bytes, account_id: str) -> str:
        """The secret, or `Unreadable`."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], account_id.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise Unreadable("the sealed token cannot be opened") from error

    def has_sealed(self, text: str, account_id: str, sealed: bytes) -> bool:
        """Whether we sealed this text for this account."""
        try:
            return self.unseal(sealed, account_id) == text
        except Unreadable:
            return False
