"""Live streams: what happens to a user, told to the user's open connections as it happens.

``feed`` asks notification-service for its rows, ``tail`` follows them for this process, once for all connections;
``mailbox`` is one connection's share, ``mailboxes`` all of them by user. ``sse`` and ``websocket`` are the two ways to
a client, ``quotes`` the prices of the second, ``door`` who may come in by it, ``sockets`` its wire. ``service`` puts
them together.
"""

from api_gateway.streams.door import WebSocketDoor
from api_gateway.streams.feed import FEED_SERVICE
from api_gateway.streams.quotes import QUOTES_SERVICE
from api_gateway.streams.service import LEAVE, STREAMS, Streams
from api_gateway.streams.settings import StreamLimits

__all__ = ["FEED_SERVICE", "LEAVE", "QUOTES_SERVICE", "STREAMS", "StreamLimits", "Streams", "WebSocketDoor"]
