"""Password hashing through passlib's API: Argon2id at 19 MiB, two passes, one lane."""

import secrets
from importlib import resources
from typing import Any

from passlib.hash import argon2

MEMORY_KIB = 19 * 1024
PASSES = 2
_SLOW = argon2.using(type="ID", memory_cost=MEMORY_KIB, time_cost=PASSES, parallelism=1)


class PasswordHasher:
    """Hashes and checks. An unknown user costs the same as a known one, so time tells nothing."""

    def __init__(self, scheme: Any = _SLOW) -> None:
        self._scheme = scheme
        self._dummy = self.hash(secrets.token_urlsafe(16))

    def hash(self, password: str) -> str:
        """The encoded hash with its parameters and salt."""
        return str(self._scheme.hash(password))

    def verify(self, password: str, stored: str | None) -> bool:
        """Whether ``password`` is the stored one; ``None`` (no such user) takes as long and is never true."""
        matches = bool(self._scheme.verify(password, stored or self._dummy))
        return matches and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether ``stored`` was made with other parameters and should be made anew."""
        return bool(self._scheme.needs_update(stored))


def common_passwords() -> frozenset[str]:
    """The most used passwords long enough to pass the length rule, case-folded."""
    text = resources.files("user_service").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(line.casefold() for line in text.splitlines() if line)
