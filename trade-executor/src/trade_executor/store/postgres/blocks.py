"""Blocks: the head as a row, statement and shares as columns."""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import Any, LiteralString
from uuid import UUID

import numpy as np
from psycopg.types.json import Jsonb

from saras_common.charges import KINDS
from trade_executor.core.book import FROZEN, TOLD, Shares, Statement
from trade_executor.core.ids import Ids
from trade_executor.domain import Block, BlockKey, BlockState, Credit
from trade_executor.store import Book
from trade_executor.store.postgres.statements import Statements, array_of, column

_BLOCK = (
    "b.id, b.batch_id, b.account_id, b.instrument, b.side, b.product, b.order_type, b.validity, b.price_paise,"
    " b.trigger_price_paise, b.quantity, b.statement_hash, b.state, b.filled, b.value_paise, b.charges,"
    " b.suspense_quantity, b.suspense_value_paise, b.suspense_charges_paise, b.first_fill_on, b.steps, b.working_told,"
    " b.reason"
)
_STATEMENT = "SELECT s.order_ids, s.user_ids, s.wanted, s.arrivals, s.caps_paise, s.house, s.credits"
_SHARES_COLUMNS = "h.allocated, h.value_paise, h.charges, h.flags"
_STATEMENT_END, _SHARES = 7, 4
_HEADS: LiteralString = f"SELECT {_SHARES_COLUMNS}, {_BLOCK} FROM blocks b JOIN shares h ON h.block_id = b.id"  # noqa: S608 - our columns
_BOOKS_OF_BATCH: LiteralString = (
    f"{_STATEMENT}, {_SHARES_COLUMNS}, {_BLOCK} FROM blocks b JOIN statements s ON s.block_id = b.id"
    " JOIN shares h ON h.block_id = b.id WHERE b.batch_id = %s ORDER BY b.seq"
)
_KEY_END = 10


class BlockQueries(Statements):
    """See `trade_executor.store.Blocks`."""

    def add_block(self, block: Block, statement: Statement) -> None:
        self.run(
            "INSERT INTO blocks (id, batch_id, account_id, instrument, side, product, order_type, validity,"
            " price_paise, trigger_price_paise, quantity, statement_hash, state, filled, value_paise, charges,"
            " suspense_quantity, suspense_value_paise, suspense_charges_paise, steps, working_told)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 0, %s, 0, 0, 0, '[]', false)",
            [
                block.id,
                block.batch_id,
                block.account_id,
                *block.key,
                block.quantity,
                block.statement_hash,
                block.state,
                list(block.charges),
            ],
        )
        self.run(
            "INSERT INTO statements (block_id, order_ids, user_ids, wanted, arrivals, caps_paise, house, credits)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                block.id,
                statement.order_ids.packed,
                statement.user_ids.packed,
                column(statement.wanted),
                column(statement.arrivals),
                column(statement.caps_paise),
                statement.house.tobytes(),
                None if statement.credits is None else [str(credit) for credit in statement.credits],
            ],
        )
        self._statements.keep(block.id, statement)
        self.run(
            "INSERT INTO shares (block_id, allocated, value_paise, charges, flags, frozen)"
            " VALUES (%s, %s, %s, %s, %s, false)",
            [block.id, *_stored(Shares.none(len(statement)))],
        )

    def get_book(self, block_id: UUID) -> Book:
        head = self.get(_HEADS + " WHERE b.id = %s FOR UPDATE OF b", [block_id])
        return Book(block_of(head[_SHARES:]), self._get_statement(block_id), shares_of(head[:_SHARES]))

    def _get_statement(self, block_id: UUID) -> Statement:
        """Statements never change, so those of blocks at work are kept."""
        kept = self._statements.find(block_id)
        if kept is None:
            kept = statement_of(self.get(_STATEMENT + " FROM statements s WHERE s.block_id = %s", [block_id]))
            self._statements.keep(block_id, kept)
        return kept

    def find_block_id(self, batch_id: UUID, key: BlockKey) -> UUID | None:
        row = self.find(
            "SELECT id FROM blocks WHERE batch_id = %s AND instrument = %s AND side = %s AND product = %s"
            " AND order_type = %s AND validity = %s AND price_paise IS NOT DISTINCT FROM %s::bigint"
            " AND trigger_price_paise IS NOT DISTINCT FROM %s::bigint",
            [batch_id, *key],
        )
        return None if row is None else row[0]

    def list_working(self, account_id: str) -> list[UUID]:
        rows = self.all("SELECT id FROM blocks WHERE account_id = %s AND state = 'WORKING' ORDER BY seq", [account_id])
        return [row[0] for row in rows]

    def count_unfinished(self, batch_id: UUID) -> int:
        return int(self.get("SELECT count(*) FROM blocks WHERE batch_id = %s AND state = 'WORKING'", [batch_id])[0])

    def list_frozen(self, account_id: str) -> list[UUID]:
        rows = self.all(
            "SELECT b.id FROM blocks b JOIN shares h ON h.block_id = b.id"
            " WHERE b.account_id = %s AND b.state = 'WORKING' AND h.frozen ORDER BY b.seq",
            [account_id],
        )
        return [row[0] for row in rows]

    def list_contested(self, account_id: str) -> list[UUID]:
        rows = self.all(
            "SELECT b.id FROM blocks b WHERE b.account_id = %s AND b.state = 'WORKING'"
            " AND EXISTS (SELECT 1 FROM intents i WHERE i.block_id = b.id AND i.attempt > 1) ORDER BY b.seq",
            [account_id],
        )
        return [row[0] for row in rows]

    def save_block(self, block: Block) -> None:
        self.run(
            "UPDATE blocks SET state = %s, filled = %s, value_paise = %s, charges = %s, suspense_quantity = %s,"
            " suspense_value_paise = %s, suspense_charges_paise = %s, first_fill_on = %s, steps = %s,"
            " working_told = %s, reason = %s WHERE id = %s",
            [
                block.state,
                block.filled,
                block.value_paise,
                list(block.charges),
                block.suspense_quantity,
                block.suspense_value_paise,
                block.suspense_charges_paise,
                block.first_fill_on,
                Jsonb(block.steps),
                block.working_told,
                block.reason,
                block.id,
            ],
        )

    def save_shares(self, block_id: UUID, shares: Shares) -> None:
        frozen = bool(((shares.flags & (FROZEN | TOLD)) == FROZEN).any())
        self.run(
            "UPDATE shares SET allocated = %s, value_paise = %s, charges = %s, flags = %s, frozen = %s"
            " WHERE block_id = %s",
            [*_stored(shares), frozen, block_id],
        )

    def claim_dp(self, account_id: str, instrument: str, day: date, block_id: UUID) -> bool:
        self.run(
            "INSERT INTO dp_charges (account_id, instrument, day, block_id) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [account_id, instrument, day, block_id],
        )
        row = self.get(
            "SELECT block_id FROM dp_charges WHERE account_id = %s AND instrument = %s AND day = %s",
            [account_id, instrument, day],
        )
        return bool(row[0] == block_id)

    def list_books(self, batch_id: UUID) -> list[tuple[Block, Statement, Shares]]:
        """A window's blocks with who is in them, in the order they are sent, without locks."""
        end = _STATEMENT_END + _SHARES
        return [
            (block_of(row[end:]), statement_of(row[:_STATEMENT_END]), shares_of(row[_STATEMENT_END:end]))
            for row in self.all(_BOOKS_OF_BATCH, [batch_id])
        ]

    def find_credits(self, batch_id: UUID, since: date) -> dict[tuple[str, UUID], Fraction]:
        rows = self.all(
            "SELECT DISTINCT c.instrument, c.user_id, c.lots FROM demands d JOIN credits c"
            " ON c.account_id = d.account_id AND c.instrument = d.instrument AND c.user_id = d.user_id"
            " WHERE d.batch_id = %s AND NOT d.ended AND c.touched_on >= %s AND c.lots <> '0'",
            [batch_id, since],
        )
        return {(instrument, user_id): Fraction(lots) for instrument, user_id, lots in rows}

    def save_credits(self, account_id: str, instrument: str, credits_: Sequence[Credit]) -> None:
        if credits_:
            self.run(
                "INSERT INTO credits (account_id, instrument, user_id, lots, touched_on)"
                " SELECT %s, %s, * FROM unnest(%s::uuid[], %s::text[], %s::date[])"
                " ON CONFLICT (account_id, instrument, user_id) DO UPDATE"
                " SET lots = excluded.lots, touched_on = excluded.touched_on",
                [
                    account_id,
                    instrument,
                    [credit.user_id for credit in credits_],
                    [str(credit.lots) for credit in credits_],
                    [credit.touched_on for credit in credits_],
                ],
            )


def _stored(shares: Shares) -> tuple[bytes, bytes, bytes, bytes]:
    return column(shares.allocated), column(shares.value_paise), column(shares.charges), shares.flags.tobytes()


def shares_of(row: tuple[Any, ...]) -> Shares:
    """Shares from their stored columns."""
    allocated, value, charges, flags = row
    return Shares(
        array_of(allocated),
        array_of(value),
        array_of(charges).reshape(-1, len(KINDS)),
        np.frombuffer(flags, dtype=np.uint8).copy(),
    )


def statement_of(row: tuple[Any, ...]) -> Statement:
    """A statement from its stored columns."""
    order_ids, user_ids, wanted, arrivals, caps, house, credits_ = row
    return Statement(
        Ids(bytes(order_ids)),
        Ids(bytes(user_ids)),
        array_of(wanted),
        array_of(arrivals),
        array_of(caps),
        np.frombuffer(house, dtype=np.bool_).copy(),
        None if credits_ is None else tuple(Fraction(credit) for credit in credits_),
    )


def block_of(row: tuple[Any, ...]) -> Block:
    """A block's head from its row."""
    block_id, batch_id, account_id = row[:3]
    (
        quantity, statement_hash, state, filled, value, charges, over, over_value, over_charges, first_on, steps, told,
        reason,
    ) = row[_KEY_END:]  # fmt: skip
    return Block(
        id=block_id,
        batch_id=batch_id,
        account_id=account_id,
        key=BlockKey(*row[3:_KEY_END]),
        quantity=quantity,
        statement_hash=statement_hash,
        state=BlockState(state),
        filled=filled,
        value_paise=value,
        charges=tuple(charges),
        suspense_quantity=over,
        suspense_value_paise=over_value,
        suspense_charges_paise=over_charges,
        first_fill_on=first_on,
        steps=tuple((lots, tuple(frozen), tuple(ended)) for lots, frozen, ended in steps),
        working_told=told,
        reason=reason,
    )
