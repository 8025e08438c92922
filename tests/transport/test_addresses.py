"""Which addresses a URL from a user may lead to."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.transport import dialing
from freehold.transport.addresses import check_public, is_public, parse_address, resolve
from freehold.transport.client import Client
from freehold.transport.endpoint import Endpoint
from freehold.transport.errors import ConnectError, ForbiddenAddressError
from tests.transport.upstreams import answering, ok, upstream

REFUSED = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",  # noqa: S104 (an address under test)
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
    "fec0::1",
    "ff02::1",
]
ALLOWED = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "168.63.129.17", "2606:4700:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("text", REFUSED)
async def test_addresses_that_are_not_public(text: str) -> None:
    address = parse_address(text)
    assert address is not None
    assert not is_public(address)
    with pytest.raises(ForbiddenAddressError):
        check_public(text, await resolve(text, 443))


@pytest.mark.parametrize("text", ALLOWED)
async def test_addresses_that_are_public(text: str) -> None:
    addresses = await resolve(text, 443)
    check_public(text, addresses)
    assert addresses == (text,)


@given(st.ip_addresses(v=4))
def test_mapping_an_address_into_ipv6_changes_nothing(address: ipaddress.IPv4Address) -> None:
    assert is_public(ipaddress.IPv6Address(f"::ffff:{address}")) == is_public(address)


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1"])
async def test_names_and_short_forms_of_loopback_are_refused(host: str) -> None:
    with pytest.raises((ForbiddenAddressError, ConnectError)):
        check_public(host, await resolve(host, 443))


async def test_resolving_gives_each_address_once() -> None:
    addresses = await resolve("localhost", 80)
    assert "127.0.0.1" in addresses
    assert len(set(addresses)) == len(addresses)


@pytest.mark.parametrize("host", ["", "a" * 300, "a..b", "\u2028"])
async def test_what_is_no_name_is_a_typed_error(host: str) -> None:
    with pytest.raises((ConnectError, ForbiddenAddressError)):
        check_public(host, await resolve(host, 443))


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    async def resolver(host: str, port: int) -> tuple[str, ...]:
        return ("1.1.1.1", "127.0.0.1")

    async with upstream(answering(ok())) as server, Client(resolver=resolver) as client:
        with pytest.raises(ForbiddenAddressError):
            await client.send(server.endpoint(host="trap.example", allow_private=False), "GET", "/", [])
        with pytest.raises(ForbiddenAddressError):
            await client.send(server.endpoint(allow_private=False, addresses=("127.0.0.1",)), "GET", "/", [])
        assert server.connections == 0


async def test_a_name_is_resolved_once_for_check_and_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> tuple[str, ...]:
        asked.append(host)
        return ("1.1.1.1",) if len(asked) == 1 else ("127.0.0.1",)

    dialled: list[object] = []

    async def connect(loop: object, addresses: object, port: int) -> None:
        dialled.append(addresses)
        raise ConnectionRefusedError

    monkeypatch.setattr(dialing, "_connect", connect)
    async with Client(resolver=rebinding) as client:
        with pytest.raises(ConnectError):
            await client.send(Endpoint(host="rebind.example", port=443, allow_private=False), "GET", "/", [])
    assert (asked, dialled) == (["rebind.example"], [("1.1.1.1",)])
