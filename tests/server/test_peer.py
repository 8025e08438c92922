"""Whose address counts behind a proxy."""

from __future__ import annotations

from ipaddress import ip_network
from types import SimpleNamespace
from typing import cast

import pytest

from freehold.server.gateway import peer_of
from freehold.server.http import Incoming

PROXIES = (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),  # not a proxy we know: its word counts for nothing
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.0.0.2", "198.51.100.1"),  # what stands further left can be forged
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "nonsense"),
    ],
)
def test_peer(peer: str, forwarded: str, found: str) -> None:
    headers = [("x-forwarded-for", forwarded)] if forwarded else []
    incoming = cast("Incoming", SimpleNamespace(client=peer, headers=headers))
    assert peer_of(incoming, PROXIES) == found
