"""Wrong turns between the plan and the broker: at most once, the lease, the halt, the limits."""

from dataclasses import replace
from typing import Any

from prove.bugs.catalogue import Shelf, Swap

from trade_executor.broker import Answer, Because, Outcome
from trade_executor.core.intents import Finding, count_clean_read, tag_of
from trade_executor.core.limiter import Limiter
from trade_executor.domain import Account, BlockKey, Demand, Intent, IntentState
from trade_executor.engine.leadership import Leadership
from trade_executor.store.memory.accounts import AccountTables
from trade_executor.store.memory.orders import OrderTables
from trade_executor.usecases import cancelling, control, following, planning, sending

bug = Shelf("sending")


def _answered(instead: Answer) -> list[Swap]:
    """``instead`` is recorded where the answer was unknown."""
    record = sending.record_answer

    def wrong(store: Any, intent_id: Any, answer: Answer, **more: Any) -> IntentState:
        return record(store, intent_id, instead if answer.outcome is Outcome.UNKNOWN else answer, **more)

    return [(sending, "record_answer", wrong)]


@bug("sent again after a timeout")
def _retry() -> list[Swap]:
    return _answered(Answer(Outcome.NOT_SENT))


@bug("a timeout means rejected")
def _rejected() -> list[Swap]:
    return _answered(Answer(Outcome.NO, because=Because.REFUSED, message="timeout"))


@bug("no lookup by tag")
def _no_tag() -> list[Swap]:
    return [(following, "find", lambda *_: (Finding.NOT_YET, None))]


@bug("every attempt has the same tag")
def _same_tag() -> list[Swap]:
    return [(module, "tag_of", lambda block_id, _attempt: tag_of(block_id, 1)) for module in (control, planning)]


@bug("what was being sent at a crash is planned again")
def _no_doubt() -> list[Swap]:
    def wrong(store: Any, account_id: str, *, now: Any) -> list[Intent]:
        for intent in store.list_unresolved(account_id, now):
            if intent.state is IntentState.SENDING:
                store.save_intent(replace(intent, state=IntentState.PLANNED))
        return []

    return [(following, "doubt_everything", wrong)]


@bug("absent after one reading")
def _one_reading() -> list[Swap]:
    return [(following, "count_clean_read", lambda intent, *_: (intent, Finding.ABSENT))]


@bug("absent after three readings, however close")
def _no_waiting() -> list[Swap]:
    count = count_clean_read
    return [(following, "count_clean_read", lambda intent, at, rule: count(intent, at, replace(rule, seconds=0.0)))]


@bug("an order that shows after all is not ours")
def _no_late_adoption() -> list[Swap]:
    def wrong(tables: Any, account_id: str, _since: Any) -> list[Intent]:
        rows = tables._rows("intents").values()  # noqa: SLF001 - stands where the method stands
        return [intent for intent in rows if intent.account_id == account_id and intent.state.is_in_doubt]

    return [(OrderTables, "list_unresolved", wrong)]


@bug("no epoch check")
def _no_epoch() -> list[Swap]:
    return [(AccountTables, "fence", lambda *_: None), (Leadership, "guard", lambda _: None)]


@bug("no look at the lease right before the send")
def _no_guard() -> list[Swap]:
    return [(Leadership, "guard", lambda _: None)]


@bug("the halt is not looked at")
def _no_halt() -> list[Swap]:
    return [(Account, "may_send", property(lambda account: account.logged_in))]


@bug("no rate limit")
def _no_limit() -> list[Swap]:
    return [(Limiter, "wait_s", lambda *_args, **_more: 0.0)]


@bug("who cancelled in time is sent all the same")
def _sent_for_nobody() -> list[Swap]:
    return [(sending, "wanted_now", lambda statement, _shares: statement.wanted)]


@bug("nothing is cut at the broker")
def _no_cuts() -> list[Swap]:
    return [(cancelling, "decide_cuts", lambda *_args, **_more: [])]


@bug("orders of different limits share a block")
def _mixed_limits() -> list[Swap]:
    from trade_executor.core import blocks

    key_of = blocks.key_of

    def wrong(demand: Demand) -> BlockKey:
        key = key_of(demand)
        return key if key.price_paise is None else key._replace(price_paise=key.price_paise // 1000 * 1000)

    return [(module, "key_of", wrong) for module in (blocks, cancelling)]


@bug("the hold is not looked at before a buy is sent")
def _no_hold() -> list[Swap]:
    from trade_executor.core import blocks

    def all_good(_key: Any, statement: Any, *_: Any) -> Any:
        return statement.caps_paise < 0

    swaps: list[Swap] = [(module, "beyond_hold", all_good) for module in (blocks, sending)]
    return [*swaps, (sending, "find_protection", lambda *args: args[-1])]
