"""Calls that change something at the broker: placing what is planned, cutting what is no longer wanted."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from trade_executor.broker import Answer, Because, Broker, Outcome
from trade_executor.core.cuts import Cut
from trade_executor.domain import Intent
from trade_executor.engine.desk import Desk
from trade_executor.usecases import cancelling, sending

TOO_MANY_PAUSE_S = 1.0
"""How long nothing leaves after the broker said "too many"."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a round of sending came to."""

    placed: int = 0
    doubtful: int = 0
    """Calls that may have placed an order."""
    wait_s: float | None = None
    """Until the limits let the next one leave; ``None`` when nothing waits."""


class Sender:
    """Places and cuts, within the limits, one call at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def send_planned(self, planned: list[Intent]) -> Sent:
        """Send what is planned, as far as the limits allow now and until an answer leaves a doubt."""
        desk = self._desk
        if desk.broker is None:
            return Sent()
        placed = doubtful = 0
        waits: list[float] = []
        for intent in planned:
            if intent.not_before is not None and intent.not_before > desk.now():
                waits.append((intent.not_before - desk.now()).total_seconds())
                continue
            wait_s = desk.limiter.wait_s(desk.clock.monotonic())
            if wait_s is None:
                break
            if wait_s > 0:
                waits.append(wait_s)
                break
            answer = self._send(intent.id, desk.broker)
            if answer is None:
                continue
            placed += answer.outcome is Outcome.REGISTERED
            doubtful += answer.outcome is Outcome.UNKNOWN
            if self._must_stop(answer):
                waits.append(TOO_MANY_PAUSE_S)
                break
            if doubtful:
                waits.append(0.0)  # first look what became of it: the next call may hang as long
                break
        return Sent(placed, doubtful, min(waits) if waits else None)

    def _send(self, intent_id: UUID, broker: Broker) -> Answer | None:
        desk = self._desk
        epoch = desk.leadership.get_lease().epoch
        with desk.transaction() as store:
            order = sending.begin_sending(store, intent_id, epoch=epoch, now=desk.now(), rules=desk.rules.send)
            desk.failpoint("before_sending_committed")
        if order is None:
            return None
        desk.failpoint("after_sending_committed")
        answer = self._timed("place", lambda: broker.place(order, desk.guard))
        desk.failpoint("after_send")
        with desk.transactions() as store:  # a fact, also when the lease is over by now
            sending.record_answer(store, intent_id, answer, epoch=epoch, now=desk.now(), new_id=desk.new_id)
            desk.failpoint("before_answer_committed")
        desk.failpoint("after_answer_committed")
        return answer

    def cut(self, frozen: list[UUID], contested: list[UUID]) -> float | None:
        """Cut orders beyond what is wanted; seconds until asking again makes sense, ``None`` when nothing is frozen."""
        desk = self._desk
        for block_id in frozen:
            with desk.transaction() as store:
                cancelling.withdraw_planned(store, block_id, now=desk.now())
                cancelling.settle_frozen(store, store.get_book(block_id), now=desk.now())
        self._cut_blocks(list(dict.fromkeys(frozen + contested)))
        return desk.rules.quick_poll_s if frozen else None

    def _cut_blocks(self, blocks: list[UUID]) -> None:
        desk = self._desk
        for block_id in blocks:
            if desk.broker is None:
                return
            with desk.transaction() as store:
                wanted = cancelling.decide_cuts(store, block_id, now=desk.now())
            for cut in wanted:
                if desk.limiter.wait_s(desk.clock.monotonic(), reserved=True) != 0:
                    return
                self._cut(cut, desk.broker)

    def _cut(self, cut: Cut, broker: Broker) -> None:
        desk = self._desk
        with desk.transaction() as store:
            cancelling.begin_cut(store, cut, now=desk.now())
        desk.failpoint("after_cut_committed")
        order_id = cut.order.broker_order_id
        if cut.quantity is None:
            answer = self._timed("cancel", lambda: broker.cancel(order_id, desk.guard))
        else:
            quantity = cut.quantity
            answer = self._timed("modify", lambda: broker.modify(order_id, quantity, desk.guard))
        desk.failpoint("after_cut_sent")
        with desk.transaction() as store:
            cancelling.record_cut(store, cut, answer)
        self._must_stop(answer)

    def _must_stop(self, answer: Answer) -> bool:
        """Whether this answer stops the round: too many calls, or no login."""
        desk = self._desk
        if answer.because is Because.TOO_MANY:
            desk.limiter.hold(desk.clock.monotonic(), TOO_MANY_PAUSE_S)
            return True
        if answer.because is Because.LOGIN_NEEDED:
            desk.login_refused()
            return True
        return False

    def _timed(self, name: str, call: Callable[[], Answer]) -> Answer:
        desk = self._desk
        started = desk.clock.monotonic()
        desk.limiter.start()
        try:
            answer = call()
        finally:
            ended = desk.clock.monotonic()
            desk.limiter.end(ended)
        desk.watch.outcome(name, answer.outcome.value, ended - started)
        return answer
