"""Refusals, as Kite words them: an HTTP status, an ``error_type`` and a message for people."""


class KiteError(Exception):
    """A refusal the edge turns into ``{"status": "error", "message", "data": null, "error_type"}``."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message


def input_error(message: str) -> KiteError:
    """400 ``InputException``: the request itself is wrong."""
    return KiteError(400, "InputException", message)


def margin_error(message: str) -> KiteError:
    """400 ``MarginException``: not enough money."""
    return KiteError(400, "MarginException", message)


def holding_error(message: str) -> KiteError:
    """400 ``HoldingException``: not enough shares."""
    return KiteError(400, "HoldingException", message)


def token_error(message: str) -> KiteError:
    """403 ``TokenException``: no session, or a dead one."""
    return KiteError(403, "TokenException", message)


def permission_error(message: str) -> KiteError:
    """403 ``PermissionException``: this account may not do that."""
    return KiteError(403, "PermissionException", message)


def not_found(message: str) -> KiteError:
    """404 ``DataException``: no such thing."""
    return KiteError(404, "DataException", message)


def rate_error() -> KiteError:
    """429 ``NetworkException``: over a limit; it clears with its window."""
    return KiteError(429, "NetworkException", "Too many requests")
