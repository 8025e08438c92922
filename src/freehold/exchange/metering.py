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
            return reader(parse_object(usage))
    result = codec.decode_response(wire, request)
    return result.usage if isinstance(result, Response | Embeddings) else None
