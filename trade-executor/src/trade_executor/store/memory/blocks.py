"""Blocks and credits."""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from uuid import UUID

from trade_executor.core.book import FROZEN, TOLD, Shares, Statement
from trade_executor.domain import (
    Block,
    BlockKey,
    BlockState,
    Credit,
)
from trade_executor.store import Book
from trade_executor.store.memory.orders import OrderTables
from trade_executor.store.memory.windows import WindowTables


class BlockTables(WindowTables, OrderTables):
    """See `trade_executor.store`."""

    def add_block(self, block: Block, statement: Statement) -> None:
        self._put("blocks", block.id, block)
        self._put("statements", block.id, statement)
        self._put("shares", block.id, Shares.none(len(statement)))
        self._put("block_keys", (block.batch_id, block.key), block.id)

    def get_book(self, block_id: UUID) -> Book:
        return Book(self._rows("blocks")[block_id], self._rows("statements")[block_id], self._rows("shares")[block_id])

    def find_block_id(self, batch_id: UUID, key: BlockKey) -> UUID | None:
        return self._rows("block_keys").get((batch_id, key))

    def list_working(self, account_id: str) -> list[UUID]:
        return [
            block.id
            for block in self._rows("blocks").values()
            if block.account_id == account_id and block.state is BlockState.WORKING
        ]

    def count_unfinished(self, batch_id: UUID) -> int:
        blocks = self._rows("blocks").values()
        return sum(1 for block in blocks if block.batch_id == batch_id and block.state is BlockState.WORKING)

    def list_frozen(self, account_id: str) -> list[UUID]:
        shares = self._rows("shares")
        return [
            block_id
            for block_id in self.list_working(account_id)
            if ((shares[block_id].flags & (FROZEN | TOLD)) == FROZEN).any()
        ]

    def list_contested(self, account_id: str) -> list[UUID]:
        return [block_id for block_id in self.list_working(account_id) if len(self.list_intents(block_id)) > 1]

    def save_block(self, block: Block) -> None:
        self._put("blocks", block.id, block)

    def save_shares(self, block_id: UUID, shares: Shares) -> None:
        self._put("shares", block_id, shares)

    def claim_dp(self, account_id: str, instrument: str, day: date, block_id: UUID) -> bool:
        key = (account_id, instrument, day)
        if key not in self._rows("dp"):
            self._put("dp", key, block_id)
        return bool(self._rows("dp")[key] == block_id)

    def find_credits(self, batch_id: UUID, since: date) -> dict[tuple[str, UUID], Fraction]:
        rows = self._rows("credits")
        found = {}
        for demand in self._demands(batch_id):
            credit = rows.get((demand.account_id, demand.instrument, demand.user_id))
            if credit and credit.touched_on >= since and credit.lots:
                found[demand.instrument, demand.user_id] = credit.lots
        return found

    def save_credits(self, account_id: str, instrument: str, credits_: Sequence[Credit]) -> None:
        for credit in credits_:
            self._put("credits", (account_id, instrument, credit.user_id), credit)
