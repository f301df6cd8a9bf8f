"""Recomputes a batch's allocations from their certificates, with the executor's pure function, here and now.

What a certificate says is also compared with what the platform shows as the batch's result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trade_executor.core.certificates import verify


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one block: ``why`` is empty when everything comes out the same."""

    block_id: str
    instrument: str
    orders: int
    allocated: int
    why: str

    @property
    def ok(self) -> bool:
        """Everything came out the same."""
        return not self.why


def verify_batch(batch: Mapping[str, Any], certificates: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """A verdict for each block of ``batch`` (as ``GET /admin/batches/{id}`` shows it)."""
    by_block = {document.get("block_id"): document for document in certificates}
    return [_verdict(block, by_block.get(block["id"])) for block in batch["blocks"]]


def _verdict(block: Mapping[str, Any], document: Mapping[str, Any] | None) -> Verdict:
    shown = {row["order_id"]: row["allocated"] for row in block["allocations"]}
    total = sum(shown.values())
    if document is None:
        return Verdict(block["id"], block["instrument"], len(shown), total, "no certificate: the block has not ended")
    wrong = verify(document)
    if not wrong:
        certified = dict(zip(document["orders"]["order_id"], document["result"]["allocated"], strict=True))
        if certified != shown:
            wrong.append("the platform shows other allocations")
    return Verdict(block["id"], block["instrument"], len(shown), total, ", ".join(wrong))
