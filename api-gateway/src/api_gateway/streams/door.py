"""Who may open a WebSocket. The checks are those of a request through the gateway, in the same order.

A token comes in the ``Authorization`` header, as ``Sec-WebSocket-Protocol: bearer, <token>`` from pages that cannot
set one, or in the first message; never in the address, which is logged along the way.
"""

from collections.abc import Mapping, Sequence

from api_gateway.addresses import ClientAddresses, rate_key
from api_gateway.heads import Head
from api_gateway.rates import Limiter, Rate, retry_after_s
from api_gateway.routes import check_query
from api_gateway.sessions import Caller, Sessions
from api_gateway.upstreams import Scope
from saras_common.clock import Clock
from saras_common.errors import TooManyRequests, Unauthenticated

PROTOCOL = "bearer"
"""The subprotocol spoken when a token was offered beside it."""


class WebSocketDoor:
    """Checks a handshake, and tokens that come later."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        limiter: Limiter,
        rates: Mapping[str, Rate],
        addresses: ClientAddresses,
        clock: Clock,
        header_count: int,
    ) -> None:
        self._sessions = sessions
        self._limiter = limiter
        self._rates = rates
        self._addresses = addresses
        self._clock = clock
        self._header_count = header_count

    def client(self, scope: Scope) -> str:
        """The address it comes from."""
        peer = str(scope["client"][0]) if scope.get("client") else "unknown"
        return self._addresses.of(peer, Head(scope["headers"]).all(b"x-forwarded-for"))

    async def look(self, scope: Scope, client: str) -> Caller | None:
        """Whom the handshake speaks for; ``None`` when it brings no token and the first message must."""
        head = Head(scope["headers"])
        head.check(self._header_count)
        check_query(scope["query_string"])
        self._count("address", rate_key(client))
        offered: Sequence[str] = scope["subprotocols"]
        if head.find(b"authorization") is not None:
            return await self.admit(head.bearer())
        if PROTOCOL in offered:
            return await self.admit(_token_beside(offered))
        return None

    async def admit(self, token: str | None) -> Caller:
        """Whom ``token`` speaks for, within the user's rate."""
        caller = await self._sessions.admit(token)
        self.count(caller)
        return caller

    def count(self, caller: Caller) -> None:
        """One more call of this user; `TooManyRequests` past its rate."""
        self._count("user", caller.user)

    def _count(self, rate: str, key: str) -> None:
        wait_s = self._limiter.hit(self._rates[rate], key, self._clock.now().timestamp())
        if wait_s:
            raise TooManyRequests(retry_after_s=retry_after_s(wait_s))


def _token_beside(offered: Sequence[str]) -> str:
    """The token in ``bearer, <token>``; two readers must not find two."""
    if len(offered) != len((PROTOCOL, "token")) or offered[0] != PROTOCOL:
        raise Unauthenticated
    return offered[1]
