"""The home folder: who holds it, the secrets generated for it, the admin's stored login, and where it answers."""

import base64
import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from saras.errors import CannotStart, CommandFailed

PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Credentials:
    """An administrator's login, kept so that the commands of `saras` can sign in."""

    email: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(email={self.email!r})"


@dataclass(frozen=True, slots=True)
class Running:
    """The platform that runs on a home."""

    pid: int
    url: str
    sandbox_url: str | None
    seeding_url: str | None = None
    """Where users can be seeded, when that is not at the gateway's."""


class Home:
    """One folder with everything a platform keeps: its database, its secrets, its sandbox and its logs."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()

    @property
    def postgres(self) -> Path:
        """Home of the embedded PostgreSQL."""
        return self.path / "postgres"

    @property
    def sandbox(self) -> Path:
        """Home of the sandbox broker."""
        return self.path / "sandbox"

    @property
    def services(self) -> Path:
        """Data of the servers a spread-out platform brings with it."""
        return self.path / "services"

    @property
    def roll(self) -> Path:
        """Which processes a spread-out platform has."""
        return self.path / "processes.json"

    @property
    def wish(self) -> Path:
        """What `saras restart` asks of the platform that runs here."""
        return self.path / "restart.json"

    @property
    def progress(self) -> Path:
        """How far the platform is with it."""
        return self.path / "restarted.json"

    @property
    def logs(self) -> Path:
        """Where the log files are."""
        return self.path / "logs"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """This process alone may run on this home; `CannotStart` names the one that already does."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.logs.mkdir(exist_ok=True)
        with (self.path / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise CannotStart(
                    f"{self.path} is in use by process {lock.read().strip() or 'unknown'}: stop that one first, "
                    "or give this one a home of its own with SARAS_HOME=…"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    @property
    def is_held(self) -> bool:
        """Whether a process runs on this home now; unlike a number in a file, a lock dies with its holder."""
        try:
            with (self.path / "lock").open("a+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def claim_mode(self, mode: str) -> None:
        """A home stays in the mode it was made in; `CannotStart` when asked for the other: its books would be wrong."""
        path = self.path / "mode.json"
        kept = read_private(path)
        if kept is None:
            write_private(path, {"mode": mode})
        elif kept["mode"] != mode:
            raise CannotStart(
                f"the books in {self.path} were made in {kept['mode']} mode and must not meet the other broker: "
                f"use another home for {mode} mode, SARAS_HOME=…"
            )

    def vault(self) -> "Vault":
        """The secrets of this home."""
        return Vault(self.path / "secrets.json")

    def remember(self, credentials: Credentials) -> None:
        """Keep the admin's login for later commands."""
        write_private(self.path / "admin.json", asdict(credentials))

    def find_credentials(self) -> Credentials | None:
        """The login kept by `remember`."""
        kept = read_private(self.path / "admin.json")
        return None if kept is None else Credentials(**kept)

    @contextlib.contextmanager
    def announced(self, running: Running) -> Iterator[None]:
        """While inside, `find_running` tells other commands where this platform answers."""
        path = self.path / "running.json"
        write_private(path, asdict(running))
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def find_running(self) -> Running | None:
        """The platform that runs on this home now; ``None`` when its process is gone."""
        kept = read_private(self.path / "running.json")
        if kept is None:
            return None
        running = Running(**kept)
        return running if psutil.pid_exists(running.pid) else None

    def get_running(self) -> Running:
        """`find_running`; `CommandFailed` when there is none."""
        running = self.find_running()
        if running is None:
            raise CommandFailed(f"no platform runs on {self.path}; start it with `saras up`, or name its home")
        return running


class Vault:
    """Named secrets in one file only its owner may read; each is made when first asked for and then stays."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, str] = read_private(path) or {}

    def __repr__(self) -> str:
        return f"Vault({str(self._path)!r})"

    def get(self, *names: str) -> dict[str, str]:
        """The secrets of these names, 43 URL-safe characters each; missing ones are generated and stored."""
        missing = [name for name in names if name not in self._kept]
        if missing:
            self._kept |= {name: secrets.token_urlsafe(32) for name in missing}
            write_private(self._path, self._kept)
        return {name: self._kept[name] for name in names}

    def get_key(self, name: str) -> str:
        """A secret's 43 URL-safe characters as the plain base64 of the same 32 bytes."""
        return base64.b64encode(base64.urlsafe_b64decode(self.get(name)[name] + "=")).decode()


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Replace ``path`` as a whole, durably, readable by its owner alone."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def read_private(path: Path) -> dict[str, Any] | None:
    """What `write_private` stored, ``None`` if nothing; `CannotStart` when others could read it or it is damaged."""
    try:
        if path.stat().st_mode & 0o077:
            raise CannotStart(f"{path} may be read by others; if you trust it still: chmod 600 {path}")
        kept: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        raise CannotStart(
            f"{path} is damaged; restore it from a backup, the data cannot be opened without it"
        ) from None
    return kept
