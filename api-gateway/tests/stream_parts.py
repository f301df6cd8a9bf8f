"""For tests of live streams: a feed in memory in place of notification-service's, and clients that keep what came."""

import asyncio
import json
import threading
from urllib.parse import parse_qs

import aiohttp

USER_ROWS = "/internal/feed/"


class MemoryFeed:
    """Answers the gateway's questions as notification-service does."""

    def __init__(self):
        self._lock = threading.Lock()
        self.rows = []
        self.head = self.floor = 0
        self.is_down = False
        self.asked = []

    def add(self, user, *numbers, kind="order.updated", padding=""):
        with self._lock:
            for number in numbers:
                self.head += 1
                data = {"number": number, "padding": padding}
                self.rows.append([self.head, str(user), kind, "2026-03-02T05:00:00Z", data])

    def forget(self):
        with self._lock:
            self.rows.clear()
            self.floor = self.head

    async def answer(self, path, query):
        if self.is_down:
            return 503, {}
        asked = {name: int(values[0]) for name, values in parse_qs(query).items()}
        self.asked.append((path, asked))
        if path.startswith(USER_ROWS):
            user = path.removeprefix(USER_ROWS)
            return 200, self._rows(asked["after"], asked["until"], asked["limit"], user)
        if "after" not in asked:
            return 200, {"head": self.head, "floor": self.floor, "items": []}
        for _ in range(asked["wait_s"] * 200):
            if self.head > asked["after"]:
                break
            await asyncio.sleep(0.005)
        return 200, self._rows(asked["after"], self.head, asked["limit"])

    def _rows(self, after, until, limit, user=None):
        with self._lock:
            found = [row for row in self.rows if after < row[0] <= until and user in {None, row[1]}]
        return {"head": self.head, "floor": self.floor, "items": found[:limit]}


class SseClient:
    """Reads one stream after another as a browser would: keeps the last id, and goes on from it."""

    def __init__(self, url, token):
        self.url = url
        self.token = token
        self.last_id = None
        self.events = []
        self.comments = 0

    @property
    def numbers(self):
        return [event["data"].get("number") for event in self.events]

    async def listen(self, session, *, until, timeout_s=10):
        """Until ``until(self)``; whatever of the answer had come by then and was not read is lost with the kill."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.last_id is not None:
            headers["Last-Event-ID"] = self.last_id
        async with asyncio.timeout(timeout_s):
            async with session.get(self.url, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                assert answer.content_type == "text/event-stream"
                async for block in blocks(answer):
                    self.take(block)
                    if until(self):
                        return

    def take(self, block):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if "id" in fields:
            self.last_id = fields["id"]
        if "data" in fields:
            event = json.loads(fields["data"])
            assert (event["id"], event["kind"]) == (fields["id"], fields["event"])
            self.events.append(event)
        elif not fields:
            self.comments += 1


async def blocks(answer):
    """The blocks of an SSE answer, whole ones only; ends with the answer."""
    rest = b""
    async for chunk in answer.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n\n")
        for block in whole:
            yield block.decode()


def one_shot(talk, origin=None):
    """Run a client in a loop of its own; ``talk`` takes an aiohttp session, its paths under ``origin`` if given."""

    async def run():
        async with aiohttp.ClientSession(origin) as session:
            return await talk(session)

    return asyncio.run(run())
