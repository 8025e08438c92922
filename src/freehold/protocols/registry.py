"""Every codec by name, and which one speaks a given path or recorded wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.protocols.anthropic_messages import CODEC as ANTHROPIC_MESSAGES
from freehold.protocols.azure_openai import AzureOpenAI
from freehold.protocols.bedrock_converse import CODEC as BEDROCK_CONVERSE
from freehold.protocols.bedrock_invoke import BedrockInvoke
from freehold.protocols.gemini_generate import CODEC as GEMINI_GENERATE
from freehold.protocols.openai_chat import CODEC as OPENAI_CHAT
from freehold.protocols.openai_embeddings import CODEC as OPENAI_EMBEDDINGS
from freehold.protocols.openai_responses import CODEC as OPENAI_RESPONSES

if TYPE_CHECKING:
    from freehold.protocols.codec import Codec

# Families speak other protocols' bodies under their own paths, so they are handed the codecs that do.
AZURE_OPENAI = AzureOpenAI(chat=OPENAI_CHAT, responses=OPENAI_RESPONSES, embeddings=OPENAI_EMBEDDINGS)
BEDROCK_INVOKE = BedrockInvoke(anthropic=ANTHROPIC_MESSAGES, chat=OPENAI_CHAT, converse=BEDROCK_CONVERSE)

CODECS: dict[str, Codec] = {
    codec.name: codec
    for codec in (
        OPENAI_CHAT,
        OPENAI_RESPONSES,
        OPENAI_EMBEDDINGS,
        ANTHROPIC_MESSAGES,
        GEMINI_GENERATE,
        BEDROCK_CONVERSE,
        BEDROCK_INVOKE,
        AZURE_OPENAI,
    )
}
"""All codecs, in the order in which documentation lists them."""

_CODEC_OF_WIRE = {
    "openai-chat": "openai-chat",
    "openai-models": "openai-chat",
    "openai-responses": "openai-responses",
    "openai-embeddings": "openai-embeddings",
    "anthropic-messages": "anthropic-messages",
    "anthropic-count-tokens": "anthropic-messages",
    "anthropic-models": "anthropic-messages",
    "gemini-generate": "gemini-generate",
    "gemini-stream": "gemini-generate",
    "gemini-count-tokens": "gemini-generate",
    "gemini-embeddings": "gemini-generate",
    "gemini-models": "gemini-generate",
    "bedrock-converse": "bedrock-converse",
    "bedrock-converse-stream": "bedrock-converse",
    "bedrock-count-tokens": "bedrock-converse",
    "bedrock-invoke": "bedrock-invoke",
    "bedrock-invoke-stream": "bedrock-invoke",
}


def codec_of_recording(protocol: str, wire: str) -> Codec | None:
    """The codec for a recorded exchange, by its folder and wire format; None if there is none."""
    name = _CODEC_OF_WIRE.get(wire)
    if name is not None and protocol.startswith("azure-openai"):
        name = "azure-openai"
    return None if name is None else CODECS.get(name)
