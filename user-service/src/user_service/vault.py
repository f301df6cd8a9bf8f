"""Encryption of single fields at rest: AES-256-GCM, bound to the row they stand in, under keys that can be replaced."""

import base64
import hashlib
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_NONCE_BYTES = 12
_ID_BYTES = 4
_KEY_BYTES = 32


class Unreadable(Exception):
    """The stored bytes were not sealed by any of our keys for this place."""


class Vault:
    """Seals with the first key, opens with any. Sealed form: version, key id, nonce, ciphertext with its tag."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != _KEY_BYTES for key in keys):
            raise ValueError("data keys have 32 bytes each")
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._first = _key_id(keys[0])

    @classmethod
    def from_text(cls, text: str) -> "Vault":
        """From the setting: base64 keys separated by commas, the one that seals first."""
        return cls([base64.b64decode(part, validate=True) for part in text.split(",")])

    def seal(self, plaintext: bytes, place: str) -> bytes:
        """``plaintext`` readable only at ``place`` (such as ``kyc:<user id>``)."""
        head = _VERSION + self._first + secrets.token_bytes(_NONCE_BYTES)
        return head + self._ciphers[self._first].encrypt(head[-_NONCE_BYTES:], plaintext, head + place.encode())

    def vouch(self, digest: str) -> bytes:
        """A seal only we can make, of a row with this digest."""
        return self.seal(b"", f"digest:{digest}")

    def has_vouched(self, digest: str, seal: bytes) -> bool:
        """Whether `vouch` made ``seal`` for this digest."""
        try:
            return self.open(seal, f"digest:{digest}") == b""
        except Unreadable:
            return False

    def open(self, sealed: bytes, place: str) -> bytes:
        """What was sealed for ``place``; raises `Unreadable`."""
        head, body = sealed[: 1 + _ID_BYTES + _NONCE_BYTES], sealed[1 + _ID_BYTES + _NONCE_BYTES :]
        cipher = self._ciphers.get(head[1 : 1 + _ID_BYTES])
        if cipher is None or head[:1] != _VERSION:
            raise Unreadable
        try:
            return cipher.decrypt(head[-_NONCE_BYTES:], body, head + place.encode())
        except InvalidTag as error:
            raise Unreadable from error


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"saras data key " + key).digest()[:_ID_BYTES]
