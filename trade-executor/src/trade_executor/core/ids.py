"""Thousands of ids in one piece of memory; text and `UUID` objects are made only when asked for."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from uuid import UUID

import numpy as np
import numpy.typing as npt

ID_BYTES = 16
_HEX = 2 * ID_BYTES


class Ids:
    """A fixed row of ids."""

    def __init__(self, packed: bytes) -> None:
        self.packed = packed

    @classmethod
    def of(cls, ids: Iterable[UUID]) -> "Ids":
        """Packed from single ids."""
        return cls(b"".join(each.bytes for each in ids))

    def __len__(self) -> int:
        return len(self.packed) // ID_BYTES

    def __getitem__(self, row: int) -> UUID:
        return UUID(bytes=self.packed[row * ID_BYTES : (row + 1) * ID_BYTES])

    def __iter__(self) -> Iterator[UUID]:
        return (self[row] for row in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ids) and self.packed == other.packed

    def __hash__(self) -> int:
        return hash(self.packed)

    @cached_property
    def texts(self) -> list[str]:
        """The ids written out."""
        t = self.packed.hex()
        return [
            f"{t[i : i + 8]}-{t[i + 8 : i + 12]}-{t[i + 12 : i + 16]}-{t[i + 16 : i + 20]}-{t[i + 20 : i + _HEX]}"
            for i in range(0, len(t), _HEX)
        ]

    @cached_property
    def _rows(self) -> dict[bytes, int]:
        packed = self.packed
        starts = range(len(packed) - ID_BYTES, -1, -ID_BYTES)  # backwards, so that the first of two stays
        return {packed[i : i + ID_BYTES]: i // ID_BYTES for i in starts}

    def find(self, wanted: UUID) -> int | None:
        """The first row of an id."""
        return self._rows.get(wanted.bytes)

    def keep(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> "Ids":
        """Some rows, in the order given."""
        return Ids(np.frombuffer(self.packed, dtype=f"V{ID_BYTES}")[np.asarray(rows, dtype=np.intp)].tobytes())
