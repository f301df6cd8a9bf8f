"""From a host's name to addresses we may connect to."""

import socket

from notification_service.domain.endpoints import Endpoint, RefusedEndpoint, check_address


class Unresolved(RefusedEndpoint):
    """The name has no address now; it may have one later."""


def resolve(endpoint: Endpoint, allow_loopback: bool) -> list[str]:
    """Every address of the host; `RefusedEndpoint` when a single one is not to be reached.

    The connection goes to an address from this list, never to the name again, so that a name that resolves otherwise a
    moment later changes nothing.
    """
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unresolved("the host's name does not resolve") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        check_address(address, allow_loopback=allow_loopback)
    return addresses
