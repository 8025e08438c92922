"""Keys: their shape, what is kept of them, and the table."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace
from rich.pretty import pretty_repr

from freehold.errors import FreeholdError
from freehold.governance.keys import KeyTable, Locksmith, decode_keys, encode_keys, has_checksum
from freehold.governance.secret import ServerSecret

LOCKSMITH = Locksmith(ServerSecret(bytes(range(32))))


def test_a_bearer_key_is_recognisable_and_names_its_id() -> None:
    minted = LOCKSMITH.mint(project="p", name="n", now=0)
    assert minted.bearer is not None
    assert re.fullmatch(r"fh_[a-z2-7]{12}_[0-9A-Za-z]{49}", minted.bearer)
    assert minted.bearer.split("_")[1] == minted.key.id
    assert minted.secret_access_key is None
    assert minted.key.access_key_id is None


def test_an_access_key_pair_looks_like_one_of_aws() -> None:
    minted = LOCKSMITH.mint(project="p", name="n", now=0, aws=True)
    assert minted.key.access_key_id is not None
    assert re.fullmatch(r"FHAK[A-Z2-7]{16}", minted.key.access_key_id)
    assert minted.secret_access_key is not None
    assert re.fullmatch(r"[0-9A-Za-z]{40}", minted.secret_access_key)
    assert minted.bearer is None
    assert LOCKSMITH.open_secret(minted.key) == minted.secret_access_key


def test_minted_keys_differ() -> None:
    minted = [LOCKSMITH.mint(project="p", name="n", now=0) for _ in range(200)]
    assert len({each.bearer for each in minted}) == len({each.key.id for each in minted}) == 200


def test_the_checksum_finds_slips() -> None:
    bearer = LOCKSMITH.mint(project="p", name="n", now=0).bearer
    assert bearer is not None
    assert has_checksum(bearer)
    for at in range(len(bearer)):
        changed = bearer[:at] + ("x" if bearer[at] != "x" else "y") + bearer[at + 1 :]
        assert not has_checksum(changed)
    assert not has_checksum("")
    assert not has_checksum("fh_")


def test_randomness_can_be_handed_in() -> None:
    def random(count: int) -> bytes:
        return bytes(range(count))

    first = LOCKSMITH.mint(project="p", name="n", now=0, random=random)
    assert first == LOCKSMITH.mint(project="p", name="n", now=0, random=random)


def test_what_is_kept_holds_no_secret() -> None:
    for aws in (False, True):
        minted = LOCKSMITH.mint(project="p", name="n", now=0, aws=aws)
        secret = minted.bearer or minted.secret_access_key
        assert secret is not None
        kept = encode_keys(KeyTable([minted.key]))
        assert secret.encode() not in kept
        assert secret[-43:].encode() not in kept


def test_no_repr_shows_a_secret_or_what_is_kept_of_it() -> None:
    for aws in (False, True):
        minted = LOCKSMITH.mint(project="p", name="n", now=0, aws=aws)
        kept = minted.key.digest or minted.key.sealed_secret
        secret = minted.bearer or minted.secret_access_key
        assert secret is not None
        for shown in (
            repr(minted),
            str(minted.key),
            pretty_repr(minted),
            repr(LOCKSMITH),
            repr(KeyTable([minted.key])),
        ):
            assert secret not in shown
            assert repr(kept) not in shown


def test_a_table_survives_the_way_to_another_process() -> None:
    minted = [LOCKSMITH.mint(project="p", name=str(number), now=number, aws=number % 2 == 0) for number in range(5)]
    table = KeyTable(each.key for each in minted)
    again = decode_keys(encode_keys(table))
    assert again.keys == table.keys
    for each in minted:
        if each.bearer is not None:
            assert again.by_digest(LOCKSMITH.digest(each.bearer)) == each.key
            assert again.named_by(each.bearer) == each.key
        else:
            assert again.by_access_key_id(each.key.access_key_id or "") == each.key


def test_a_secret_can_not_be_moved_to_another_key() -> None:
    first = LOCKSMITH.mint(project="p", name="n", now=0, aws=True)
    second = LOCKSMITH.mint(project="p", name="n", now=0, aws=True)
    with pytest.raises(FreeholdError):
        LOCKSMITH.open_secret(replace(second.key, sealed_secret=first.key.sealed_secret))


def test_a_network_that_is_none_is_refused_when_it_is_minted() -> None:
    with pytest.raises(ValueError, match="not-a-network"):
        LOCKSMITH.mint(project="p", name="n", now=0, networks=["not-a-network"])
    minted = LOCKSMITH.mint(project="p", name="n", now=0, networks=["10.0.0.1/8", "::1"])
    assert minted.key.networks == ("10.0.0.0/8", "::1/128")
