"""Which address a request comes from, where proxies stand between."""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from tornado.web import RequestHandler

from tornado_ext.errors import ConfigurationError

Network = IPv4Network | IPv6Network

UNIX_SOCKET = "0.0.0.0"  # noqa: S104  # what Tornado, too, takes for the address of its clients


def networks(argument: str, given: Sequence[str]) -> list[Network]:
    """Return the networks, or raise `ConfigurationError` naming the ``argument``."""
    if isinstance(given, str):
        raise ConfigurationError(f"{argument} must be a list of networks, not {given!r}")
    try:
        return [ip_network(network) for network in given]
    except (ValueError, TypeError) as exc:
        raise ConfigurationError(f"{argument} has no network: {exc}") from exc


def client_address(handler: RequestHandler, proxies: Sequence[Network]) -> str:
    """Return the address of the last hop that is none of ``proxies``; of IPv6, its /64 network.

    A hop is believed what it says in X-Forwarded-For only if it is a proxy of ours. Not
    ``request.remote_ip``: with ``xheaders`` that is what anybody says in X-Real-Ip.
    """
    address = getattr(getattr(handler.request.connection, "context", None), "address", None)
    hop = _parsed(address[0] if isinstance(address, tuple) else UNIX_SOCKET)
    hops = handler.request.headers.get("X-Forwarded-For", "").split(",")
    while hops and any(hop in proxy for proxy in proxies):
        try:
            hop = _parsed(hops.pop().strip())
        except ValueError:
            break
    # Who has one address of IPv6 has all of its /64 (RFC 6177).
    return str(hop) if hop.version == 4 else str(IPv6Network((int(hop) >> 64 << 64, 64)))


def _parsed(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
