"""The seal: repeatable, bound to project and context, and nothing opens that was touched."""

from __future__ import annotations

import re
import zlib
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.governance.seal import LARGEST, Sealer
from freehold.governance.secret import ServerSecret

SEALER = Sealer(ServerSecret(bytes(range(32))))


@given(
    payload=st.binary(max_size=300) | st.binary(max_size=20).map(lambda part: part * 50), project=st.text(max_size=9)
)
def test_what_is_sealed_is_opened_again(payload: bytes, project: str) -> None:
    sealed = SEALER.seal(payload, project=project)
    assert re.fullmatch(r"fh1\.[A-Za-z0-9_-]+", sealed)
    assert sealed == SEALER.seal(payload, project=project)
    assert SEALER.unseal(sealed, project=project) == payload


@given(
    payload=st.binary(min_size=1, max_size=60), position=st.integers(0, 10_000), letter=st.sampled_from("Ab0_-. =/+é\n")
)
def test_a_changed_seal_is_nothing(payload: bytes, position: int, letter: str) -> None:
    sealed = SEALER.seal(payload, project="p")
    at = position % len(sealed)
    for changed in (sealed[:at] + letter + sealed[at + 1 :], sealed[:at] + letter + sealed[at:], sealed[:at]):
        assert changed == sealed or SEALER.unseal(changed, project="p") is None


def test_another_project_context_or_server_can_not_open() -> None:
    sealed = SEALER.seal(b"proof", project="p", context=b"anthropic")
    assert SEALER.unseal(sealed, project="p", context=b"anthropic") == b"proof"
    assert SEALER.unseal(sealed, project="q", context=b"anthropic") is None
    assert SEALER.unseal(sealed, project="p", context=b"gemini") is None
    assert SEALER.unseal(sealed, project="p") is None
    assert SEALER.unseal(sealed, project="panthropic", context=b"") is None
    assert Sealer(ServerSecret(bytes(32))).unseal(sealed, project="p", context=b"anthropic") is None


@pytest.mark.parametrize("text", ["", "fh1.", "fh1.AAAA", "fh2.AAAA", "EqQBCkgIBBAB", "fh1.é", "fh1.AAA=", "fh1.A"])
def test_what_is_no_seal_is_nothing(text: str) -> None:
    assert SEALER.unseal(text, project="p") is None


@given(st.text(max_size=80))
def test_any_text_is_judged_without_a_crash(text: str) -> None:
    assert SEALER.unseal(text, project="p") is None
    assert SEALER.unseal("fh1." + text, project="p") is None


def test_what_repeats_becomes_smaller_and_has_a_bound() -> None:
    assert len(SEALER.seal(b"a" * 100_000, project="p")) < 1000
    with pytest.raises(ValueError, match="limit"):
        SEALER.seal(b"a" * (LARGEST + 1), project="p")


def test_a_seal_that_inflates_beyond_the_bound_is_nothing() -> None:
    bomb = zlib.compress(b"a" * (LARGEST + 1))
    sealed = SEALER._cipher.encrypt(b"\x01" + bomb, [b"p", b""])
    assert SEALER.unseal("fh1." + urlsafe_b64encode(sealed).rstrip(b"=").decode(), project="p") is None
