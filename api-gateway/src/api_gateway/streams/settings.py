"""The numbers behind live streams."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """``streams`` open at once in this process, ``per_user`` of one user; what may wait for a slow reader, in bytes.

    Seconds: a heartbeat after that much silence, a WebSocket's time to sign in, between two looks at quotes.
    """

    streams: int
    per_user: int
    buffer_bytes: int
    heartbeat_s: float
    sign_in_s: float
    quotes_s: float
