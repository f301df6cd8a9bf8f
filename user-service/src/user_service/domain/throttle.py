"""How many failed sign-ins are borne. Every attempt takes a slot before it is judged and success gives it back.

A limit is a leaky bucket (GCRA): ``burst`` attempts at once, then one each ``every_s`` seconds. One timestamp a key is
all there is to store.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """A bucket for one key."""

    key: str
    burst: int
    every_s: float

    @property
    def full_s(self) -> float:
        """Seconds until a full bucket is empty again; a bucket busy for longer than this refuses."""
        return self.burst * self.every_s


def account_key(email: str) -> str:
    """What was typed as an address, as a digest: people type passwords there too, and rows are stored in clear."""
    return f"account:{hashlib.sha256(email.encode()).hexdigest()}"


def login_limits(email: str, address: str, *, account_burst: int, address_burst: int, global_burst: int) -> list[Limit]:
    """The buckets one attempt goes through: its account (known or not), its address, the platform."""
    return [
        Limit(account_key(email), account_burst, 90.0),
        Limit(f"address:{address}", address_burst, 9.0),
        Limit("global", global_burst, 0.06),
    ]
