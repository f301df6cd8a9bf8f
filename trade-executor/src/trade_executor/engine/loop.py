"""The thread of one account's leader: steps, and sleeps until a notification, a hint or the next thing due."""

import logging
import os
import select
import threading
import time
from collections.abc import Callable

import psycopg

from saras_common.db import connect
from saras_common.errors import Unavailable
from trade_executor.engine.leader import Leader
from trade_executor.engine.leadership import Leadership
from trade_executor.store.postgres import HINT, WAKE_CHANNEL

_log = logging.getLogger(__name__)

LONGEST_SLEEP_S = 1.0
BREATH_S = 0.05
"""Between two steps, so that a stream of orders wakes the leader some dozens of times a second and not for each."""

PAUSE_AFTER_ERROR_S = 1.0


class LeaderLoop:
    """Runs a leader until it is told to stop. ``wake`` may be called from any thread."""

    def __init__(self, leader: Leader, database_url: str, *, after_step: Callable[[Leader], None]) -> None:
        self.leader = leader
        self._url = database_url
        self._after_step = after_step
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        os.set_blocking(self._read_end, False)
        self._hinted = threading.Event()
        self._connection: psycopg.Connection | None = None

    def wake(self, *, hint: bool = False) -> None:
        """Step soon; with ``hint``, read the broker first."""
        if hint:
            self._hinted.set()
        try:
            os.write(self._write_end, b"!")
        except BlockingIOError:
            return  # it is awake already

    def run(self, stop: threading.Event) -> None:
        """Lead, or stand by, until ``stop``."""
        leadership = self.leader.desk.leadership
        renewing = threading.Thread(
            target=_keep_renewing, args=(leadership, stop), name=f"lease-{leadership.account_id}", daemon=True
        )
        renewing.start()
        try:
            while not stop.is_set():
                self._sleep(self._step())
                stop.wait(BREATH_S)
        finally:
            renewing.join(timeout=2)
            self._close()
            try:
                leadership.release()
            except Unavailable:
                _log.warning("account %s: the lease was left to expire", leadership.account_id)

    def _step(self) -> float:
        if self._hinted.is_set():
            self._hinted.clear()
            self.leader.hint()
        try:
            wait_s = self.leader.step()
            self._after_step(self.leader)
        except Unavailable as error:
            _log.warning("account %s waits: %s", self.leader.desk.account_id, error)
            return PAUSE_AFTER_ERROR_S
        except Exception:  # noqa: BLE001 - whatever failed, the next step starts from what is committed
            _log.exception("account %s: a step failed", self.leader.desk.account_id)
            return PAUSE_AFTER_ERROR_S
        return wait_s

    def _sleep(self, seconds: float) -> None:
        """Until notified, woken, or ``seconds`` have passed."""
        seconds = min(seconds, LONGEST_SLEEP_S)
        if seconds <= 0:
            return
        try:
            connection = self._listen()
            ready, _, _ = select.select([connection.fileno(), self._read_end], [], [], seconds)
            if self._read_end in ready:
                os.read(self._read_end, 4096)
            if connection.fileno() in ready:
                for notice in connection.notifies(timeout=0):
                    if notice.payload == self.leader.desk.account_id + HINT:
                        self._hinted.set()
        except psycopg.Error:
            self._forget_connection()
            time.sleep(min(seconds, 0.2))

    def _listen(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = connect(self._url)
            self._connection.execute(f"LISTEN {WAKE_CHANNEL}")
        return self._connection

    def _forget_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _close(self) -> None:
        self._forget_connection()
        os.close(self._read_end)
        os.close(self._write_end)


def _keep_renewing(leadership: Leadership, stop: threading.Event) -> None:
    """Extend the lease well before it ends, while the leader works or waits for the broker."""
    while not stop.wait(leadership.ttl_s / 4):
        if leadership.lease is None:
            continue
        try:
            leadership.renew()
        except Unavailable:
            _log.warning("account %s: the lease could not be renewed", leadership.account_id)
