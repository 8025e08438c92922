"""Names to addresses, and which addresses a URL from a user may lead to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from freehold.transport.errors import ConnectError, ForbiddenAddressError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# What `is_global` of the standard library leaves open, or answers differently from one Python release to the next.
_REFUSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network (RFC 791)
        "10.0.0.0/8",  # private (RFC 1918)
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598); Alibaba's metadata service lives here
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local (RFC 3927); most clouds' metadata services live here
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments (RFC 6890); Oracle's metadata service lives here
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relay anycast, withdrawn (RFC 7526)
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast included
        "168.63.129.16/32",  # Azure's platform services, reachable from every virtual machine there
        "2001::/23",  # protocol assignments, Teredo included
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 leads to IPv4 addresses
        "3fff::/20",  # documentation (RFC 9637)
    )
)
# All that is assigned as global unicast. Outside are loopback, every form that holds an IPv4 address, NAT64, local,
# link-local and multicast addresses.
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")


def is_public(address: IpAddress) -> bool:
    """Whether an address is reachable by everybody on the Internet, so that fetching from it gives nothing away."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.scope_id is not None or address not in _GLOBAL_IPV6:
            return False
    return address.is_global and not any(
        address in network for network in _REFUSED if network.version == address.version
    )


async def resolve(host: str, port: int) -> tuple[str, ...]:
    """The addresses of a host, in the order to try them: as the system sorts them, families in turn.

    Raises:
        ConnectError: the name is unknown.
    """
    if parse_address(host) is not None:
        return (host,)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ConnectError(
            f"the name {host} is not known to the resolver; check base_url and the name service",
            phase="connect",
            host=f"{host}:{port}",
        ) from None
    first_family = found[0][0] if found else socket.AF_INET
    first = [str(entry[4][0]) for entry in found if entry[0] == first_family]
    second = [str(entry[4][0]) for entry in found if entry[0] != first_family]
    turns = [address for pair in zip(first, second, strict=False) for address in pair]
    shorter = min(len(first), len(second))
    return tuple(dict.fromkeys(turns + first[shorter:] + second[shorter:]))


def check_public(host: str, addresses: tuple[str, ...]) -> None:
    """Refuse a host, named by a user, that leads anywhere but to public addresses; connect to these, resolve no more.

    Raises:
        ForbiddenAddressError: any of its addresses is not public. One is enough: a name that leads to both is a trap.
    """
    for text in addresses:
        address = parse_address(text)
        if address is None or not is_public(address):
            raise ForbiddenAddressError(
                f"{host} leads to an address that is private or reserved; only public addresses are fetched", host=host
            )


def parse_address(text: str) -> IpAddress | None:
    """An IP address in its standard form; None for names and for short forms such as `127.1`."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
