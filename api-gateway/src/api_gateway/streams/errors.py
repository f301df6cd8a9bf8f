"""What only streams refuse. The codes are part of the contract."""

from saras_common.errors import CallerError


class TooManyStreams(CallerError):
    code, status, title = "too_many_streams", 429, "Too many open streams"


class UpgradeNeeded(CallerError):
    code, status, title = "upgrade_required", 426, "This address speaks WebSocket"


class BadHandshake(CallerError):
    code, status, title = "bad_handshake", 400, "This is not a WebSocket handshake"


class BadMessage(CallerError):
    code, status, title = "bad_message", 422, "The message is not one of this stream's"
