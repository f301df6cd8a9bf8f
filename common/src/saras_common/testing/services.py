"""Private RabbitMQ and Redis servers on the loopback: for tests and the bench, gone with the process that asked."""

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

from saras_common.postgres import free_port

RABBIT_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_TIMEOUT_S = 60.0

_RABBIT_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
loopback_users.guest = true
log.file.level = warning
log.console = false
vm_memory_high_watermark.relative = 0.2
disk_free_limit.absolute = 200MB
"""
_RABBIT_ADVANCED = (
    "[{kernel, [{inet_dist_use_interface, {127,0,0,1}}]}, {ra, [{wal_max_size_bytes, 64000000}]},"
    " {rabbit, [{tcp_listen_options, [{backlog, 128}, {nodelay, true}]}]}]."
)


class PrivateRabbit:
    """A RabbitMQ node of our own; ``kill`` and ``start`` again keep its queues."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="saras-rabbit-", ignore_cleanup_errors=True)
        self._home = Path(self._folder.name)
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = self._prepare()

    @staticmethod
    def missing() -> str:
        """Why it cannot run here; empty when it can."""
        return "" if RABBIT_SERVER.exists() else f"RabbitMQ is not installed ({RABBIT_SERVER})"

    def start(self) -> str:
        """Start the node (about four seconds) and return its URL."""
        epmd = shutil.which("epmd", path="/usr/bin:/usr/lib/erlang/bin") or "epmd"
        # Erlang would start its own port mapper as a daemon, which nobody ends; with one there already it does not
        command = ["/bin/sh", "-c", '"$1" & exec "$2"', "rabbit", epmd, str(RABBIT_SERVER)]
        self._process = _spawn(command, self._environment, self._home / "out.log")
        _wait_for("RabbitMQ", self._process, self._answers, self._home / "out.log")
        return self.url

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would."""
        _end(self._process, signal.SIGKILL)
        self._process = None

    def stop(self) -> None:
        """Kill it and remove its files: nothing in it is wanted any more."""
        self.kill()
        self._folder.cleanup()

    def _prepare(self) -> Mapping[str, str]:
        """A cookie, ports and folders of its own, so that neither another node nor epmd of the machine is touched."""
        cookie = self._home / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        (self._home / "rabbitmq.conf").write_text(_RABBIT_CONFIG.format(port=self.port))
        (self._home / "advanced.config").write_text(_RABBIT_ADVANCED)
        (self._home / "enabled_plugins").write_text("[].")
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self._home),
            "LC_ALL": "C.UTF-8",
            "RABBITMQ_NODENAME": f"saras{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(self._home / "data"),
            "RABBITMQ_LOG_BASE": str(self._home / "log"),
            "RABBITMQ_PID_FILE": str(self._home / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self._home / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self._home / "advanced"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._home / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def _answers(self) -> bool:
        """Whether the node speaks AMQP: it greets a protocol header once it is booted."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as probe:
            probe.settimeout(5)
            probe.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(probe.recv(8))
        return False


class PrivateRedis:
    """A Redis server of our own, without persistence."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="saras-redis-", ignore_cleanup_errors=True)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def missing() -> str:
        """Why it cannot run here; empty when it can."""
        return "" if shutil.which("redis-server") else "redis-server is not installed"

    def start(self) -> str:
        """Start the server and return its URL."""
        home = Path(self._folder.name)
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(home)]
        self._process = _spawn(command, {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}, home / "out.log")
        _wait_for("Redis", self._process, self._answers, home / "out.log")
        return self.url

    def kill(self) -> None:
        """End it with SIGKILL."""
        _end(self._process, signal.SIGKILL)
        self._process = None

    def stop(self) -> None:
        """Kill it and remove its files."""
        self.kill()
        self._folder.cleanup()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as probe:
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
        return False


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
    if process.stdin is not None:
        process.stdin.close()
    process.wait()
