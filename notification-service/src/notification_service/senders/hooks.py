"""Signed webhooks, to checked addresses only."""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from notification_service.domain.deliveries import Letter, Outcome
from notification_service.domain.endpoints import Endpoint, RefusedEndpoint, parse_endpoint
from notification_service.domain.signing import SIGNATURE_HEADER, secret_of, signature
from notification_service.senders.addresses import Unresolved, resolve
from notification_service.words import Words
from saras_common.clock import Clock, rfc3339
from saras_common.jsonio import dumps

GONE = 410
_GOOD = range(200, 300)
_REDIRECT = range(300, 400)


@dataclass(frozen=True, slots=True)
class Webhooks:
    """POSTs JSON. ``key`` is the service's, from which each webhook's secret comes."""

    key: bytes
    allow_loopback: bool
    timeout_s: float
    clock: Clock
    look_up: Callable[[Endpoint, bool], list[str]] = resolve

    def __call__(self, letter: Letter, words: Words) -> Outcome:
        """One try. Redirects are not followed and end the delivery, as does a refused address."""
        body = payload(letter, words)
        now = int(self.clock.now().timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Saras-Webhooks/1",
            "Idempotency-Key": str(letter.delivery.id),
            SIGNATURE_HEADER: signature(secret_of(self.key, letter.delivery.target_id), now, body),
        }
        try:
            endpoint = parse_endpoint(letter.address or "", allow_loopback=self.allow_loopback)
            addresses = self.look_up(endpoint, self.allow_loopback)
            status = self._post(endpoint, addresses[0], body, headers)
        except Unresolved as error:
            return Outcome(sent=False, answer=str(error))
        except RefusedEndpoint as error:
            return Outcome(sent=False, answer=f"refused: {error}", permanent=True)
        except (OSError, http.client.HTTPException) as error:
            return Outcome(sent=False, answer=f"no answer: {type(error).__name__}")
        if status in _REDIRECT:
            return Outcome(sent=False, answer=f"HTTP {status}: redirects are not followed", permanent=True)
        return Outcome(sent=status in _GOOD, answer=f"HTTP {status}", permanent=status == GONE)

    def _post(self, endpoint: Endpoint, address: str, body: bytes, headers: dict[str, str]) -> int:
        """The status answered by that very address; the certificate is checked against the host's name."""
        connection = http.client.HTTPConnection(endpoint.host, endpoint.port)
        headers = {"Host": endpoint.authority, **headers}
        plain = socket.create_connection((address, endpoint.port), self.timeout_s)
        try:
            with _cut_after(plain, self.timeout_s):
                connection.sock = (
                    ssl.create_default_context().wrap_socket(plain, server_hostname=endpoint.host)
                    if endpoint.is_https
                    else plain
                )
                connection.request("POST", endpoint.target, body, headers)
                return connection.getresponse().status
        finally:
            connection.close()
            plain.close()


def payload(letter: Letter, words: Words) -> bytes:
    """What is sent: words and facts, and the key again."""
    return dumps(
        {
            "id": str(letter.delivery.id),
            "notification_id": str(letter.delivery.notification_id),
            "kind": letter.kind.value,
            "title": words.title,
            "body": words.body,
            "count": letter.count,
            "data": dict(letter.data),
            "created_at": rfc3339(letter.created_at),
        }
    )


@contextmanager
def _cut_after(plain: socket.socket, seconds: float) -> Iterator[None]:
    """Cut the connection when the whole exchange takes longer, however steadily a byte drips in."""
    number = plain.fileno()
    timer = threading.Timer(seconds, _shut, [number])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _shut(number: int) -> None:
    """Shut the connection with that descriptor, whoever wraps it now."""
    with socket.socket(fileno=number) as borrowed:
        try:
            borrowed.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        finally:
            borrowed.detach()
