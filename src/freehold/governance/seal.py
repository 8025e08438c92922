"""The seal: bytes as an authenticated, encrypted, self-contained string that only this server and project can open."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from freehold.governance.secret import ServerSecret

PREFIX: Final = "fh1."
"""Every sealed string begins so; the digit is the version of the format."""

LARGEST: Final = 8 * 1024 * 1024
"""Bytes that may be sealed; an encrypted reasoning block of a long turn is well below one megabyte."""

_STORED, _DEFLATED = b"\x00", b"\x01"


class Sealer:
    """Seals and opens. The same input gives the same string, as translation must be repeatable.

    AES-SIV (RFC 5297) is made for that: nothing but the equality of two inputs can be told from two strings.
    """

    def __init__(self, secret: ServerSecret) -> None:
        self._cipher = AESSIV(secret.subkey("seal", 64))

    def seal(self, payload: bytes, *, project: str, context: bytes = b"") -> str:
        """A string of `fh1.` and url-safe base64; `project` and `context` are bound to it, not contained in it.

        Raises ValueError for a payload larger than LARGEST.
        """
        if len(payload) > LARGEST:
            raise ValueError(f"{len(payload)} bytes can not be sealed: the limit is {LARGEST}")
        deflated = zlib.compress(payload, 6)
        plain = _DEFLATED + deflated if len(deflated) < len(payload) else _STORED + payload
        sealed = self._cipher.encrypt(plain, [project.encode(), context])
        return PREFIX + _encode(sealed)

    def unseal(self, text: str, *, project: str, context: bytes = b"") -> bytes | None:
        """The payload, or None: not a seal, changed on the way, or of another project, context or secret."""
        if not text.startswith(PREFIX) or len(text) > 2 * LARGEST:
            return None
        encoded = text[len(PREFIX) :]
        try:
            sealed = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            # The decoder skips foreign characters and ignores spare bits: only its own spelling may pass.
            if _encode(sealed) != encoded:
                return None
            plain = self._cipher.decrypt(sealed, [project.encode(), context])
        except (binascii.Error, ValueError, InvalidTag):
            return None
        if plain[:1] == _STORED:
            return plain[1:]
        inflater = zlib.decompressobj()
        payload = inflater.decompress(plain[1:], LARGEST)
        return payload if inflater.eof else None


def _encode(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")
