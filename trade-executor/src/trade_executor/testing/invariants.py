"""What must hold: on every row as it is written, and of everything once a schedule has ended.

Nothing here uses the code it judges: figures are recomputed from the rows and from the paper broker.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

from saras_common.events import OrderAccepted
from trade_executor.core.book import Shares
from trade_executor.core.certificates import GENESIS, verify
from trade_executor.domain import TRANSITIONS, Block, BlockState, BrokerOrder, Intent, IntentState
from trade_executor.store.memory import MemoryDatabase
from trade_executor.store.memory.tables import Change
from trade_executor.testing.world import TERMINAL, World

# --- row by row


def breaks_of(database: MemoryDatabase, changes: Sequence[Change]) -> list[str]:
    """What a transaction wrote that may never be written: states that go back, figures that fall, unfair shares."""
    wrong = [
        f"{change.table}: {what}"
        for change in changes
        if change.before is not None and change.table in _WATCHED
        for what in _WATCHED[change.table](change.before, change.after)
    ]
    for block_id in {change.key for change in changes if change.table == "shares"}:
        wrong += _sharing(database, database.table("blocks")[block_id])
    return wrong


def _intent(before: Intent, after: Intent) -> Iterator[str]:
    if after.state is not before.state and after.state not in TRANSITIONS[before.state]:
        yield f"{before.state} became {after.state}"
    if (before.tag, before.attempt, before.block_id) != (after.tag, after.attempt, after.block_id):
        yield "an intent became another one"
    if after.epoch < before.epoch:
        yield "an epoch fell"


def _broker_order(before: BrokerOrder, after: BrokerOrder) -> Iterator[str]:
    if before.end is not None and after.end is not before.end:
        yield f"an order that had ended {before.end} is {after.end}"
    if after.filled < before.filled or after.traded < before.traded:
        yield f"fills fell from {before.filled} and {before.traded} to {after.filled} and {after.traded}"


def _block(before: Block, after: Block) -> Iterator[str]:
    if after.filled < before.filled:
        yield f"fills fell from {before.filled} to {after.filled}"
    if after.quantity != before.quantity or after.statement_hash != before.statement_hash:
        yield "a statement was changed"


def _shares(before: Shares, after: Shares) -> Iterator[str]:
    if (after.allocated < before.allocated).any():
        yield "a lot that was posted is taken back"
    if (before.flags & ~after.flags).any():
        yield "an order that was told its end stands again"


def _fixed(before: object, after: object) -> Iterator[str]:
    if before != after:
        yield "a fact was written again"


def _lease(before: tuple[UUID, int, float], after: tuple[UUID, int, float]) -> Iterator[str]:
    if after[1] < before[1]:
        yield "an epoch fell"


_WATCHED: dict[str, Callable[[Any, Any], Iterator[str]]] = {
    "intents": _intent,
    "broker_orders": _broker_order,
    "blocks": _block,
    "shares": _shares,
    "fills": _fixed,
    "demands": _fixed,
    "certificates": _fixed,
    "leases": _lease,
}


# --- at the end


def check_end(
    world: World,
    database: MemoryDatabase,
    orders: Sequence[OrderAccepted],
    instruments: Sequence[str],
    *,
    sent_at: Sequence[float],
    late: bool,
) -> list[str]:
    """What does not hold after the schedule has calmed down. ``late``: orders may have shown after their absence."""
    wrong = [*_unfinished(world), *_money(world, instruments), *_calls(world, sent_at), *_prices(world, orders)]
    wrong += world.book.check_end()
    previous = GENESIS
    for document in database.table("certificates").values():
        wrong += [f"certificate: {what}" for what in verify({**document, "batch_id": str(document["batch_id"])})]
        if document["previous_hash"] != previous:
            wrong.append("certificate: the chain is broken")
        previous = document["hash"]
    for block in database.table("blocks").values():
        wrong += _one_price(database, block)
    if not late:
        wrong += _nothing_extra(world, database)
    return wrong


def _unfinished(world: World) -> Iterator[str]:
    for order_id, line in world.book.lines.items():
        if line.status not in TERMINAL:
            yield f"order {order_id} is still {line.status}"
    for paper in world.broker.book.values():
        if paper.status == "OPEN":
            yield f"broker order {paper.order_id} is still open"


def _money(world: World, instruments: Sequence[str]) -> Iterator[str]:
    for name in instruments:
        users = world.book.users(name, world.instrument_of)
        total = users + world.book.suspense_shares[name] + world.book.found[name]
        if total != world.broker.shares.get(name, 0):
            yield f"{name}: book {total}, broker {world.broker.shares.get(name, 0)}"
    cash = world.book.users_cash() + world.book.suspense_cash
    if cash != world.broker.cash_paise:
        yield f"cash: book {cash}, broker {world.broker.cash_paise}"


def _calls(world: World, sent_at: Sequence[float]) -> Iterator[str]:
    tags = Counter(tag for event, _, tag, _ in world.broker.journal if event == "placed")
    for tag, count in tags.items():
        if count > 1:
            yield f"tag {tag} was placed {count} times"
    for calls, seconds in ((10, 1.0), (400, 60.0)):
        if any(last - first < seconds - 1e-9 for first, last in zip(sent_at, sent_at[calls:], strict=False)):
            yield f"more than {calls} calls in {seconds:.0f} s"


def _prices(world: World, orders: Sequence[OrderAccepted]) -> Iterator[str]:
    """Nobody pays more than the order's limit or hold, or gets less than its limit; a paisa an order is rounding."""
    for order in orders:
        line = world.book.lines.get(order.order_id)
        if line is None or not line.filled:
            continue
        most = order.price_paise or order.cap_price_paise
        if order.side == "BUY" and most is not None and line.value > most * line.filled + 1:
            yield f"order {order.order_id} paid {line.value} for {line.filled} at no more than {most}"
        if order.side == "SELL" and order.price_paise and line.value < order.price_paise * line.filled - 1:
            yield f"order {order.order_id} got {line.value} for {line.filled} at no less than {order.price_paise}"


def _sharing(database: MemoryDatabase, block: Block) -> Iterator[str]:
    """Every lot is somebody's; nobody is beyond the demand or a lot from the exact share; clients before the house."""
    shares, statement = database.table("shares")[block.id], database.table("statements")[block.id]
    lots, wanted, house = shares.allocated.tolist(), statement.wanted.tolist(), statement.house.tolist()
    if sum(lots) + block.suspense_quantity != block.filled:
        yield f"{sum(lots)} lots and {block.suspense_quantity} in suspense of {block.filled} filled"
    if any(got > want for got, want in zip(lots, wanted, strict=True)):
        yield "somebody got more than was asked"
    if shares.flags.any():
        return
    clients = [pair for pair, mine in zip(zip(lots, wanted, strict=True), house, strict=True) if not mine]
    whole, filled = sum(want for _, want in clients), sum(got for got, _ in clients)
    if any(abs(got * whole - filled * want) >= whole for got, want in clients):
        yield f"shares {lots} of {wanted} are a lot from exact"
    if filled < min(whole, sum(lots)):
        yield "the house got lots before its clients were whole"


def _one_price(database: MemoryDatabase, block: Block) -> Iterator[str]:
    """Everybody in a block that has ended paid its average, to the paisa."""
    shares = database.table("shares")[block.id]
    if block.state is not BlockState.DONE or not block.filled:
        return
    for got, value in zip(shares.allocated.tolist(), shares.value_paise.tolist(), strict=True):
        if abs(value * block.filled - block.value_paise * got) >= block.filled:
            yield f"{value} for {got} lots of {block.value_paise} for {block.filled}"


def _nothing_extra(world: World, database: MemoryDatabase) -> Iterator[str]:
    """Nothing stays in suspense, and no block was sent for more than its users wanted."""
    for name, quantity in (world.book.suspense_shares | world.book.found).items():
        if quantity:
            yield f"{quantity} of {name} in suspense"
    if world.book.suspense_cash:
        yield f"{world.book.suspense_cash} paise in suspense"
    filled: dict[UUID, int] = defaultdict(int)
    for intent in database.table("intents").values():
        if intent.broker_order_id is not None:
            filled[intent.block_id] += world.broker.book[intent.broker_order_id].filled
        if intent.state in {IntentState.UNKNOWN, IntentState.SENDING}:
            yield f"intent {intent.tag} is still {intent.state}"
    for block_id, lots in filled.items():
        if lots > database.table("blocks")[block_id].quantity:
            yield f"block {block_id} filled {lots}"
