"""What only the edge refuses. The codes are part of the contract."""

from saras_common.errors import CallerError, ServiceError


class BadRequest(CallerError):
    code, status, title = "bad_request", 400, "The request is not well formed"


class MethodNotAllowed(CallerError):
    code, status, title = "method_not_allowed", 405, "This method is not served"


class RequestTimeout(CallerError):
    code, status, title = "request_timeout", 408, "The request took too long to arrive"


class UriTooLong(CallerError):
    code, status, title = "uri_too_long", 414, "The address is too long"


class UnsupportedMediaType(CallerError):
    code, status, title = "unsupported_media_type", 415, "Bodies are application/json"


class HeadersTooLarge(CallerError):
    code, status, title = "headers_too_large", 431, "Too many or too large headers"


class InternalError(ServiceError):
    code, status, title = "internal_error", 500, "Something went wrong on our side"


class WebSocketUnavailable(ServiceError):
    code, status, title = "websocket_unavailable", 501, "WebSocket is not offered here"


class UpstreamBroken(ServiceError):
    """The connection broke after the request was sent: the outcome is unknown, and nothing is tried again."""

    code, status, title = "upstream_broken", 502, "A service did not finish its answer"
