"""Whose request it is by address: the peer's, or what a trusted proxy says in ``X-Forwarded-For``."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_IPV6_CUSTOMER_BITS = 64
_MAX_REMEMBERED = 10_000


class ClientAddresses:
    """Reads the right-most address that no trusted proxy owns; a client cannot put itself further right."""

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        self._trusted: Sequence[IPv4Network | IPv6Network] = [ip_network(text) for text in trusted_proxies]
        self._is_trusted: dict[str, bool] = {}

    def of(self, peer: str, forwarded_for: Iterable[bytes]) -> str:
        """The client's address as text. ``forwarded_for``: every X-Forwarded-For value, in order."""
        if not self._trusted or not self._trusts(peer):
            return peer
        hops = [hop.strip() for value in forwarded_for for hop in value.decode("latin-1").split(",")]
        client = peer
        for hop in reversed(hops):
            if _find_address(hop) is None:
                return client
            client = hop
            if not self._trusts(hop):
                return client
        return client

    @property
    def any_trusted(self) -> bool:
        """Whether X-Forwarded-For is ever looked at."""
        return bool(self._trusted)

    def _trusts(self, text: str) -> bool:
        known = self._is_trusted.get(text)
        if known is None:
            address = _find_address(text)
            known = address is not None and any(address in network for network in self._trusted)
            if len(self._is_trusted) >= _MAX_REMEMBERED:
                self._is_trusted.clear()
            self._is_trusted[text] = known
        return known


def rate_key(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 an IPv6 customer gets whole."""
    if ":" not in address:
        return address
    found = _find_address(address)
    if not isinstance(found, IPv6Address):
        return address
    return str(IPv6Network((found, _IPV6_CUSTOMER_BITS), strict=False))


def _find_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
