"""Token counts: which figures are where, and what they include (WIRE_FACTS 3, 4, 10)."""

from __future__ import annotations

from freehold.ir import Fields, JsonObject, JsonValue, Losses, Usage
from freehold.protocols.openai_chat.language import ELSEWHERE, LANGUAGE, native, repeat_inner, repeat_plain, unpack

_CACHE_READ_ELSEWHERE = (
    "prompt_cache_hit_tokens",  # DeepSeek
    "cache_read_input_tokens",  # resellers of Anthropic
    "num_cached_tokens",  # Mistral
    "cached_tokens",  # Moonshot, Together
)
_CACHE_WRITE_ELSEWHERE = ("cache_creation_input_tokens",)
_REASONING_ELSEWHERE = ("reasoning_tokens",)  # Grok on Azure, Perplexity


def decode_usage(value: JsonObject) -> Usage:
    """Usage with reasoning made part of the output, which xAI counts beside it: its total tells."""
    fields = Fields(value, LANGUAGE, "usage")
    elsewhere: list[JsonValue] = []
    cache_read = _take_detail(fields, "prompt_tokens_details", "cached_tokens")
    cache_write = _take_detail(fields, "prompt_tokens_details", "cache_write_tokens")
    reasoning = _take_detail(fields, "completion_tokens_details", "reasoning_tokens")
    if cache_read is None:
        cache_read = _read_elsewhere(fields, _CACHE_READ_ELSEWHERE, "cache_read", elsewhere)
    if cache_write is None:
        cache_write = _read_elsewhere(fields, _CACHE_WRITE_ELSEWHERE, "cache_write", elsewhere)
    if reasoning is None:
        reasoning = _read_elsewhere(fields, _REASONING_ELSEWHERE, "reasoning", elsewhere)
    input_tokens = fields.take_int("prompt_tokens")
    output_tokens = fields.take_int("completion_tokens")
    if reasoning and output_tokens is not None:
        total = fields.peek("total_tokens")
        if total == (input_tokens or 0) + output_tokens + reasoning:
            output_tokens += reasoning
            elsewhere.append("beside")
    _flatten_details(fields, "prompt_tokens_details")
    _flatten_details(fields, "completion_tokens_details")
    if elsewhere:
        fields.put_back(ELSEWHERE, elsewhere)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read=cache_read,
        cache_write=cache_write,
        reasoning=reasoning,
        extra=fields.mark(),
    )


def _take_detail(fields: Fields, name: str, figure: str) -> int | None:
    inner = unpack(fields, name)
    if inner is None:
        return None
    value = inner.take_int(figure)
    fields.put_back(name, inner.mark().fields)
    return value


def _read_elsewhere(fields: Fields, names: tuple[str, ...], figure: str, elsewhere: list[JsonValue]) -> int | None:
    for name in names:
        value = fields.peek(name)
        if isinstance(value, int) and not isinstance(value, bool):
            elsewhere.append(figure)
            return value
    return None


def _flatten_details(fields: Fields, name: str) -> None:
    """Figures that count something get names of their own, so that losing them is seen; zeros stay inside."""
    inner = fields.peek(name)
    if not isinstance(inner, dict) or not any(inner.values()):
        return
    fields.put_back(name, {figure: value for figure, value in inner.items() if not value})
    for figure, value in inner.items():
        if value:
            fields.put_back(f"{name}.{figure}", value)


def encode_usage(usage: Usage, losses: Losses, path: str = "usage") -> JsonObject:
    """Usage in this protocol's places; a missing figure of another language is written as 0, since clients add up."""
    fields = native(usage.extra)
    if fields is None:
        losses.drop_extra(usage.extra, path)
        return _foreign_usage(usage)
    elsewhere = fields.get(ELSEWHERE)
    said = elsewhere if isinstance(elsewhere, list) else []
    written: JsonObject = {}
    output = usage.output_tokens
    if "beside" in said and output is not None:
        output -= usage.reasoning or 0
    _put(written, "prompt_tokens", usage.input_tokens)
    _put(written, "completion_tokens", output)
    prompt = _details(fields, "prompt_tokens_details")
    completion = _details(fields, "completion_tokens_details")
    if "cache_read" not in said:
        _put(prompt, "cached_tokens", usage.cache_read)
    if "cache_write" not in said:
        _put(prompt, "cache_write_tokens", usage.cache_write)
    if "reasoning" not in said:
        _put(completion, "reasoning_tokens", usage.reasoning)
    if prompt or ("prompt_tokens_details" in fields and fields["prompt_tokens_details"] is not None):
        written["prompt_tokens_details"] = prompt
    if completion or ("completion_tokens_details" in fields and fields["completion_tokens_details"] is not None):
        written["completion_tokens_details"] = completion
    repeat_plain(fields, written, ("prompt_tokens_details.", "completion_tokens_details."))
    return written


def _details(fields: JsonObject, name: str) -> JsonObject:
    inner = fields.get(name)
    details: JsonObject = dict(inner) if isinstance(inner, dict) else {}
    repeat_inner(fields, f"{name}.", details)
    return details


def _foreign_usage(usage: Usage) -> JsonObject:
    prompt = usage.input_tokens or 0
    completion = usage.output_tokens or 0
    written: JsonObject = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    details: JsonObject = {}
    _put(details, "cached_tokens", usage.cache_read)
    _put(details, "cache_write_tokens", usage.cache_write)
    if details:
        written["prompt_tokens_details"] = details
    if usage.reasoning is not None:
        written["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return written


def _put(into: JsonObject, name: str, value: JsonValue) -> None:
    if value is not None:
        into[name] = value
