"""Which passwords are acceptable. Hashing them is `user_service.passwords`."""

import unicodedata
from collections.abc import Collection

MIN_CHARS = 10
MAX_CHARS = 256
MIN_DIFFERENT = 3


def normalised_password(password: str) -> str:
    """NFC, so that the same characters typed on two keyboards are the same password."""
    return unicodedata.normalize("NFC", password)


def fault_of(password: str, *, common: Collection[str], email: str, full_name: str) -> str | None:
    """Why ``password`` is refused, ``None`` when it is fine. ``common`` holds case-folded passwords.

    No rules of composition: length and not being guessable are what count (NIST SP 800-63B).
    """
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        return f"must have {MIN_CHARS} to {MAX_CHARS} characters"
    folded = password.casefold()
    if folded in common or len(set(folded)) < MIN_DIFFERENT:
        return "is among the most used passwords"
    if folded in {email.casefold(), email.partition("@")[0].casefold(), full_name.casefold()}:
        return "must not be your name or email address"
    return None
