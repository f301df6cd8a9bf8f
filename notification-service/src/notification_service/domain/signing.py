"""How a receiver knows that a webhook is ours and fresh.

``Saras-Signature: t=<unix seconds>,v1=<hex>`` where v1 = HMAC-SHA256(secret, "<t>." + body). A receiver refuses what is
older than `REPLAY_WINDOW_S`, compares in constant time, and acts once for each ``Idempotency-Key``.
"""

import base64
import hashlib
import hmac
from uuid import UUID

REPLAY_WINDOW_S = 300
SIGNATURE_HEADER = "Saras-Signature"


def secret_of(key: bytes, webhook_id: UUID) -> str:
    """The signing secret of a webhook, derived from the service's key so that no table holds it."""
    digest = hmac.new(key, b"webhook:" + webhook_id.bytes, hashlib.sha256).digest()
    return "whsec_" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The header's value for ``body`` sent at ``timestamp``."""
    digest = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def is_genuine(secret: str, header: str, body: bytes, now: int) -> bool:
    """What a receiver checks: signed with ``secret``, and not older (or newer) than the replay window."""
    stamp = header.partition(",")[0].removeprefix("t=")
    if not (stamp.isascii() and stamp.isdigit()) or abs(now - int(stamp[:12])) > REPLAY_WINDOW_S:
        return False
    return hmac.compare_digest(signature(secret, int(stamp[:12]), body).encode(), header.encode())
