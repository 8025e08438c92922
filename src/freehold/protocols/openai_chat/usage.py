"""Token counts: which figures are where, and what they include (WIRE_FACTS 3, 4, 10)."""

from __future__ import annotations

from freehold.ir import Fields, JsonObject, JsonValue, Losses, Usage
from freehold.ir.fields import INTEGER, Plain
from freehold.protocols.openai_chat.language import ELSEWHERE, LANGUAGE, native, repeat_inner, repeat_plain

_CACHE_READ_ELSEWHERE = (
    "prompt_cache_hit_tokens",  # DeepSeek
    "cache_read_input_tokens",  # resellers of Anthropic
    "num_cached_tokens",  # Mistral
    "cached_tokens",  # Moonshot, Together
)
_CACHE_WRITE_ELSEWHERE = ("cache_creation_input_tokens",)
_REASONING_ELSEWHERE = ("reasoning_tokens",)  # Grok on Azure, Perplexity


_ELSEWHERE = frozenset((*_CACHE_READ_ELSEWHERE, *_CACHE_WRITE_ELSEWHERE, *_REASONING_ELSEWHERE))

_PLAIN: Plain = {
    "prompt_tokens": ("input_tokens", INTEGER),
    "completion_tokens": ("output_tokens", INTEGER),
}
_PROMPT = {"cached_tokens": "cache_read", "cache_write_tokens": "cache_write"}
_COMPLETION = {"reasoning_tokens": "reasoning"}


def decode_usage(value: JsonObject) -> Usage:
    """Usage with reasoning made part of the output, which xAI counts beside it: its total tells."""
    fields = Fields(value, LANGUAGE, "usage")
    figures: dict[str, int] = fields.take_plain(_PLAIN)
    _take_details(fields, "prompt_tokens_details", _PROMPT, figures)
    _take_details(fields, "completion_tokens_details", _COMPLETION, figures)
    elsewhere: list[JsonValue] = []
    if fields.holds_any(_ELSEWHERE):
        _read_elsewhere(fields, _CACHE_READ_ELSEWHERE, "cache_read", figures, elsewhere)
        _read_elsewhere(fields, _CACHE_WRITE_ELSEWHERE, "cache_write", figures, elsewhere)
        _read_elsewhere(fields, _REASONING_ELSEWHERE, "reasoning", figures, elsewhere)
    reasoning = figures.get("reasoning")
    if reasoning and "output_tokens" in figures:
        beside = figures["output_tokens"] + reasoning
        if fields.peek("total_tokens") == figures.get("input_tokens", 0) + beside:
            figures["output_tokens"] = beside
            elsewhere.append("beside")
    if elsewhere:
        fields.put_back(ELSEWHERE, elsewhere)
    return Usage(extra=fields.mark(), **figures)


def _take_details(fields: Fields, name: str, known: dict[str, str], figures: dict[str, int]) -> None:
    """The figures of an inner object; others that count something get names of their own, so that losing them is seen.

    Zeros stay inside.
    """
    inner = fields.peek(name)
    if not isinstance(inner, dict):
        return
    zeros: JsonObject = {}
    for figure, value in inner.items():
        if figure in known and type(value) is int:
            figures[known[figure]] = value
        elif value:
            fields.put_back(f"{name}.{figure}", value)
        else:
            zeros[figure] = value
    fields.put_back(name, zeros)


def _read_elsewhere(
    fields: Fields, names: tuple[str, ...], figure: str, figures: dict[str, int], elsewhere: list[JsonValue]
) -> None:
    if figure in figures:
        return
    for name in names:
        value = fields.peek(name)
        if isinstance(value, int) and not isinstance(value, bool):
            elsewhere.append(figure)
            figures[figure] = value
            return


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
