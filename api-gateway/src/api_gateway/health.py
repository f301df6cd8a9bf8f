"""Whether the platform behind the door is ready, by name.

Anybody may ask, so the question is put on at most once a second.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from api_gateway.exchange import Exchange
from api_gateway.sessions import Revocations
from api_gateway.upstreams import Upstream
from saras_common import jsonio
from saras_common.clock import Clock
from saras_common.metrics import Metrics

JSON = b"application/json"
_ASK_TIMEOUT_S = 3.0
_KEEP_S = 1.0


class Health:
    """Live, ready and metrics of the gateway."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        revocations: Revocations,
        metrics: Metrics,
        clock: Clock,
        *,
        required: Collection[str],
        revocation_stale_s: float,
    ) -> None:
        self._upstreams = upstreams
        self._revocations = revocations
        self._metrics = metrics
        self._clock = clock
        self._required = frozenset(required) or frozenset(upstreams)
        self._stale_s = revocation_stale_s
        self._age = metrics.gauge("saras_gateway_revocations_age_seconds", "Since the revocation feed last answered")
        self._known: tuple[float, int, bytes] | None = None
        self._asking = asyncio.Lock()

    async def live(self, exchange: Exchange) -> None:
        """This process answers."""
        await exchange.answer(200, JSON, b'{"status":"ok"}')

    async def ready(self, exchange: Exchange) -> None:
        """200 when every required service and the revocation feed are ready, else 503; each named with its state."""
        async with self._asking:
            known = self._known
            if known is None or self._clock.monotonic() - known[0] > _KEEP_S:
                status, document = await self._ask()
                known = self._known = (self._clock.monotonic(), status, jsonio.dumps(document))
        await exchange.answer(known[1], JSON, known[2])

    async def metrics(self, exchange: Exchange) -> None:
        """The Prometheus exposition."""
        age_s = self._revocations.age_s()
        self._age.set(float("inf") if age_s is None else age_s)
        exposition = await asyncio.to_thread(self._metrics.render)  # some gauges ask a database
        await exchange.answer(200, self._metrics.content_type.encode("ascii"), exposition)

    async def _ask(self) -> tuple[int, dict[str, Any]]:
        names = sorted(self._upstreams)
        states = dict(zip(names, await asyncio.gather(*(self._state(name) for name in names)), strict=True))
        age_s = self._revocations.age_s()
        heard = age_s is not None and age_s <= self._stale_s
        good = heard and all(state == "ok" for name, state in states.items() if name in self._required)
        degraded = good and any(state != "ok" for state in states.values())
        document = {
            "status": "degraded" if degraded else "ok" if good else "unavailable",
            "dependencies": {**states, "revocations": "ok" if heard else "stale"},
            "revocations_age_ms": None if age_s is None else int(age_s * 1000),
        }
        return 200 if good else 503, document

    async def _state(self, name: str) -> str:
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                answer = await self._upstreams[name].ask("/health/ready", {})
        except Exception as error:  # noqa: BLE001 - whatever fails, the service is not ready
            return type(error).__name__
        return "ok" if answer.status == 200 else f"http_{answer.status}"  # noqa: PLR2004
