"""Signing keys: made, published, changed by age or by command."""

from datetime import timedelta
from threading import Lock
from typing import Any

from saras_common.auth import SigningKey, key_set
from saras_common.clock import Clock
from saras_common.db import Database
from saras_common.errors import Unavailable
from user_service.domain.keys import PUBLISH_LEAD, StoredKey, is_due, published, signing
from user_service.store import keys
from user_service.vault import Vault

RELOAD_S = 10.0
"""A process knows of a new key after this; well below `PUBLISH_LEAD`."""


class KeyRing:
    """The stored keys, opened and kept for `RELOAD_S`. Makes the first key when there is none."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._lock = Lock()
        self._stored: list[StoredKey] = []
        self._opened: dict[str, SigningKey] = {}
        self._read_at: float | None = None

    def current(self) -> SigningKey:
        """The key that signs now."""
        stored = signing(self._known(), self._clock.now())
        if stored is None:
            raise RuntimeError("no signing key is in force")
        return self._opened[stored.kid]

    def document(self) -> dict[str, Any]:
        """The JWKS document."""
        return key_set(self._opened[key.kid] for key in published(self._known(), self._clock.now()))

    def _known(self) -> list[StoredKey]:
        with self._lock:
            moment = self._clock.monotonic()
            if self._read_at is None or moment - self._read_at > RELOAD_S:
                self._reload()
                self._read_at = moment
            return self._stored

    def _reload(self) -> None:
        try:
            self._stored = self._read()
        except Unavailable:
            if not self._stored:
                raise
            return  # the keys known are good for longer than the database may be away
        self._opened = {key.kid: self._opened.get(key.kid) or self._open(key) for key in self._stored}

    def _read(self) -> list[StoredKey]:
        with self._database.for_service() as session:
            stored = keys.list_keys(session)
        if signing(stored, self._clock.now()) is None:
            rotate_keys(self._database, self._vault, self._clock, max_age=timedelta.max)
            with self._database.for_service() as session:
                stored = keys.list_keys(session)
        return stored

    def _open(self, key: StoredKey) -> SigningKey:
        return SigningKey.from_pem(self._vault.open(key.sealed, _place(key.kid)))


def rotate_keys(
    database: Database, vault: Vault, clock: Clock, *, max_age: timedelta, is_compromised: bool = False
) -> str | None:
    """A new signing key when the newest is older than ``max_age`` (zero: now); its id, or ``None``. Erases old ones.

    It is published at once and signs half a minute later. After a compromise it signs at once and all others are
    erased: every access token of theirs dies as soon as verifiers read the set again.
    """
    with database.for_service() as session:
        keys.lock_keys(session)
        now = clock.now()
        stored = keys.list_keys(session)
        is_first = is_compromised or signing(stored, now) is None
        made = None
        if is_compromised or is_due(stored, now, max_age):
            made = SigningKey.generate()
            signs_from = now if is_first else now + PUBLISH_LEAD
            keys.add_active_key(
                session, made.kid, vault.seal(made.pem(), _place(made.kid)), at=now, signs_from=signs_from
            )
        for key in stored:
            if is_compromised or key.is_over(now):
                keys.retire_key(session, key.kid)
    return None if made is None else made.kid


def _place(kid: str) -> str:
    return f"signing key:{kid}"
