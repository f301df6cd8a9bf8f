"""A broker to practise on: a server that speaks Kite Connect v3 over HTTP, WebSocket and postbacks.

Owns one simulated broker: accounts, an order book, positions, holdings, cash and prices, and the journal they are
rebuilt from. Knows nothing of the services that use it; any Kite Connect client may.

    settings        the only reader of the environment
    clock, market_hours, instruments, prices, candles   the world the broker lives in
    engine/         the broker itself: pure, no sockets, no files, time handed in
    journal         the append-only file behind it
    edge/           Kite's routes, the ticker, postbacks, faults and the sandbox's own routes
    app             the only wiring
"""

__version__ = "0.1.0"
