"""Where a webhook may go: an address of the open internet over https, judged by what the name resolves to."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

MAX_URL_CHARS = 2000
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))


class RefusedEndpoint(ValueError):
    """We do not send there; the text says why and repeats nothing of the address."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL taken apart. ``target`` is path and query as they go on the wire."""

    is_https: bool
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_https else 80) else f"{host}:{self.port}"


def parse_endpoint(url: str, *, allow_loopback: bool) -> Endpoint:
    """``url`` taken apart; `RefusedEndpoint` unless it is plain https to a host. Nothing is resolved here.

    ``allow_loopback`` is the test switch: http is then possible too.
    """
    if len(url) > MAX_URL_CHARS or not url.isascii() or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):  # noqa: PLR2004 - space and DEL
        raise RefusedEndpoint("a webhook's URL is at most 2,000 printable ASCII characters")
    if "\\" in url:
        raise RefusedEndpoint("a webhook's URL has no backslash")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RefusedEndpoint("not a URL") from error
    if parts.scheme != "https" and not (allow_loopback and parts.scheme == "http"):
        raise RefusedEndpoint("a webhook's URL begins with https://")
    if "@" in parts.netloc or "%" in parts.netloc or parts.fragment:
        raise RefusedEndpoint("a webhook's URL has no user, escapes in its host, or fragment")
    if not parts.hostname or port == 0:
        raise RefusedEndpoint("a webhook's URL names a host")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    is_https = parts.scheme == "https"
    return Endpoint(is_https, parts.hostname, port or (443 if is_https else 80), target)


def check_address(text: str, *, allow_loopback: bool) -> None:
    """`RefusedEndpoint` unless ``text``, an IP address a host resolved to, is on the open internet."""
    address = ip_address(text.partition("%")[0])
    if allow_loopback and address.is_loopback:
        return
    for seen in (address, *_inside(address)):
        if not seen.is_global or seen.is_multicast or seen.is_reserved:
            raise RefusedEndpoint("the host resolves to an address that is not on the open internet")


def _inside(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """IPv4 addresses an IPv6 one leads to."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _NAT64) or address.packed[:12] == bytes(12):
        found.append(IPv4Address(address.packed[12:]))
    return [inner for inner in found if inner is not None]
