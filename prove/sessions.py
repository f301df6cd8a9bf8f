"""Sessions under attack: refresh tokens shown many times, codes used twice, and how soon an ended session is out."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any
from unittest.mock import patch

import pyotp
from prove.campaign import Outcome
from prove.hostile import ENDINGS, reuse
from prove.house import BASE, House, Person, Reply, until
from prove.wiretap import tapped
from scipy.stats import mannwhitneyu
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

import user_service.passwords
from saras_common.logs import request_id_var

AT_ONCE = 50
CODES_AT_ONCE = 12
WITHIN_S = 1.0
"""The promise: how long after the answer an ended session may still be let in."""

NEVER_S = 10.0
PAUSE_S = 0.004
REFRESH = f"{BASE}/token/refresh"
LOGIN = f"{BASE}/login"


def _all_at_once(house: House, count: int, ask: Callable[[Any], Reply]) -> list[Reply]:
    """The same request from so many connections, let go together."""
    gate = threading.Barrier(count)

    def one(_: int) -> Reply:
        line = house.line()
        gate.wait()
        try:
            return ask(line)
        finally:
            line.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def check_refreshes(house: House, rounds: int) -> Outcome:
    """One token shown by many at once buys one successor; shown late it ends the family, and only that."""
    outcome = Outcome()
    for _ in range(rounds):
        person = house.new_person("Refreshed")
        other = house.session_of(person)
        asked = {"refresh_token": person.refresh_token}
        replies = _all_at_once(house, AT_ONCE, lambda line, asked=asked: line.ask("POST", REFRESH, body=asked))  # type: ignore[misc] # bound at once
        outcome.counts["refreshes at once"] += len(replies)
        outcome.counts["refresh races"] += 1
        successors = {reply.body["refresh_token"] for reply in replies if reply.status == 200}
        if len(successors) != 1 or _tokens_of(house, person) != 2:
            outcome.violate(f"{len(successors)} successors of one refresh token, {_tokens_of(house, person)} stored")
        person.refresh_token = next(iter(successors), person.refresh_token)
        outcome.violate(*_after_reuse(house, person, other))
        outcome.counts["refresh tokens shown late"] += 1
    return outcome


def _after_reuse(house: House, person: Person, other: Person) -> list[str]:
    successor = reuse(house, person)
    wrong = []
    if house.line().ask("POST", REFRESH, body={"refresh_token": successor}).status != 401:
        wrong.append("the family of a token that was shown twice goes on")
    if not _is_out_soon(person):
        wrong.append("the access token of an ended family is still good")
    if other.ask("GET", "/me").status != 200:
        wrong.append("another session ended with the family")
    return wrong


def _is_out_soon(person: Person) -> bool:
    with suppress(AssertionError):
        until(lambda: person.ask("GET", "/me").status == 401, "out", 2.0)
        return True
    return False


def _tokens_of(house: House, person: Person) -> int:
    query = (
        "SELECT count(*) FROM user_service.refresh_tokens t JOIN user_service.sessions s ON s.id = t.session_id"
        " WHERE s.user_id = %s"
    )
    with house.look() as database:
        count: int = database.execute(query.encode(), [person.id]).fetchone()[0]  # type: ignore[index] # a count is a row
    return count


def check_codes(house: House, rounds: int) -> Outcome:
    """A code is good once: of many sign-ins with it at once one succeeds, and none after."""
    outcome = Outcome()
    for _ in range(rounds):
        person = house.new_person("Guarded")
        codes = pyotp.TOTP(person.do("POST", "/me/totp/enroll")["secret"])
        now = _early_in_a_step()
        confirm = {"code": codes.at(now - 30)}
        headers = [("Authorization", f"Bearer {person.token}")]
        replies = _all_at_once(
            house,
            CODES_AT_ONCE,
            lambda line, confirm=confirm, headers=headers: line.ask(  # type: ignore[misc] # bound at once
                "POST", f"{BASE}/me/totp/confirm", headers, confirm
            ),
        )
        outcome.violate(*_one_winner("confirmations", replies))
        for step in (now, now + 30):
            asked = {"email": person.email, "password": person.password, "totp_code": codes.at(step)}
            replies = _all_at_once(house, CODES_AT_ONCE, lambda line, asked=asked: line.ask("POST", LOGIN, body=asked))  # type: ignore[misc] # bound at once
            outcome.violate(*_one_winner("sign-ins", replies))
            outcome.counts["code races"] += 1
            outcome.counts["sign-ins with one code"] += len(replies)
            for late in (step, now - 30):
                again = house.line().ask("POST", LOGIN, body={**asked, "totp_code": codes.at(late)})
                outcome.counts["codes used again"] += 1
                if again.status != 401:
                    outcome.violate(f"a used code signs in again: {again.status}")
    return outcome


def _early_in_a_step() -> int:
    """Now, with most of a 30 s step to come, so that three codes stay good for a round."""
    into = time.time() % 30
    if into > 24:
        time.sleep(30.05 - into)
    return int(time.time())


def _one_winner(what: str, replies: list[Reply]) -> list[str]:
    statuses = Counter(reply.status for reply in replies)
    won = sum(count for status, count in statuses.items() if status < 300)
    odd = {status for status in statuses if status >= 500}
    wrong = [] if won == 1 else [f"{won} {what} with one code won: {dict(statuses)}"]
    return wrong + [f"{what} with one code: {status}" for status in odd]


# --- how soon an ended session is out


class Watch:
    """Somebody at every door at once, noting when each let in or held for the last time."""

    def __init__(self, house: House, person: Person) -> None:
        self.last: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._house, self._person = house, person
        self._is_over = threading.Event()
        self._stood: dict[str, bool] = {}
        doors: dict[str, Callable[[], None]] = {
            "REST": lambda: self._knock("REST", "GET", "/funds", None),
            "orders": lambda: self._knock("orders", "POST", "/buy", ORDER),
            "events": self._listen,
            "WebSocket": self._speak,
        }
        self._threads = {door: threading.Thread(target=run, daemon=True) for door, run in doors.items()}
        for thread in self._threads.values():
            thread.start()
        until(lambda: set(self._stood) == set(doors), "every door is open")

    def join(self) -> dict[str, float]:
        """Door → monotonic instant of its last good answer; a door still open gives the present.

        Of a request that has no answer yet it is not known whether it was let in: it counts when it was asked.
        """
        deadline = time.monotonic() + NEVER_S
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        self._is_over.set()
        now = time.monotonic()
        return {
            door: self._asked.get(door, now) if thread.is_alive() else self.last[door]
            for door, thread in self._threads.items()
        }

    def unanswered(self) -> list[str]:
        """Doors that have kept somebody waiting all the while; asked after `join`."""
        soon = time.monotonic() - NEVER_S / 2
        return [
            door for door, thread in self._threads.items() if thread.is_alive() and self._asked.get(door, soon) < soon
        ]

    def _knock(self, door: str, method: str, path: str, body: Any) -> None:
        line = self._house.line()
        headers = [("Authorization", f"Bearer {self._person.token}")]
        with closing(line):
            while not self._is_over.is_set():
                asked_at = self._asked[door] = time.monotonic()
                if line.ask(method, BASE + path, headers, body).status == 401:
                    return
                self.last[door] = asked_at
                self._stood[door] = True
                time.sleep(PAUSE_S)

    def _listen(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._house.port, timeout=NEVER_S * 2)
        with closing(connection):
            connection.request("GET", f"{BASE}/events", headers={"Authorization": f"Bearer {self._person.token}"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.status
            self._stood["events"] = True
            with suppress(OSError, http.client.HTTPException):
                while answer.read1(65536):
                    pass
            self.last["events"] = time.monotonic()

    def _speak(self) -> None:
        address = f"ws://127.0.0.1:{self._house.port}{BASE}/ws"
        headers = {"Authorization": f"Bearer {self._person.token}"}
        with suppress(WebSocketException, OSError), connect(address, additional_headers=headers, proxy=None) as socket:
            self._stood["WebSocket"] = True
            while True:
                socket.recv()
        self.last["WebSocket"] = time.monotonic()


ORDER = {"instrument": "NSE:INFY", "quantity": 1, "order_type": "MARKET"}
"""Of somebody without a rupee: refused by the book, which is past the door."""


def check_lockouts(house: House, admin: Person, rounds: int, left_s: Callable[[], float]) -> Outcome:
    """Every way a session ends, several people at a time; the seconds each door stayed open after the answer."""
    outcome, seconds = Outcome(), dict[str, list[float]]()
    for number in range(rounds):
        if left_s() < NEVER_S:
            outcome.missed.append(f"{number} rounds of lock-outs of {rounds} fitted into the time")
            break
        with ThreadPoolExecutor(2) as pool:
            names = list(ENDINGS)
            for lags, unanswered in pool.map(lambda name: _lock_out(house, admin, name), names):
                for door, lag_s in lags.items():
                    seconds.setdefault(door, []).append(lag_s)
                outcome.violate(*(f"{door} gave no answer for {NEVER_S / 2:.0f} s" for door in unanswered))
        outcome.counts["sessions ended under watch"] += len(names)
    for door, all_lags in seconds.items():
        ranked = sorted(all_lags)
        outcome.figures[f"lock-out at {door}: p99 s"] = round(ranked[min(len(ranked) - 1, len(ranked) * 99 // 100)], 3)
        outcome.figures[f"lock-out at {door}: worst s"] = round(ranked[-1], 3)
        late = sum(lag >= NEVER_S - WITHIN_S for lag in ranked)
        outcome.violate(*[f"{door} stayed open after a session's end"] * late)
        slow = sum(WITHIN_S < lag < NEVER_S - WITHIN_S for lag in ranked)
        if slow:
            outcome.missed.append(
                f"{door}: {slow} of {len(ranked)} sessions were let in for longer than {WITHIN_S:.0f} s"
            )
    return outcome


def _lock_out(house: House, admin: Person, name: str) -> tuple[dict[str, float], list[str]]:
    """By door the seconds it stayed open; the doors that never answered."""
    person = house.new_person("Watched")
    if name == "demoted":
        admin.do("PATCH", f"/admin/users/{person.id}", {"roles": ["admin", "user"]})
        person.token = house.session_of(person).token
    watch = Watch(house, person)
    by = house.session_of(admin)
    ENDINGS[name](house, by, person)
    ended_at = time.monotonic()
    lags = {door: max(0.0, at - ended_at) for door, at in watch.join().items()}
    return lags, watch.unanswered()


# --- what a sign-in tells by the work it makes


@contextmanager
def counted_work(counts: Counter[str]) -> Iterator[None]:
    """Hashes computed and statements sent while a request with an id like ``work-NAME-N`` is served, by NAME."""
    scheme = user_service.passwords._SLOW  # noqa: SLF001 - the very function that costs the time
    verify = scheme.verify

    def counted(*arguments: Any, **more: Any) -> Any:
        _count(counts, "hashes")
        return verify(*arguments, **more)

    def listen(_connection: Any, _query: str, params: Any) -> Any:
        _count(counts, "statements")
        return params

    with tapped(listen), patch.object(scheme, "verify", counted):
        yield


def _count(counts: Counter[str], what: str) -> None:
    name = (request_id_var.get() or "").split("-")
    if name[0] == "work":
        counts[f"{name[1]} {what}"] += 1


def check_timing(house: House, count: int) -> Outcome:
    """Wrong passwords of people there are and of people there are not: the same answer, work and time."""
    outcome, work = Outcome(), Counter[str]()
    known = house.new_person("Known")
    emails = {"known": known.email, "unknown": "nobody.at.all@house.example.com"}
    spent: dict[str, list[float]] = {name: [] for name in emails}
    answers: dict[str, set[Any]] = {name: set() for name in emails}
    line = house.line()
    with counted_work(work):
        for number in range(count):
            for name, email in emails.items():
                started = time.perf_counter()
                asked = {"email": email, "password": "a wrong password 99"}
                reply = line.ask("POST", LOGIN, [("X-Request-ID", f"work-{name}-{number}")], asked)
                spent[name].append(time.perf_counter() - started)
                answers[name].add((*reply.plain, *sorted(set(reply.headers) - {"date"})))
    for what in ("hashes", "statements"):
        if work[f"known {what}"] != work[f"unknown {what}"] or work[f"known {what}"] < count:
            outcome.violate(
                f"sign-ins cost {work[f'known {what}']} {what} for somebody, {work[f'unknown {what}']} else"
            )
    if answers["known"] != answers["unknown"] or len(answers["known"]) != 1:
        outcome.violate(f"sign-ins are refused in different words: {answers}")
    outcome.counts["wrong passwords timed"] = 2 * count
    p_value = float(mannwhitneyu(spent["known"], spent["unknown"]).pvalue)
    outcome.figures["hashes of a refused sign-in, known and unknown"] = work["known hashes"] / count
    outcome.figures["statements of a refused sign-in, known and unknown"] = work["known statements"] / count
    outcome.figures["Mann-Whitney p of sign-in times, known against unknown"] = round(p_value, 4)
    if p_value < 0.001:
        outcome.missed.append("times of sign-ins differ between people there are and people there are not")
    return outcome
