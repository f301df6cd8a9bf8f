"""Customers who note how they are answered: while a platform is in trouble, 2xx or a well formed 503, and soon."""

import http.client
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from prove.customers import REFUSALS, Customer, House, Line, NoAnswer

PROBLEM = "application/problem+json"
ANSWERED_WITHIN_S = 30.0
"""What the gateway lets an answer take."""


@dataclass(slots=True)
class Heard:
    """What all customers were answered, and how long it took."""

    statuses: Counter[int] = field(default_factory=Counter)
    refusals_s: list[float] = field(default_factory=list)
    """How long each 503 took."""
    longest_s: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def judge(self, reply: http.client.HTTPResponse, code: str, took_s: float) -> None:
        """Note one answer, and what is wrong with it."""
        status = reply.status
        self.statuses[status] += 1
        self.longest_s = max(self.longest_s, took_s)
        if took_s > ANSWERED_WITHIN_S:
            self.wrong.append(f"{status} came after {took_s:.0f} s")
        if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            self.refusals_s.append(took_s)
            kind, retry_after = reply.getheader("Content-Type") or "", reply.getheader("Retry-After")
            if PROBLEM not in kind or retry_after is None:
                self.wrong.append(f"a 503 of kind {kind!r} with Retry-After {retry_after}")
        elif not 200 <= status < 300 and code not in REFUSALS:
            self.wrong.append(f"{status} {code}")


class WatchedLine(Line):
    """A line that notes every answer."""

    def __init__(self, port: int, token: str, heard: Heard) -> None:
        super().__init__(port, token)
        self._heard = heard

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, dict[str, Any]]:
        """Status and decoded body. That nobody answers is wrong: the gateway is in no trouble."""
        headers = self._signed if key is None else {**self._signed, "Idempotency-Key": key}
        started = time.monotonic()
        try:
            self._connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), headers)
            reply = self._connection.getresponse()
            raw = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._heard.wrong.append(f"no answer: {type(error).__name__} after {time.monotonic() - started:.1f} s")
            raise NoAnswer(type(error).__name__) from error
        is_json = "json" in (reply.getheader("Content-Type") or "")
        answer: dict[str, Any] = json.loads(raw) if raw and is_json else {}
        self._heard.judge(reply, str(answer.get("code")), time.monotonic() - started)
        return reply.status, answer


class Watcher(Customer):
    """A customer on a watched line."""

    def __init__(self, whole: House, number: int, heard: Heard, *, seed: int, pause_s: float) -> None:
        super().__init__(whole, number, seed=seed, pause_s=pause_s)
        self._line = WatchedLine(whole.platform.port, whole.people[number].token, heard)
