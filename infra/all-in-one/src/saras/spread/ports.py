"""Ports of processes and servers: chosen free once, then kept, so that a restart finds everything where it was."""

from pathlib import Path

from saras.home import read_private, write_private
from saras.ports import free_ports, is_free


class KeptPorts:
    """Names and ports in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, int] = read_private(path) or {}

    def get(self, *names: str) -> dict[str, int]:
        """A free loopback port for each name: the one it had, unless somebody else took that."""
        taken = [name for name in names if name not in self._kept or not is_free("127.0.0.1", self._kept[name])]
        if taken:
            self._kept |= dict(zip(taken, free_ports(len(taken)), strict=True))
            write_private(self._path, self._kept)
        return {name: self._kept[name] for name in names}
