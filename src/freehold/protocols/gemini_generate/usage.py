"""Token counts: thoughts stand beside the answer's tokens, cached tokens inside of the prompt's."""

from __future__ import annotations

import msgspec

from freehold.ir import Extra, JsonObject, JsonValue, Losses, Usage
from freehold.protocols.gemini_generate.language import ABSENT, LANGUAGE, is_ours
from freehold.protocols.gemini_generate.wire import restore

_COUNTS = frozenset(
    {"promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "cachedContentTokenCount", "totalTokenCount"}
)
_HOSTED = "toolUsePromptTokenCount"


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def split_usage(value: JsonObject) -> tuple[Usage, Extra | None]:
    """`usageMetadata` as the canonical counts, and what is left of it; prompts that hosted tools made are input."""
    counts = {name: item for name, item in value.items() if name in _COUNTS and type(item) is int and item >= 0}
    left: JsonObject = {name: item for name, item in value.items() if name not in counts}
    prompt, said, thoughts = (
        counts.get("promptTokenCount"),
        counts.get("candidatesTokenCount"),
        counts.get("thoughtsTokenCount"),
    )
    hosted = _count(left.get(_HOSTED)) if _HOSTED in left else 0
    taken = None if prompt is None and not hosted else (prompt or 0) + hosted
    given = None if said is None and thoughts is None else (said or 0) + (thoughts or 0)
    total = counts.get("totalTokenCount")
    if total is not None and total != (taken or 0) + (given or 0):
        left["totalTokenCount"] = total
    # Written from the canonical counts unless told otherwise.
    absent: list[JsonValue] = []
    if prompt is None and hosted:
        absent.append("promptTokenCount")
    if said is None and thoughts is not None:
        absent.append("candidatesTokenCount")
    if total is None:
        absent.append("totalTokenCount")
    absent = [name for name in absent if name not in left]
    if absent:
        left[ABSENT] = absent
    usage = Usage(
        input_tokens=taken,
        output_tokens=given,
        cache_read=counts.get("cachedContentTokenCount"),
        reasoning=thoughts,
    )
    return usage, Extra(LANGUAGE, left) if left else None


def read_usage(value: JsonObject) -> Usage:
    """`usageMetadata` whole."""
    usage, extra = split_usage(value)
    return usage if extra is None else msgspec.structs.replace(usage, extra=extra)


def write_usage(usage: Usage, extra: Extra | None, losses: Losses, path: str) -> JsonObject:
    """The canonical counts as `usageMetadata`, with `extra` as what else was said there."""
    wire: JsonObject = {}
    fields = extra.fields if extra is not None and is_ours(extra) else {}
    if usage.input_tokens is not None:
        wire["promptTokenCount"] = max(usage.input_tokens - _count(fields.get(_HOSTED)), 0)
    said = 0
    if usage.output_tokens is not None:
        # Some providers count thoughts beside their output after all: then there are more of them than of it.
        inside = usage.output_tokens - (usage.reasoning or 0)
        wire["candidatesTokenCount"] = said = inside if inside >= 0 else usage.output_tokens
    wire["totalTokenCount"] = (usage.input_tokens or 0) + said + (usage.reasoning or 0)
    if usage.reasoning is not None:
        wire["thoughtsTokenCount"] = usage.reasoning
    if usage.cache_read is not None:
        wire["cachedContentTokenCount"] = usage.cache_read
    if usage.cache_write:
        losses.add(f"{path}.cache_write", "dropped", "accounting", "tokens written to a cache")
    restore(extra, wire, losses, path)
    return wire
