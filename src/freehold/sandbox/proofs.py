"""Proofs of reasoning as the emulated providers give them: only their own, byte for byte, are taken back."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from freehold.errors import CallerError
from freehold.ir import Generate, Media, Proof, Reasoning, Text, ToolCall

PROVING: Final = frozenset(
    {"anthropic-messages", "openai-responses", "gemini-generate", "bedrock-converse", "bedrock-invoke"}
)
"""The protocols that have a place for a proof."""

_TEXT_DIGEST: Final = 8
_TAG: Final = 16


class Prover:
    """One provider's proofs; another provider's, or another seed's, are refused."""

    def __init__(self, provider: str, seed: int) -> None:
        """Clouds of one provider accept each other's, as Bedrock's regions do."""
        self._key = f"freehold sandbox {seed} {provider}".encode()

    def prove(self, language: str, thought: str) -> Proof:
        """The proof that this provider thought so."""
        digest = _digest(thought)
        value = base64.b64encode(digest + self._tag(digest)).decode()
        return Proof(origin=language, value=value)

    def check(self, request: Generate) -> None:
        """Raises CallerError for a proof that this provider did not give, or that came back with another text."""
        for part, proof in _proofs(request):
            try:
                raw = base64.b64decode(proof.value, validate=True)
            except (binascii.Error, ValueError):
                raise _refused() from None
            digest, tag = raw[:_TEXT_DIGEST], raw[_TEXT_DIGEST:]
            if not hmac.compare_digest(tag, self._tag(digest)):
                raise _refused()
            # Text that comes back beside its proof must be the text that was proved; some clients leave it out.
            if isinstance(part, Reasoning) and part.text and _digest(part.text) != digest:
                raise _refused()

    def _tag(self, digest: bytes) -> bytes:
        return hmac.digest(self._key, digest, "sha256")[:_TAG]


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()[:_TEXT_DIGEST]


def _proofs(request: Generate) -> Iterator[tuple[Text | Reasoning | ToolCall | Media, Proof]]:
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, Text | Reasoning | ToolCall | Media) and part.proof is not None:
                yield part, part.proof


def _refused() -> CallerError:
    return CallerError(
        "Invalid signature in a reasoning block: it must come back exactly as it was given.",
        code="invalid_signature",
        param="messages",
    )
