"""The server secret: how it is read, how it is made once, and that it stays hidden."""

from __future__ import annotations

import base64
import multiprocessing
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from freehold.errors import ConfigError
from freehold.governance.secret import ServerSecret, parse_secret, read_or_make_secret

ROOT = bytes(range(200, 232))


@pytest.mark.parametrize(
    "text",
    [
        ROOT.hex(),
        ROOT.hex().upper() + "\n",
        base64.b64encode(ROOT).decode(),
        base64.b64encode(ROOT).decode().rstrip("="),
        base64.urlsafe_b64encode(ROOT).decode(),
    ],
)
def test_hexadecimal_and_base64_are_read(text: str) -> None:
    assert parse_secret(text).fingerprint() == ServerSecret(ROOT).fingerprint()


@pytest.mark.parametrize("text", ["", "hunter2", "z" * 64, ROOT.hex()[:-2], "!" * 44, "A" * 43 + "!"])
def test_anything_else_is_refused_and_never_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_secret(text)
    assert "openssl rand -hex 32" in caught.value.message
    assert not text or text not in caught.value.message


def test_purposes_have_keys_of_their_own_and_follow_the_standard() -> None:
    secret = ServerSecret(ROOT)
    keys = {secret.subkey(purpose) for purpose in ("keys-hash", "aws-secrets", "seal", "fingerprint")}
    assert len(keys) == 4
    expand = HKDFExpand(algorithm=SHA256(), length=64, info=b"freehold/seal/1")
    assert secret.subkey("seal", 64) == expand.derive(ROOT)
    assert ROOT.hex() not in repr(secret) + str(secret)


def test_a_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "made" / "freehold.secret"
    first = read_or_make_secret(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert read_or_make_secret(path).fingerprint() == first.fingerprint()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "freehold.secret"
    read_or_make_secret(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_or_make_secret(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"short\n"])
def test_a_spoiled_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "freehold.secret"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError):
        read_or_make_secret(path)


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="can not be used"):
        read_or_make_secret(tmp_path / "file" / "freehold.secret")


def _make(directory: str) -> str:
    return read_or_make_secret(Path(directory) / "freehold.secret").fingerprint()


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        made = pool.map(_make, [os.fspath(tmp_path)] * 16, chunksize=1)
    assert len(set(made)) == 1
