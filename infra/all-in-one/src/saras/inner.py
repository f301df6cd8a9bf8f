"""How a service asks another one in the same process: its application called directly, no socket in between."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from api_gateway.upstreams import MountedUpstream

Ask = Callable[[str, Mapping[str, str]], tuple[int, bytes]]


def asking(app: Any) -> Ask:
    """GET a path of ``app`` from a thread without an event loop: status and body. Its lifespan is somebody else's."""
    upstream = MountedUpstream(app, lifespan=False)

    def ask(path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        answer = asyncio.run(upstream.ask(path, headers))
        return answer.status, answer.body

    return ask
