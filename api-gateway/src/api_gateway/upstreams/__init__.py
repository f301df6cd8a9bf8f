"""How to reach a service: mounted in this process, or over HTTP. Both speak ASGI to the gateway."""

from api_gateway.upstreams.http import HttpUpstream
from api_gateway.upstreams.mounted import MountedUpstream
from api_gateway.upstreams.protocol import (
    Answer,
    ClientGone,
    Message,
    Receive,
    Scope,
    Send,
    Upstream,
    whole,
    whole_body,
)

__all__ = [
    "Answer",
    "ClientGone",
    "HttpUpstream",
    "Message",
    "MountedUpstream",
    "Receive",
    "Scope",
    "Send",
    "Upstream",
    "whole",
    "whole_body",
]
