"""What happens in the demo, act by act: orders, faults, fills, cancels, sells. Only HTTP, only public routes."""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from saras.client import Answer, Api, Sandbox
from saras.demo.flow import Crowd, Quote, Wish
from saras.demo.market import paise
from saras.demo.people import People, Person
from saras.errors import CommandFailed

ENDED = frozenset({"FILLED", "CANCELLED", "REJECTED", "EXPIRED"})
DEPOSIT = "2000000.00"
SETTLE_S = 120.0
POLL_S = 0.2
MANY = 1000
"""More broker orders than any window of the demo has."""


@dataclass
class Window:
    """One window of the demo and the batch it became."""

    name: str
    batch_id: str
    orders: dict[str, int] = field(default_factory=dict)


@dataclass
class Story:
    """Everything the acts share, and what they leave for the report and the proof."""

    admin: Api
    sandbox: Sandbox
    people: People
    quotes: list[Quote]
    crowd: Crowd
    say: Callable[[str], None]
    windows: list[Window] = field(default_factory=list)
    refused: int = 0

    def fund(self) -> None:
        """Every user pays in."""
        self.people.each(lambda api, person: api.post("/funds/deposit", {"amount": DEPOSIT}, key=f"in-{person.number}"))

    def play(self, orders: int) -> None:
        """The four windows; about ``orders`` orders in all."""
        self._morning(orders * 40 // 100)
        self._limits(orders * 35 // 100)
        self._sells(orders * 15 // 100)
        self._closing(orders - orders * 90 // 100)

    def _morning(self, count: int) -> None:
        """MARKET buys; the first six blocks fill in part. Two of these are cancelled by all, two by half, two go on."""
        self.sandbox.fault("place_order", "partial:0.6", count=6)
        window = self._window("market buys", self.crowd.market_buys(count), batched=True)
        self._wait_sent(window)
        partial = self._working_blocks(window)
        mine = self._open_orders(window)
        doomed = [order for order in mine if order["instrument"] in partial[:2]]
        doomed += [order for order in mine if order["instrument"] in partial[2:4]][::2]
        self._cancel(window, doomed)
        cancelled = {order["id"] for order in doomed}
        self._wait(lambda: not cancelled & {o["id"] for o in self._open_orders(window)}, "the cancels")
        self._touch(partial)
        self._end(window)

    def _limits(self, count: int) -> None:
        """LIMIT and IOC buys; IOC blocks stay partly filled; one broker order is placed but its answer never comes."""
        self.sandbox.fault("place_order", "partial:0.4", count=MANY)
        self.sandbox.fault("place_order", "timeout_after_accept", count=1, after=6)
        window = self._window("limit and IOC buys", self.crowd.mixed_buys(count, self._thin()))
        self._wait_sent(window)
        self._touch([quote.instrument for quote in self.quotes])
        self._wait(lambda: self._only_far_limits(window), "the fills")
        self._cancel(window, self._open_orders(window))
        self._end(window)

    def _sells(self, count: int) -> None:
        """Sells of what they hold; the broker rejects one block in its book."""
        self.sandbox.clear_faults()
        self.sandbox.fault("place_order", "reject", count=1, after=2)
        self._end(self._window("market sells", self.crowd.sells(count, self.holdings())))

    def _closing(self, count: int) -> None:
        """IOC buys, again partly filled, so that credits of the second window count; and sells in the same window."""
        self.sandbox.fault("place_order", "partial:0.5", count=MANY)
        wishes = self.crowd.ioc_buys(count // 2, self._thin()) + self.crowd.sells(count - count // 2, self.holdings())
        window = self._window("IOC buys and sells", wishes)
        self._wait_sent(window)
        self._touch([quote.instrument for quote in self.quotes])
        self._end(window)
        self.sandbox.clear_faults()

    def _thin(self) -> list[str]:
        return [quote.instrument for quote in self.quotes[:5]]

    def holdings(self) -> dict[int, dict[str, int]]:
        """Delivery shares of every user that may be sold, by instrument."""

        def held(api: Api, _person: Person) -> dict[str, int]:
            return {item["instrument"]: item["quantity"] for item in items(api.get("/holdings"))}

        return dict(enumerate(self.people.each(held)))

    def _window(self, name: str, wishes: Sequence[Wish], *, batched: bool = False) -> Window:
        answers = self._place_batched(wishes) if batched else self._place_singly(wishes)
        window = Window(name, "")
        for number, order in answers:
            if "id" in order:
                window.orders[order["id"]] = number
            else:
                self.refused += 1
        self._wait(lambda: self._execution()["window"]["orders"] >= len(window.orders), "the orders to be queued")
        batch = self.admin.post("/admin/execution/run")
        if batch["batch_id"] is None:
            raise CommandFailed(f"the window of {name} was empty")
        window.batch_id = batch["batch_id"]
        self.windows.append(window)
        self.say(f"{name}: {len(window.orders)} orders, batch {window.batch_id}")
        return window

    def _place_singly(self, wishes: Sequence[Wish]) -> list[tuple[int, dict[str, Any]]]:
        def place(wish: Wish, number: int) -> Callable[[Api, Person], Answer]:
            path = "/buy" if wish.side == "BUY" else "/sell"
            key = f"w{len(self.windows)}-{number}"
            return lambda api, _person: patient(lambda: api.call("POST", path, wish.body(), key=key))

        answers = self.people.all([(wish.user, place(wish, number)) for number, wish in enumerate(wishes)])
        return [(wish.user, accepted(answer)) for wish, answer in zip(wishes, answers, strict=True)]

    def _place_batched(self, wishes: Sequence[Wish]) -> list[tuple[int, dict[str, Any]]]:
        by_user = itertools.groupby(sorted(wishes, key=lambda wish: wish.user), key=lambda wish: wish.user)

        def place(orders: list[Wish]) -> Callable[[Api, Person], Any]:
            body = {"orders": [{**wish.body(), "side": wish.side} for wish in orders], "atomic": False}
            key = f"w{len(self.windows)}-batch"
            return lambda api, _person: api.post("/orders/batch", body, key=key)

        acts = [(user, place(list(orders))) for user, orders in by_user]
        answers = self.people.all(acts)
        return [(user, order) for (user, _), answer in zip(acts, answers, strict=True) for order in answer["items"]]

    def _cancel(self, window: Window, orders: Iterable[Mapping[str, Any]]) -> None:
        def cancel(order_id: str) -> Callable[[Api, Person], Any]:
            return lambda api, _person: patient(lambda: api.call("DELETE", f"/orders/{order_id}"))

        self.people.all([(window.orders[order["id"]], cancel(order["id"])) for order in orders])

    def _touch(self, instruments: Sequence[str]) -> None:
        """Let the market trade again at the last price: what a partial fault held back fills now."""
        prices = {quote.instrument: quote.last_paise for quote in self.quotes}
        self.sandbox.prices({name: f"{prices[name] / 100:.2f}" for name in instruments})

    def _end(self, window: Window) -> None:
        self._wait(lambda: self._batch(window)["status"] == "DONE", f"the end of {window.name}")
        self._wait(lambda: not self._open_orders(window), f"the book to show the end of {window.name}")

    def _wait_sent(self, window: Window) -> None:
        """Until it was planned, nothing is left to send and nothing sent is in doubt."""
        planned = {"WORKING", "DONE"}
        self._wait(
            lambda: self._batch(window)["status"] in planned and not self._execution()["intents"],
            "the broker orders to be placed, lost answers included",
        )

    def _execution(self) -> Any:
        return self.admin.get("/admin/execution")

    def _batch(self, window: Window) -> Any:
        return self.admin.get(f"/admin/batches/{window.batch_id}")

    def orders_of(self, window: Window) -> list[dict[str, Any]]:
        """The window's orders as their users see them."""
        since = set(window.orders)
        users = sorted(set(window.orders.values()))
        found = self.people.each(
            lambda api, _person: list(api.pages("/orders")), [self.people.people[n] for n in users]
        )
        return [order for orders in found for order in orders if order["id"] in since]

    def _open_orders(self, window: Window) -> list[dict[str, Any]]:
        return [order for order in self.orders_of(window) if order["status"] not in ENDED]

    def _only_far_limits(self, window: Window) -> bool:
        near = {quote.instrument: quote.last_paise for quote in self.quotes}
        return all(
            order["order_type"] == "LIMIT" and paise(order["price"]) < near[order["instrument"]]
            for order in self._open_orders(window)
        )

    def _working_blocks(self, window: Window) -> list[str]:
        blocks = self._batch(window)["blocks"]
        return sorted({b["instrument"] for b in blocks if b["filled_quantity"] < b["quantity"]})

    def _wait(self, is_done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + SETTLE_S
        while not is_done():
            if time.monotonic() > deadline:
                raise CommandFailed(f"waited {SETTLE_S:.0f} s for {what}, in vain")
            time.sleep(POLL_S)


def patient(ask: Callable[[], Answer]) -> Answer:
    """The answer, after waiting as long as 429 and 503 ask for."""
    for _ in range(20):
        answer = ask()
        if answer.status not in {429, 503}:
            return answer
        time.sleep(min(float(answer.headers.get("retry-after", "1")), 2.0))
    return answer


def accepted(answer: Answer) -> dict[str, Any]:
    """The order, or the problem when it was refused for a reason the caller can mend (422)."""
    if not answer.ok and answer.status != 422:  # noqa: PLR2004 - HTTP
        raise CommandFailed(f"an order was answered {answer.describe()}")
    body: dict[str, Any] = answer.body
    return body if answer.ok else {"code": answer.code}


def items(body: Any) -> list[dict[str, Any]]:
    """The items of a list, paged or plain."""
    found: list[dict[str, Any]] = body["items"] if isinstance(body, dict) else body
    return found
