"""What one user was told, and how it reached them: the inbox, the deliveries by channel, one webhook checked."""

import hashlib
import hmac
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rich.console import Console

from saras.client import Api
from saras.demo.story import Story
from saras.errors import CommandFailed
from saras.tables import plain_table

SHOWN = 12
SETTLE_S = 60.0
POLL_S = 0.2
OPEN = frozenset({"PENDING", "QUEUED", "SENDING"})


def print_messages(console: Console, story: Story) -> None:
    """The first user's inbox; a deposit of one rupee goes to a webhook of theirs, opened here, and is checked."""
    person = story.people.people[0]

    def look(api: Api, _person: object) -> tuple[list[Any], Counter[tuple[str, str]], str]:
        with _listening() as ear:
            hook = api.post("/webhooks", {"url": ear.url, "kinds": ["funds"]})
            api.post("/funds/deposit", {"amount": "1.00"}, key="demo-message")
            messages, deliveries = _settled(api)
            return messages, deliveries, ear.verdict(hook["secret"])

    (messages, deliveries, verdict) = story.people.each(look, [person])[0]
    rows = [(item["created_at"][11:19], item["title"], item["body"]) for item in messages[:SHOWN]]
    title = f"{person.name} was told: {len(messages)} messages, the last {len(rows)}"
    console.print(plain_table(title, ("", "title", "message"), rows))
    by_channel = [(channel, status, count) for (channel, status), count in sorted(deliveries.items())]
    console.print(plain_table("Deliveries of these messages", ("channel", "status", "count"), by_channel, right=2))
    console.print(f"[bold]Webhook[/]  {verdict}\n", highlight=False)


def _settled(api: Api) -> tuple[list[Any], Counter[tuple[str, str]]]:
    """The inbox and its deliveries, once the deposit is told and nothing waits to be sent."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        messages = list(api.pages("/notifications"))
        found = [row for item in messages for row in api.get(f"/notifications/{item['id']}/deliveries")["items"]]
        is_told = any(row["channel"] == "webhook" for row in found)
        if is_told and not any(row["status"] in OPEN for row in found):
            return messages, Counter((row["channel"], row["status"]) for row in found)
        if time.monotonic() > deadline:
            raise CommandFailed(f"waited {SETTLE_S:.0f} s for the messages to be delivered, in vain")
        time.sleep(POLL_S)


class _Ear:
    """A program of the user's own that receives webhooks."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/saras"
        self.heard: list[tuple[Mapping[str, str], bytes]] = []

    def verdict(self, secret: str) -> str:
        """What a receiver would say of what it heard."""
        keys = {headers["Idempotency-Key"] for headers, _ in self.heard}
        genuine = sum(_is_signed(secret, headers["Saras-Signature"], body) for headers, body in self.heard)
        return f"{len(self.heard)} received, {genuine} with a good signature, {len(keys)} idempotency keys."


def _is_signed(secret: str, header: str, body: bytes) -> bool:
    stamp, _, signature = header.removeprefix("t=").partition(",v1=")
    expected = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature)


@contextmanager
def _listening() -> Iterator[_Ear]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            ear.heard.append((dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
            """The demo's terminal is for its own words."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ear = _Ear(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="webhooks")
    thread.start()
    try:
        yield ear
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
