"""JSON lines on standard error, each with the request id that followed the work here, and no secrets."""

import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request being worked for; consumers set it from the event they handle."""

_RESERVED = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_SECRET_KEY = re.compile(r"password|secret|token|authorization|api_key|totp|cookie", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]{5,}|(?<=token )\w+:\w{8,}|(?<=://)[^/\s:@]+:[^@\s]+(?=@)")


class JsonFormatter(logging.Formatter):
    """One JSON object a line; ``extra`` fields are kept, secret-looking ones masked."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": mask(record.getMessage()),
        }
        if (request_id := request_id_var.get()) is not None:
            line["request_id"] = request_id
        for key, value in record.__dict__.items():
            if key not in _RESERVED:
                line[key] = "***" if _SECRET_KEY.search(key) else _plain(value)
        if record.exc_info:
            line["exception"] = mask(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


def setup(service: str, level: str = "INFO") -> None:
    """Send every logger of this process through `JsonFormatter`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("pika", "urllib3", "kiteconnect", "uvicorn.access", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def mask(text: str) -> str:
    """``text`` with tokens and URL credentials replaced by ``***``."""
    return _SECRET_VALUE.sub("***", text)


def _plain(value: Any) -> Any:
    return mask(value) if isinstance(value, str) else value
