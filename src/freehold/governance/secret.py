"""The server secret: 32 bytes from which a key for each purpose is derived.

It comes from `[server] secret`, or is made once in a file beside the database. Every replica must hold the same one:
it hashes bearer keys, encrypts stored secrets and seals reasoning proofs.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from freehold.errors import ConfigError
from freehold.store.private_files import make_private, planted

SECRET_BYTES: Final = 32
SECRET_FILE: Final = "freehold.secret"  # noqa: S105  a file name
"""The name of the file beside the database."""

Purpose = Literal["keys-hash", "aws-secrets", "seal", "fingerprint"]
"""What a derived key is for; a key is never used for two purposes."""

_REMEDY = "write 32 random bytes as 64 hexadecimal digits, as `openssl rand -hex 32` prints them"


class ServerSecret:
    """The 32 bytes, and the keys derived from them. Its repr shows nothing."""

    __slots__ = ("_root",)

    def __init__(self, root: bytes) -> None:
        if len(root) != SECRET_BYTES:
            raise ConfigError(f"[server] secret holds {len(root)} bytes instead of {SECRET_BYTES}: {_REMEDY}.")
        self._root = root

    def __repr__(self) -> str:
        return "ServerSecret('***')"

    def reveal(self) -> bytes:
        """The 32 bytes, for another process of the same server."""
        return self._root

    def subkey(self, purpose: Purpose, length: int = 32) -> bytes:
        """A key of `length` bytes for one purpose: the expand step of HKDF-SHA256 (RFC 5869, section 2.3).

        The root is uniformly random already, so the extract step has nothing to do.
        """
        info = f"freehold/{purpose}/1".encode()
        block, key = b"", b""
        for number in range(1, -(-length // 32) + 1):
            block = hmac.digest(self._root, block + info + bytes([number]), "sha256")
            key += block
        return key[:length]

    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell two secrets apart and reveal neither."""
        return self.subkey("fingerprint", 8).hex()


def parse_secret(text: str) -> ServerSecret:
    """A secret as configuration holds it: 64 hexadecimal digits, or 32 bytes in either alphabet of base64.

    Raises ConfigError, which never repeats the text.
    """
    stripped = text.strip()
    if len(stripped) == 2 * SECRET_BYTES:
        with contextlib.suppress(ValueError):
            return ServerSecret(bytes.fromhex(stripped))
    if len(stripped) in {43, 44}:
        with contextlib.suppress(binascii.Error, ValueError):
            standard = stripped.rstrip("=").replace("-", "+").replace("_", "/") + "="
            return ServerSecret(base64.b64decode(standard, validate=True))
    raise ConfigError(f"[server] secret can not be read: {_REMEDY}, or use `file:` to name a file that holds them.")


def read_or_make_secret(path: Path, random: Callable[[int], bytes] = secrets.token_bytes) -> ServerSecret:
    """The secret in a file, made when the file does not exist; of several processes that start at once, one makes it.

    Raises ConfigError when the file can not be read, is not a secret, or may be read by others than its owner.
    """
    try:
        if (why := planted(path)) is not None:
            raise ConfigError(f"The server secret can not be trusted: {why}.")
        if not path.exists():
            make_private(path, random(SECRET_BYTES).hex().encode() + b"\n")
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} does not hold a server secret: {_REMEDY}.") from None
    except OSError as error:
        raise ConfigError(
            f"The server secret {path} can not be used: {error.strerror}. Make its directory writable for this user, "
            "or set [server] secret."
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"{path} may be read by other users: run `chmod 600 {path}`, or set [server] secret.")
    return parse_secret(text)
