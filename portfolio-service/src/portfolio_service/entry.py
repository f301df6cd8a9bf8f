"""Order entry's group commit: requests that come together, or while a transaction runs, share the next one.

Most of what a transaction costs it costs once, so a crowd is gathered for a few milliseconds before its orders are
taken; who comes alone does not wait. Each request gets its own outcome; a database in trouble fails all that shared the
transaction, with nothing done, and they may repeat with their keys.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast
from uuid import UUID

from portfolio_service.domain.requests import EntryRequest, Outcome
from portfolio_service.domain.views import OrderView
from saras_common.errors import Unavailable
from saras_common.metrics import Metrics
from saras_common.tracing import NO_TRACES, Traces

_log = logging.getLogger(__name__)

Place = Callable[[Sequence[EntryRequest]], list[Outcome]]
"""Places the orders of many requests in one transaction; blocks."""

PATIENCE_S = 0.03
"""How long requests wait for a running transaction before a second one starts beside it."""

PAUSE_S = 0.001
"""When nobody came for so long, the crowd has gathered."""

GATHER_S = 0.004
"""How long a group is gathered at most."""

ENOUGH_ORDERS = 500
"""So many share what a transaction costs well enough."""

_GROUP_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class OrderEntry:
    """The queue in front of ``place``. Lives on one event loop."""

    def __init__(
        self,
        place: Place,
        *,
        flushers: int,
        group_orders: int,
        waiting_orders: int,
        metrics: Metrics,
        traces: Traces = NO_TRACES,
    ) -> None:
        self._place = place
        self._traces = traces
        self._flushers = flushers
        self._group_orders = group_orders
        self._waiting_limit = waiting_orders
        self._waiting: deque[tuple[EntryRequest, asyncio.Future[Outcome]]] = deque()
        self._waiting_orders = 0
        self._last_taken_s = 0.0
        self._crowd = 1
        """As many requests are expected together: the largest group lately, forgotten by one a group."""
        self._running: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(flushers, thread_name_prefix="order-entry")
        self._group_size = metrics.histogram(
            "saras_entry_group_orders", "Orders that shared one commit", buckets=_GROUP_BUCKETS
        )

    async def submit(self, request: EntryRequest) -> Outcome:
        """The outcome of ``request``, once it is committed."""
        if self._waiting_orders + len(request.orders) > self._waiting_limit and self._waiting:
            raise Unavailable("Too many orders are waiting", retry_after_s=1)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        self._waiting_orders += len(request.orders)
        if self._wants_flusher():
            self._running.add(asyncio.create_task(self._flush()))
        if not self._traces.on:
            return await future
        started_ns = time.time_ns()
        outcome = await future
        self._trace(request, outcome, started_ns)
        return outcome

    def _trace(self, request: EntryRequest, outcome: Outcome, started_ns: int) -> None:
        """The first span of each order's trace; an answer given again began nothing."""
        if outcome.replayed:
            return
        orders = [UUID(item.id) for item in outcome.items if isinstance(item, OrderView)]
        name = f"POST /{request.orders[0].side.lower()}" if len(request.orders) == 1 else "POST /orders/batch"
        self._traces.begin(name, orders, started_ns, {"request_id": request.request_id or ""})

    def _wants_flusher(self) -> bool:
        """One flusher makes the largest groups; another helps only past one that is stuck or busy with many."""
        if not self._running:
            return True
        waited_s = asyncio.get_running_loop().time() - self._last_taken_s
        return len(self._running) < self._flushers and waited_s > PATIENCE_S

    def close(self) -> None:
        """Wait for the transactions that run."""
        self._pool.shutdown(wait=True)

    async def _flush(self) -> None:
        try:
            await self._flush_all()
        finally:  # at once, not in a callback: who comes in between would wait for a flusher that has ended
            self._running.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _flush_all(self) -> None:
        while self._waiting:
            await self._gather()
            if not self._waiting:
                return  # another flusher took them
            group = self._take()
            try:
                outcomes = await self._in_thread([request for request, _ in group])
            except Unavailable as error:
                for one in group:  # each waiter raises its own: a shared one would pile up their tracebacks
                    _fail(one, Unavailable(error.detail, retry_after_s=error.retry_after_s))
            except Exception:  # noqa: BLE001 - one request's fault must not become its neighbours'
                _log.exception("a group of %d requests failed; trying them one by one", len(group))
                for one in group:
                    await self._alone(*one)
            else:
                for (_, future), outcome in zip(group, outcomes, strict=True):
                    if not future.done():
                        future.set_result(outcome)

    async def _gather(self) -> None:
        """Wait while more come, until as many are here as lately came together. Who comes alone does not wait."""
        loop = asyncio.get_running_loop()
        self._last_taken_s = loop.time()
        seen = 0
        while len(self._waiting) < self._crowd and seen < self._waiting_orders < ENOUGH_ORDERS:
            if loop.time() > self._last_taken_s + GATHER_S:
                return
            seen = self._waiting_orders
            await asyncio.sleep(PAUSE_S)

    async def _alone(self, request: EntryRequest, future: asyncio.Future[Outcome]) -> None:
        """One request in a transaction of its own, so that what is wrong with it harms nobody else."""
        try:
            (outcome,) = await self._in_thread([request])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this request's answer
            _fail((request, future), error)
        else:
            if not future.done():
                future.set_result(outcome)

    def _take(self) -> list[tuple[EntryRequest, asyncio.Future[Outcome]]]:
        group = [self._waiting.popleft()]
        orders = len(group[0][0].orders)
        while self._waiting and orders + len(self._waiting[0][0].orders) <= self._group_orders:
            group.append(self._waiting.popleft())
            orders += len(group[-1][0].orders)
        self._waiting_orders -= orders
        self._crowd = max(len(group), self._crowd - 1)
        self._last_taken_s = asyncio.get_running_loop().time()
        self._group_size.observe(orders)
        return group

    async def _in_thread(self, requests: Sequence[EntryRequest]) -> list[Outcome]:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._place, requests)


def _fail(one: tuple[EntryRequest, asyncio.Future[Outcome]], error: Exception) -> None:
    if not one[1].done():
        one[1].set_exception(error)
