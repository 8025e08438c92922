"""Token counts: Converse leaves cached tokens out of `inputTokens`, the canonical language includes them."""

from __future__ import annotations

from freehold.ir import Fields, JsonObject, Losses, Usage
from freehold.protocols.bedrock_converse.language import LANGUAGE, ours, repeat


def read_usage(value: JsonObject) -> Usage:
    """Usage as canonical figures (WIRE_FACTS 3). The total rides along: it can be computed, but may be absent."""
    fields = Fields(value, LANGUAGE)
    plain = fields.take_int("inputTokens")
    read = fields.take_int("cacheReadInputTokens")
    write = fields.take_int("cacheWriteInputTokens")
    return Usage(
        input_tokens=None if plain is None else plain + (read or 0) + (write or 0),
        output_tokens=fields.take_int("outputTokens"),
        cache_read=read,
        cache_write=write,
        extra=fields.mark(),
    )


def write_usage(usage: Usage | None, losses: Losses, path: str = "usage") -> JsonObject:
    """Usage as this protocol counts; the three counts that clients can not do without are 0 where nobody counted."""
    if usage is None:
        return {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
    cached = (usage.cache_read or 0) + (usage.cache_write or 0)
    wire: JsonObject = {}
    if ours(usage.extra) is not None:
        if usage.input_tokens is not None:
            wire["inputTokens"] = usage.input_tokens - cached
        if usage.output_tokens is not None:
            wire["outputTokens"] = usage.output_tokens
    else:
        # A provider's count may leave cached tokens out although its protocol includes them.
        plain = max(0, (usage.input_tokens or 0) - cached)
        output = usage.output_tokens or 0
        wire = {"inputTokens": plain, "outputTokens": output, "totalTokens": plain + output + cached}
    if usage.cache_read is not None:
        wire["cacheReadInputTokens"] = usage.cache_read
    if usage.cache_write is not None:
        wire["cacheWriteInputTokens"] = usage.cache_write
    if usage.reasoning:
        losses.add(f"{path}.reasoning", "dropped", "accounting", "output tokens are not told apart")
    repeat(usage.extra, wire, losses, path)
    return wire
