"""Token counts: thoughts stand beside the answer's tokens, cached tokens inside of the prompt's."""

from __future__ import annotations

from freehold.ir import JsonObject, Losses, Usage
from freehold.protocols.gemini_generate.language import is_ours
from freehold.protocols.gemini_generate.wire import Node, restore


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def read_usage(value: JsonObject) -> Usage:
    """`usageMetadata` as the canonical counts; prompts that hosted tools made count as input."""
    node = Node(value, "usageMetadata")
    prompt, said = node.take_int("promptTokenCount"), node.take_int("candidatesTokenCount")
    thoughts = node.take_int("thoughtsTokenCount")
    hosted = _count(node.peek("toolUsePromptTokenCount"))
    cached = node.take_int("cachedContentTokenCount")
    if prompt is None and hosted:
        node.note_absent("promptTokenCount")
    if said is None and thoughts is not None:
        node.note_absent("candidatesTokenCount")
    total = node.peek("totalTokenCount")
    if total is None and not node.has("totalTokenCount"):
        node.note_absent("totalTokenCount")
    elif total == _count(prompt) + hosted + _count(said) + _count(thoughts):
        node.take("totalTokenCount")
    return Usage(
        input_tokens=None if prompt is None and not hosted else _count(prompt) + hosted,
        output_tokens=None if said is None and thoughts is None else _count(said) + _count(thoughts),
        cache_read=cached,
        reasoning=thoughts,
        extra=node.rest(),
    )


def write_usage(usage: Usage, losses: Losses, path: str) -> JsonObject:
    """The canonical counts as `usageMetadata`."""
    wire: JsonObject = {}
    extra = usage.extra.fields if usage.extra is not None and is_ours(usage.extra) else {}
    hosted = _count(extra.get("toolUsePromptTokenCount"))
    if usage.input_tokens is not None:
        wire["promptTokenCount"] = max(usage.input_tokens - hosted, 0)
    if usage.output_tokens is not None:
        wire["candidatesTokenCount"] = max(usage.output_tokens - (usage.reasoning or 0), 0)
    if "totalTokenCount" not in extra:
        wire["totalTokenCount"] = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    if usage.reasoning is not None:
        wire["thoughtsTokenCount"] = usage.reasoning
    if usage.cache_read is not None:
        wire["cachedContentTokenCount"] = usage.cache_read
    if usage.cache_write:
        losses.add(f"{path}.cache_write", "dropped", "accounting", "tokens written to a cache")
    restore(usage.extra, wire, losses, path)
    return wire
