"""New prices, and everything they set off: fills, triggers, good-till-triggered orders."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from kite_sandbox.engine import records as r
from kite_sandbox.engine.broker import Broker
from kite_sandbox.engine.days import advance
from kite_sandbox.engine.gtt_desk import fire_gtts


def move_prices(broker: Broker, prices: Mapping[str, int], now: datetime, *, is_kept: bool) -> None:
    """New last prices (paise by key); every order they reach trades. ``is_kept`` writes them to the journal."""
    advance(broker, now)
    if is_kept:
        broker.emit(r.PricesSet(at=now, prices=dict(prices)))
    else:
        for key, price in prices.items():
            broker.state.market.set_price(key, price, now)
    rematch(broker, prices, now)
    fire_gtts(broker, prices, now)


def rematch(broker: Broker, keys: Iterable[str], now: datetime) -> None:
    """Offer the last price to every resting order of these instruments, oldest first."""
    if not broker.state.hours.is_open(now):
        return
    delay = timedelta(seconds=broker.rules.fill_delay_s)
    for key in keys:
        for order in list(broker.state.resting.get(key, {}).values()):
            if now - order.placed_at >= delay:
                broker.match(order, now)
