"""Is a port ours to take? Asked before anything starts, so that the answer is a sentence and not a stack trace."""

import socket
import time

import psutil

from saras.errors import CannotStart


def require_free(host: str, port: int, variable: str, purpose: str, *, wait_s: float = 0.0) -> None:
    """`CannotStart` names the busy port, who has it and the variable that chooses another."""
    deadline = time.monotonic() + wait_s
    while not is_free(host, port):
        if time.monotonic() < deadline:
            time.sleep(0.05)
            continue
        raise CannotStart(
            f"port {port} ({purpose}) is in use{_holder(port)}. "
            f"Stop that program, or choose another port: {variable}={port + 1 if port < 65535 else 18000}"  # noqa: PLR2004 - the last port
        )


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """Loopback ports that were free a moment ago, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            local = connection.laddr[1] if connection.laddr else None
            if connection.status == psutil.CONN_LISTEN and local == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return ""
