"""A KiteTicker in a process of its own (its reactor cannot start twice): prints what it hears as JSON lines."""

import json
import sys

from kiteconnect import KiteTicker

root, api_key, access_token, tokens = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])


def say(kind, value):
    sys.stdout.write(json.dumps({kind: value}, default=str) + "\n")
    sys.stdout.flush()


def on_connect(ws, _response):
    ws.subscribe([token for group in tokens.values() for token in group])
    for mode, group in tokens.items():
        ws.set_mode(mode, group)
    say("connected", True)


def on_close(ws, code, reason):
    say("closed", f"{code} {reason}")
    ws.stop()


ticker = KiteTicker(api_key, access_token, root=root, reconnect=False)
ticker.on_connect = on_connect
ticker.on_close = on_close
ticker.on_ticks = lambda _ws, ticks: say("ticks", ticks)
ticker.on_order_update = lambda _ws, data: say("order", data)
ticker.on_message = lambda _ws, payload, is_binary: say("heartbeat", True) if is_binary and len(payload) == 1 else None
ticker.connect()
