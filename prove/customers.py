"""Customers of a platform under trial: they order over HTTP, and keep what they were promised on the disk."""

import http.client
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from saras.demo.market import paise
from saras.process import PlatformProcess

NAMES = ("NSE:INFY", "NSE:TCS", "NSE:ITC")
"""Few, so that a second's window stays below what the broker takes: ten orders a second, four hundred a minute."""

REFUSALS = frozenset({"insufficient_holdings", "conflict"})
"""What customers may be told: sales are tried by who may have sold it all, cancels repeated that got no answer."""

DEPOSITS, FAR_LIMITS, SALES = 0.03, 0.07, 0.2
"""Shares of what customers do."""

ANSWER_TIMEOUT_S = 35.0
TRY_AGAIN_S = 0.2


class Receipts:
    """The customers' journal: what was promised to them, on the disk before they go on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a")
        self._lock = threading.Lock()

    def note(self, **values: str) -> None:
        """A line, durably."""
        with self._lock:
            self._file.write(json.dumps(values) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def read(self) -> list[dict[str, str]]:
        """Every line, from the disk."""
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def close(self) -> None:
        """Write no more."""
        self._file.close()


class NoAnswer(Exception):
    """A request that got none."""


class Line:
    """One kept-alive connection of a client that hides nothing: it repeats no request by itself."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
        self._signed = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, dict[str, Any]]:
        """Status and decoded body; `NoAnswer` when the connection broke."""
        headers = self._signed if key is None else {**self._signed, "Idempotency-Key": key}
        try:
            self._connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), headers)
            answer = self._connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise NoAnswer(type(error).__name__) from error
        is_json = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, json.loads(raw) if raw and is_json else {}

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


@dataclass(slots=True)
class Placed:
    """One order on its way: when it was asked for, and when it was seen in the book as ended (monotonic)."""

    id: str
    asked_at: float
    ended_at: float | None = None


class House(Protocol):
    """Where customers order."""

    platform: PlatformProcess
    receipts: Receipts
    people: Sequence[Any]

    def placed(self, order: Placed) -> None: ...

    def far_price(self, instrument: str) -> str: ...


class Customer(threading.Thread):
    """Orders all the time; what got no answer is asked again under the same Idempotency-Key until it has one."""

    def __init__(self, whole: House, number: int, *, seed: int, pause_s: float) -> None:
        super().__init__(daemon=True)
        person = whole.people[number]
        self.user_id = person.id
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.paid_in_paise = 0
        self._whole = whole
        self._line = Line(whole.platform.port, person.token)
        self._rng = random.Random(seed)
        self._pause_s = pause_s
        self._leave = threading.Event()

    def leave(self) -> None:
        """Order no more, once the order under way is answered."""
        self._leave.set()

    def run(self) -> None:
        """Order after order."""
        number = 0
        while not self._leave.wait(self._pause_s * self._rng.uniform(0.5, 1.5)):
            number += 1
            self._place(f"{self.user_id}-{number}")
        self._line.close()

    def _place(self, key: str) -> None:
        """A deposit, an order that cannot fill and is cancelled, or an order as most are."""
        rng, dice = self._rng, self._rng.random()
        if dice < DEPOSITS:
            amount = f"{rng.randint(1, 100_000)}.00"
            if self._until_answered("POST", "/funds/deposit", {"amount": amount}, key) is not None:
                self.paid_in_paise += paise(amount)
            return
        side = "sell" if dice > 1 - SALES else "buy"
        body = {"instrument": rng.choice(NAMES), "quantity": rng.randint(1, 3), "order_type": "MARKET"}
        is_far = DEPOSITS <= dice < DEPOSITS + FAR_LIMITS
        if is_far:
            body |= {"order_type": "LIMIT", "price": self._whole.far_price(str(body["instrument"]))}
        asked_at = time.monotonic()
        answer = self._until_answered("POST", f"/{side}", body, key)
        if answer is None:
            return
        self._whole.receipts.note(user=self.user_id, key=key, order=answer["id"])
        self._whole.placed(Placed(answer["id"], asked_at))
        self.counts["orders"] += 1
        if is_far:
            self._leave.wait(rng.uniform(0.5, 3.0))
            self._until_answered("DELETE", f"/orders/{answer['id']}", None, None)

    def _until_answered(self, method: str, path: str, body: Any, key: str | None) -> dict[str, Any] | None:
        """Ask until somebody answers; the body of a 2xx, ``None`` of a refusal."""
        while True:
            self.counts["requests"] += 1
            try:
                status, answer = self._line.ask(method, path, body, key)
            except NoAnswer:
                status, answer = 0, {}
            if 200 <= status < 300:
                return answer
            if (
                status
                and status != http.HTTPStatus.TOO_MANY_REQUESTS
                and status < http.HTTPStatus.INTERNAL_SERVER_ERROR
            ):
                code = str(answer.get("code"))
                self.counts["refused"] += 1
                if code not in REFUSALS:
                    self.wrong.append(f"{method} {path.split('/')[1]} was answered {status} {code}")
                return None
            self.counts["asked again"] += 1
            time.sleep(TRY_AGAIN_S)
