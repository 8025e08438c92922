"""Token counts: Anthropic leaves cached tokens out of `input_tokens`, the canonical language includes them."""

from __future__ import annotations

from freehold.ir import Fields, JsonObject, Losses, Usage
from freehold.protocols.anthropic_messages.language import LANGUAGE


def read_usage(value: JsonObject, *, cached: int = 0) -> Usage:
    """Usage as canonical figures (WIRE_FACTS 3). `cached`: cached input known from earlier in the stream."""
    fields = Fields(value, LANGUAGE)
    plain = fields.take_int("input_tokens")
    read = fields.take_int("cache_read_input_tokens")
    write = fields.take_int("cache_creation_input_tokens")
    said = cached if read is None and write is None else (read or 0) + (write or 0)
    return Usage(
        input_tokens=None if plain is None else plain + said,
        output_tokens=fields.take_int("output_tokens"),
        cache_read=read,
        cache_write=write,
        reasoning=_take_thinking(fields),
        extra=fields.rest(),
    )


def _take_thinking(fields: Fields) -> int | None:
    details = fields.take_object("output_tokens_details")
    if details is None:
        return None
    inner = Fields(details, LANGUAGE)
    thinking = inner.take_int("thinking_tokens")
    left = inner.rest()
    if left is not None or thinking is None:
        fields.put_back("output_tokens_details", {} if left is None else left.fields)
    return thinking


def cached_tokens(usage: Usage) -> int:
    """The part of the input that `input_tokens` leaves out on the wire."""
    return (usage.cache_read or 0) + (usage.cache_write or 0)


def write_usage(usage: Usage, losses: Losses, path: str, *, cached: int = 0) -> JsonObject:
    """Usage as this protocol counts. `cached`: what was said earlier in the stream, where this usage is silent."""
    wire: JsonObject = {}
    if usage.input_tokens is not None:
        known = cached if usage.cache_read is None and usage.cache_write is None else cached_tokens(usage)
        wire["input_tokens"] = usage.input_tokens - known
    if usage.cache_write is not None:
        wire["cache_creation_input_tokens"] = usage.cache_write
    if usage.cache_read is not None:
        wire["cache_read_input_tokens"] = usage.cache_read
    if usage.output_tokens is not None:
        wire["output_tokens"] = usage.output_tokens
    if usage.reasoning is not None:
        details: JsonObject = {"thinking_tokens": usage.reasoning}
        husk = usage.extra.fields.get("output_tokens_details") if usage.extra is not None else None
        if isinstance(husk, dict):
            details = {**details, **husk}
        wire["output_tokens_details"] = details
    losses.repeat(usage.extra, LANGUAGE, wire, path)
    return wire


def write_complete_usage(usage: Usage | None, losses: Losses, path: str, *, native: bool) -> JsonObject:
    """Usage with both counts that clients can not do without, 0 where nobody counted."""
    wire = {} if usage is None else write_usage(usage, losses, path)
    if native and usage is not None:
        return wire
    plain = wire.get("input_tokens", 0)
    if isinstance(plain, int) and plain < 0:
        # A provider whose input count leaves cached tokens out although its protocol includes them.
        wire["input_tokens"] = 0
    return {"input_tokens": 0, "output_tokens": 0, **wire}
