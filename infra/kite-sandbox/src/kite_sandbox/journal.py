"""The append-only file the broker is rebuilt from: one JSON line a record, fsynced before anything is answered.

Concurrent answers share an fsync. A line torn by a crash was never answered, so it is cut off at the next start; any
other unreadable line stops the start. A reset begins a new file beside the old ones.
"""

import asyncio
import fcntl
import json
import logging
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class JournalError(Exception):
    """The journal cannot be read, written or owned."""


class Journal:
    """One folder of numbered files; the highest number is in use. One process at a time owns the folder."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)  # access tokens are in there
        self._home = home
        self._lock = (home / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise JournalError(f"another sandbox is using {home}") from error
        files = sorted(home.glob("journal-*.jsonl"))
        self.path = files[-1] if files else home / "journal-000001.jsonl"
        self._file = self.path.open("ab")
        self._sync_folder()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._buffer: list[bytes] = []
        self._appended = self._durable = 0
        self._flush: asyncio.Task[None] | None = None
        self.failure: str | None = None

    def read(self) -> Iterator[dict[str, Any]]:
        """All records of the file in use, as JSON values; a torn last line is cut off."""
        good = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                values = _parsed(line)
                if values is None:
                    if lines.read(1):
                        raise JournalError(f"{self.path}: line {number} is unreadable")
                    log.warning("%s: cutting off a torn last line", self.path)
                    break
                good += len(line)
                yield values
        os.truncate(self.path, good)

    def append(self, records: Iterable[dict[str, Any]]) -> int:
        """Queue records for the disk, in order; returns the position `durable` must reach for them."""
        for record in records:
            self._buffer.append(json.dumps(record, separators=(",", ":")).encode() + b"\n")
            self._appended += 1
        return self._appended

    @property
    def position(self) -> int:
        """Records appended by this process."""
        return self._appended

    async def durable(self, position: int | None = None) -> None:
        """Return once everything up to ``position`` (default: all appended) is on the disk."""
        target = self._appended if position is None else position
        while self._durable < target:
            if self.failure:
                raise JournalError(self.failure)
            if self._flush is None:
                self._flush = asyncio.create_task(self._flush_once())
            await asyncio.shield(self._flush)

    async def _flush_once(self) -> None:
        lines, self._buffer = self._buffer, []
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._write, b"".join(lines))
            self._durable += len(lines)
        except OSError as error:
            self.failure = f"the journal cannot be written: {error}"
            log.exception("journal write failed")
        finally:
            self._flush = None

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _sync_folder(self) -> None:
        folder = os.open(self._home, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    async def start_new_file(self) -> None:
        """Leave the file in use as it is and go on in a new one.

        Nothing is in flight when the files change over, and nothing can be appended between that and the return.
        """
        while self._durable < self._appended:
            await self.durable()
        self._file.close()
        number = int(self.path.stem.rpartition("-")[2]) + 1
        self.path = self._home / f"journal-{number:06d}.jsonl"
        self._file = self.path.open("ab")
        self._sync_folder()

    def close(self) -> None:
        """Release the folder. What is not durable yet was not answered and is dropped."""
        self._writer.shutdown(wait=True)
        self._file.close()
        self._lock.close()


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        values: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return values
