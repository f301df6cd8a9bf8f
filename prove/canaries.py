"""Looking for values that must not be where one looks: as they are, and as they look when somebody encoded them."""

import base64
import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote

import psutil

SHORTEST = 8
"""Anything shorter is found by chance."""

CHUNK, OVERLAP = 8 * 2**20, 4096

_NOTHING, _LITTLE = re.compile(rb"\0{64,}"), b"\0" * 64
"""Half of a database's files is filled with it; no form of a value holds so much of it."""


@dataclass(frozen=True, slots=True)
class Canary:
    """One secret. ``homes`` are patterns of places where it has to be, such as ``home/secrets.json``."""

    name: str
    value: str
    homes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.value) < SHORTEST:
            raise ValueError(f"{self.name} is too short to be looked for")


def forms(value: str) -> set[bytes]:
    """``value`` as it is written in texts, URLs, JSON, hexadecimal, base64 within more of it, and wide characters."""
    raw = value.encode()
    found = {raw, value.encode("utf-16-le"), raw.hex().encode(), raw.hex().upper().encode()}
    found |= {quote(value, safe="").encode(), json.dumps(value)[1:-1].encode(), repr(value)[1:-1].encode()}
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw + b"\0\0")
        inner = coded[4 if shift else 0 : (shift + len(raw)) // 3 * 4]  # what no neighbour has a part in
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return {form for form in found if len(form) >= SHORTEST}


class Net:
    """All canaries at once. ``hits`` are those found where they have no home: ``name in place``."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self.canaries = list(canaries)
        self._forms = [(canary, form) for canary in self.canaries for form in sorted(forms(canary.value))]
        self.hits: list[str] = []
        self._clean: set[bytes] = set()
        self.places = 0
        self.bytes = 0

    def look(self, place: str, data: bytes) -> None:
        """Search one place."""
        self.places += 1
        self._search(place, data)

    def look_at_file(self, place: str, path: Path) -> None:
        """Search a file, a piece at a time; what is compressed is opened."""
        self.places += 1
        try:
            with path.open("rb") as file:
                before = b""
                while piece := file.read(CHUNK):
                    self._search(place, before + piece)
                    before = piece[-OVERLAP:]
        except OSError:
            return  # gone meanwhile, or a socket
        if path.suffix == ".gz":
            self._search(place, gzip.decompress(path.read_bytes()))

    def look_below(self, folder: Path, called: str) -> None:
        """Search every file below ``folder``, which is ``called`` so in the homes of canaries."""
        for path in files_below(folder):
            self.look_at_file(f"{called}/{path.relative_to(folder)}", path)

    def look_at_process(self, process: psutil.Process, called: str) -> None:
        """Its command line and its environment, as any program of the same user may read them."""
        try:
            self.look(f"command line of {called}", "\0".join(process.cmdline()).encode())
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        except (psutil.NoSuchProcess, OSError):
            return
        self.look(f"environment of {called}", environment)

    def _search(self, place: str, data: bytes) -> None:
        self.bytes += len(data)
        data = _NOTHING.sub(_LITTLE, data)
        digest = hashlib.blake2b(data).digest()
        if digest in self._clean:
            return  # a copy, as databases of one template are
        found = [canary for canary, form in self._forms if form in data]
        if not found:
            self._clean.add(digest)
        for canary in found:
            hit = f"{canary.name} in {place}"
            if hit not in self.hits and not any(fnmatch(place, home) for home in canary.homes):
                self.hits.append(hit)


def files_below(folder: Path) -> Iterator[Path]:
    """Regular files, links not followed."""
    for where, _folders, names in os.walk(folder):
        for name in names:
            path = Path(where) / name
            if path.is_file() and not path.is_symlink():
                yield path


def opened(data: bytes) -> bytes:
    """``data``, uncompressed when it is gzip or zlib."""
    try:
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else zlib.decompress(data)
    except (OSError, zlib.error):
        return data
