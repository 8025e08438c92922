"""Without required keys only this machine's own programs get in, and the control plane never lets in others."""

from __future__ import annotations

import pytest

from freehold.governance.authentication import is_loopback_host, is_loopback_peer


@pytest.mark.parametrize(
    "host",
    [
        "localhost.evil.com",
        "127.0.0.1.evil.com",
        "[::1]evil.com",
        "[::1]:80@evil.com",
        "localhost:80@evil.com",
        "localhost:x@evil.com",
        "localhost@evil.com",
        "localhost evil.com",
        "localhost,evil.com",
        "localhost/evil.com",
        "localhost\tevil.com",
        "[localhost]",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0.0.0.0:80",
        "[::]",
        "::1",
        "[::1",
        "localhost..",
        "evil.com#localhost",
        "",
    ],
)
def test_no_other_name_passes_for_loopback(host: str) -> None:
    assert not is_loopback_host(host)


@pytest.mark.parametrize("host", ["localhost", "LocalHost:8080", "localhost.", "127.0.0.1:1", "127.9.9.9", "[::1]:8"])
def test_loopback_names(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_peers_on_this_machine(peer: str) -> None:
    assert is_loopback_peer(peer)


@pytest.mark.parametrize("peer", ["10.0.0.1", "::", "fe80::1%lo", "::ffff:10.0.0.1", "", "localhost"])
def test_peers_elsewhere(peer: str) -> None:
    assert not is_loopback_peer(peer)
