"""Order updates as clients get them: over the ticker as text, and as postbacks."""

from typing import Any

from kite_sandbox.edge.views import order_view
from kite_sandbox.engine.broker import OrderUpdate
from kite_sandbox.logins import checksum
from kite_sandbox.sandbox import Sandbox


def update_view(sandbox: Sandbox, update: OrderUpdate) -> dict[str, Any]:
    """The order with Kite's additions; the checksum covers order id, timestamp and secret, and nothing else."""
    order = order_view(update.order)
    signature = checksum(
        order["order_id"],
        order["order_timestamp"],
        sandbox.logins.secret_of(update.order.api_key),
    )
    return {
        **order,
        "status": str(update.status),
        "user_id": update.order.user_id,
        "app_id": 1,
        "unfilled_quantity": update.order.remaining,
        "checksum": signature,
    }
