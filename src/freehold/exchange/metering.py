"""The usage of a whole answer that passes unread: as little of it is parsed as the record needs."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from freehold.ir import Embeddings, JsonObject, Request, Response, Usage, parse_object
from freehold.protocols.anthropic_messages.usage import read_usage as read_anthropic
from freehold.protocols.codec import Codec, WireResponse
from freehold.protocols.openai_chat.usage import decode_usage as read_chat
from freehold.protocols.openai_responses.response import read_usage as read_responses

_READERS: dict[str, Callable[[JsonObject], Usage]] = {
    "openai-chat": read_chat,
    "openai-responses": read_responses,
    "anthropic-messages": read_anthropic,
}
"""Protocols whose answers have a top-level `usage`, and `error` where a success is none."""


class _Cached(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _Reasoned(msgspec.Struct):
    reasoning_tokens: int | None = None


class _PlainChat(msgspec.Struct, forbid_unknown_fields=True):
    """Chat usage as OpenAI itself writes it; anything more goes to the codec, which knows the others' spellings."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _Cached | None = None
    completion_tokens_details: _Reasoned | None = None


_PLAIN_CHAT = msgspec.json.Decoder(_PlainChat)


def _read_plain_chat(usage: bytes) -> Usage | None:
    """The common case in a tenth of the time; None where it is another."""
    try:
        plain = _PLAIN_CHAT.decode(usage)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if plain.total_tokens != plain.prompt_tokens + plain.completion_tokens:
        return None
    prompt, completion = plain.prompt_tokens_details, plain.completion_tokens_details
    return Usage(
        input_tokens=plain.prompt_tokens,
        output_tokens=plain.completion_tokens,
        cache_read=None if prompt is None else prompt.cached_tokens,
        cache_write=None if prompt is None else prompt.cache_write_tokens,
        reasoning=None if completion is None else completion.reasoning_tokens,
    )


class _Tail(msgspec.Struct):
    """The top-level fields that matter; everything else is skipped, not built."""

    usage: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")


_DECODER = msgspec.json.Decoder(_Tail)


def usage_of(codec: Codec, wire: WireResponse, request: Request | None) -> Usage | None:
    """What the answer reports; its codec reads it whole where a glance does not settle it.

    Raises UpstreamError for garbage and for an error dressed as a success.
    """
    reader = _READERS.get(codec.name)
    if reader is not None:
        try:
            tail = _DECODER.decode(wire.body)
        except (msgspec.DecodeError, RecursionError):
            tail = _Tail()
        usage = bytes(tail.usage)
        if usage.startswith(b"{") and bytes(tail.error) == b"null":
            plain = _read_plain_chat(usage) if reader is read_chat else None
            return plain or reader(parse_object(usage))
    result = codec.decode_response(wire, request)
    return result.usage if isinstance(result, Response | Embeddings) else None
