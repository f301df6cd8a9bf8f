"""Private RabbitMQ and Redis servers on the loopback, gone with the process that asked for them.

One machine's spread-out platform keeps theirs in its home; tests and the bench take throw-away ones.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from saras_common.postgres import free_port

RABBIT_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
RABBIT_NODE = "saras@localhost"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0

_RABBIT_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
loopback_users.{user} = true
default_user = {user}
default_pass = {password}
log.file.level = warning
log.console = false
vm_memory_high_watermark.relative = 0.2
disk_free_limit.absolute = 200MB
"""
_RABBIT_ADVANCED = (
    "[{kernel, [{inet_dist_use_interface, {127,0,0,1}}]}, {ra, [{wal_max_size_bytes, 64000000}]},"
    " {rabbit, [{tcp_listen_options, [{backlog, 128}, {nodelay, true}]}]}]."
)
_REDIS_CONFIG = """\
bind 127.0.0.1
port {port}
dir {home}
{options}
"""


class PrivateServer:
    """A server of our own in ``home``, a throw-away folder when none is given; ``port`` 0 takes a free one."""

    name: ClassVar[str]

    def __init__(self, home: Path | None, port: int) -> None:
        self._temporary = None if home else tempfile.TemporaryDirectory(prefix="saras-", ignore_cleanup_errors=True)
        self.home = home.absolute() if home else Path(self._temporary.name if self._temporary else "")
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The server's process while it is meant to run."""
        return self._process

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would; ``start`` again finds what it had stored."""
        _end(self._process, signal.SIGKILL)
        self._process = None

    def stop(self) -> None:
        """End it: one with a lasting folder in order, one with a throw-away folder at once and with all it stored."""
        if self._temporary is None:
            _end(self._process, signal.SIGTERM)
            self._process = None
        else:
            self.kill()
            self._temporary.cleanup()

    def _run(self, command: list[str], environment: Mapping[str, str], ready: Callable[[], bool]) -> None:
        log = self.home / "out.log"
        self._process = _spawn(command, environment, log)
        _wait_for(self.name, self._process, ready, log)


class PrivateRabbit(PrivateServer):
    """A RabbitMQ node of our own; ``kill`` and ``start`` again keep its queues."""

    name = "RabbitMQ"

    def __init__(self, home: Path | None = None, *, port: int = 0, password: str = "") -> None:
        super().__init__(home, port)
        user, password = ("saras", password) if password else ("guest", "guest")
        self.url = f"amqp://{user}:{password}@127.0.0.1:{self.port}/%2F"
        self._environment = self._prepare(user, password)

    @staticmethod
    def missing() -> str:
        """Why it cannot run here; empty when it can."""
        return "" if RABBIT_SERVER.exists() else f"RabbitMQ is not installed ({RABBIT_SERVER})"

    def start(self) -> str:
        """Start the node (about four seconds) and return its URL."""
        epmd = shutil.which("epmd", path="/usr/bin:/usr/lib/erlang/bin") or "epmd"
        # Erlang would start its own port mapper as a daemon, which nobody ends; with one there already it does not
        command = ["/bin/sh", "-c", '"$1" & exec "$2"', "rabbit", epmd, str(RABBIT_SERVER)]
        self._run(command, self._environment, self._answers)
        return self.url

    def control(self, *command: str) -> str:
        """What ``rabbitmqctl`` answers to a command for this node."""
        arguments = [str(RABBIT_SERVER.with_name("rabbitmqctl")), "--node", RABBIT_NODE, *command]
        return subprocess.run(  # noqa: S603 - the installed tool
            arguments, env=self._environment, capture_output=True, check=True, text=True, timeout=START_TIMEOUT_S
        ).stdout

    def _prepare(self, user: str, password: str) -> Mapping[str, str]:
        """A cookie, ports and folders of its own, so that neither another node nor epmd of the machine is touched."""
        write_secret(self.home / ".erlang.cookie", secrets.token_hex(16), mode=0o400)
        config = _RABBIT_CONFIG.format(port=self.port, user=user, password=password)
        write_secret(self.home / "rabbitmq.conf", config)
        (self.home / "advanced.config").write_text(_RABBIT_ADVANCED)
        (self.home / "enabled_plugins").write_text("[].")
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "RABBITMQ_NODENAME": RABBIT_NODE,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(self.home / "data"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_PID_FILE": str(self.home / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.home / "advanced"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def _answers(self) -> bool:
        """Whether the node speaks AMQP: it greets a protocol header once it is booted."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as probe:
            probe.settimeout(5)
            probe.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(probe.recv(8))
        return False


class PrivateRedis(PrivateServer):
    """A Redis server of our own: without persistence in a throw-away folder, with a log of writes in a lasting one."""

    name = "Redis"

    def __init__(self, home: Path | None = None, *, port: int = 0, password: str = "") -> None:
        super().__init__(home, port)
        self.url = f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0"
        options = ["appendonly yes"] if home else ['save ""']
        options += [f"requirepass {password}"] if password else []
        text = _REDIS_CONFIG.format(port=self.port, home=self.home, options="\n".join(options))
        write_secret(self.home / "redis.conf", text)

    @staticmethod
    def missing() -> str:
        """Why it cannot run here; empty when it can."""
        return "" if shutil.which("redis-server") else "redis-server is not installed"

    def start(self) -> str:
        """Start the server and return its URL."""
        command = ["redis-server", str(self.home / "redis.conf")]
        self._run(command, {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}, self._answers)
        return self.url

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as probe:
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        return False


def write_secret(path: Path, text: str, *, mode: int = 0o600) -> None:
    """``text`` in a file only its owner may read; the file is replaced."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)


_GUARD = 'exec 3<&0; (read _ <&3; kill -KILL 0) & exec 3<&-; exec "$@" </dev/null'
"""The server's process group dies when our end of the pipe closes, so also when the test process is killed."""


def _spawn(command: list[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - installed servers
            ["/bin/sh", "-c", _GUARD, "guard", *command],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _wait_for(name: str, process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            _end(process, signal.SIGKILL)
            raise RuntimeError(f"{name} did not start: {log.read_text(errors='replace')[-1000:]}")
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes] | None, how: signal.Signals) -> None:
    """Signal the server and everything it started."""
    if process is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, how)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    process.wait()
