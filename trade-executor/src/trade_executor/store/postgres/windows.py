"""Windows and the orders in them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import numpy as np
import numpy.typing as npt
import orjson

from saras_common.events import OrderAccepted
from trade_executor.core.blocks import Group
from trade_executor.core.book import Statement
from trade_executor.core.ids import Ids
from trade_executor.domain import Batch, BatchState, BlockKey, CancelRequest, Demand
from trade_executor.store.postgres.statements import Statements

_BATCH = (
    "SELECT id, account_id, state, opened_at, user_orders, reason, closed_at, finished_at, broker_orders, saved_paise"
    " FROM batches"
)
_DEMAND = (
    "d.order_id, d.user_id, d.account_id, d.batch_id, d.instrument, d.side, d.order_type, d.product, d.validity,"
    " d.quantity, d.price_paise, d.trigger_price_paise, d.cap_price_paise, d.house, d.arrival"
)

_ADD_DEMANDS = (
    "INSERT INTO demands (batch_id, order_id, user_id, account_id, instrument, side, order_type, product, validity,"
    " quantity, price_paise, trigger_price_paise, cap_price_paise, house)"
    " SELECT %s, x.* FROM json_to_recordset(%s::json)"
    " AS x (order_id uuid, user_id uuid, account_id text, instrument text, side text, order_type text, product text,"
    " validity text, quantity bigint, price_paise bigint, trigger_price_paise bigint, cap_price_paise bigint,"
    " house boolean) ON CONFLICT DO NOTHING"
)
_ORDERED = "ORDER BY house, quantity DESC, arrival, order_id"
_GROUPS: LiteralString = (
    "SELECT instrument, side, product, order_type, validity, price_paise, trigger_price_paise,"  # noqa: S608 - our words
    f" string_agg(uuid_send(order_id), '' {_ORDERED}), string_agg(uuid_send(user_id), '' {_ORDERED}),"
    f" string_agg(int8send(quantity), '' {_ORDERED}), string_agg(int8send(arrival), '' {_ORDERED}),"
    f" string_agg(int8send(coalesce(cap_price_paise, 0)), '' {_ORDERED}),"
    f" string_agg(boolsend(house), '' {_ORDERED})"
    " FROM demands WHERE batch_id = %s AND NOT ended"
    " GROUP BY instrument, side, product, order_type, validity, price_paise, trigger_price_paise"
)
"""A window's orders as columns, in canonical order, without a row of Python for each."""


class WindowQueries(Statements):
    """See `trade_executor.store.Windows`."""

    def open_batch(self, account_id: str, make: Callable[[], Batch]) -> Batch:
        while True:
            row = self.find(_BATCH + " WHERE account_id = %s AND state = 'OPEN' FOR UPDATE", [account_id])
            if row is not None:
                return batch_of(row)
            self.add_batch(make())

    def add_batch(self, batch: Batch) -> None:
        self.run(
            "INSERT INTO batches (id, account_id, state, opened_at, user_orders, reason, closed_at, finished_at,"
            " broker_orders, saved_paise) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [
                batch.id,
                batch.account_id,
                batch.state,
                batch.opened_at,
                batch.user_orders,
                batch.reason,
                batch.closed_at,
                batch.finished_at,
                batch.broker_orders,
                batch.saved_paise,
            ],
        )

    def list_batches(self, account_id: str, state: BatchState) -> list[Batch]:
        if state is BatchState.OPEN:
            rows = self.all(_BATCH + " WHERE account_id = %s AND state = 'OPEN'", [account_id])
        elif state is BatchState.CLOSED:
            rows = self.all(_BATCH + " WHERE account_id = %s AND state = 'CLOSED' ORDER BY id", [account_id])
        else:
            rows = self.all(_BATCH + " WHERE account_id = %s AND state = %s ORDER BY id", [account_id, state])
        return [batch_of(row) for row in rows]

    def get_batch(self, batch_id: UUID) -> Batch:
        return batch_of(self.get(_BATCH + " WHERE id = %s", [batch_id]))

    def close_batch(self, batch_id: UUID, reason: str, at: datetime) -> bool:
        closed = self.count(
            "UPDATE batches SET state = 'CLOSED', reason = %s, closed_at = %s WHERE id = %s AND state = 'OPEN'",
            [reason, at, batch_id],
        )
        return closed > 0

    def save_batch(self, batch: Batch) -> None:
        self.run(
            "UPDATE batches SET state = %s, user_orders = %s, finished_at = %s, broker_orders = %s, saved_paise = %s"
            " WHERE id = %s AND state <> 'OPEN'",
            [batch.state, batch.user_orders, batch.finished_at, batch.broker_orders, batch.saved_paise, batch.id],
        )

    def count_orders(self, batch_id: UUID, change: int) -> None:
        self.run("UPDATE batches SET user_orders = user_orders + %s WHERE id = %s", [change, batch_id])

    def add_demands(self, batch_id: UUID, orders: Sequence[OrderAccepted]) -> list[UUID]:
        # one JSON parameter: PostgreSQL takes it apart faster than thirteen arrays are put together here
        arriving = orjson.dumps([order.__dict__ for order in orders]).decode()
        added = self.count(_ADD_DEMANDS, [batch_id, arriving])
        ids = list(dict.fromkeys(order.order_id for order in orders))
        if added == len(ids):
            return ids
        rows = self.all("SELECT order_id FROM demands WHERE order_id = ANY(%s) AND batch_id = %s", [ids, batch_id])
        mine = {row[0] for row in rows}
        return [order_id for order_id in ids if order_id in mine]

    def list_groups(self, batch_id: UUID) -> list[Group]:
        return [_group(row) for row in self.all_binary(_GROUPS, [batch_id])]

    def end_demands(self, order_ids: Sequence[UUID]) -> None:
        self.run("UPDATE demands SET ended = true WHERE order_id = ANY(%s)", [list(order_ids)])

    def request_cancels(self, order_ids: Sequence[UUID]) -> None:
        self.run(
            "INSERT INTO cancel_requests (order_id) SELECT DISTINCT unnest(%s::uuid[]) ON CONFLICT DO NOTHING",
            [list(order_ids)],
        )

    def list_cancel_requests(self, account_id: str) -> list[CancelRequest]:
        rows = self.all(
            f"SELECT {_DEMAND}, b.state FROM cancel_requests c JOIN demands d USING (order_id)"  # noqa: S608 - our words
            " JOIN batches b ON b.id = d.batch_id WHERE NOT c.handled AND d.account_id = %s ORDER BY c.order_id",
            [account_id],
        )
        return [CancelRequest(Demand._make(row[:-1]), BatchState(row[-1])) for row in rows]

    def handled_cancels(self, order_ids: Sequence[UUID]) -> None:
        if order_ids:
            self.run("UPDATE cancel_requests SET handled = true WHERE order_id = ANY(%s)", [list(order_ids)])


def _group(row: tuple[Any, ...]) -> Group:
    order_ids, user_ids, wanted, arrivals, caps, house = row[7:]
    statement = Statement(
        Ids(bytes(order_ids)),
        Ids(bytes(user_ids)),
        _numbers(wanted),
        _numbers(arrivals),
        _numbers(caps),
        np.frombuffer(house, dtype=np.bool_).copy(),
        None,
    )
    return BlockKey(*row[:7]), statement


def _numbers(sent: bytes) -> npt.NDArray[np.int64]:
    return np.frombuffer(sent, dtype=">i8").astype(np.int64)


def batch_of(row: tuple[Any, ...]) -> Batch:
    """A row of ``batches`` in the order of the dataclass."""
    identity, account_id, state, *rest = row
    return Batch(identity, account_id, BatchState(state), *rest)
