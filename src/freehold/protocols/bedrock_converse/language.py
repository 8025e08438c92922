"""Bedrock Converse as a language: its name, what its extras mean, and its words for why a model stopped."""

from __future__ import annotations

from freehold.ir import Effect, Extra, Fields, FinishKind, JsonObject, JsonValue, Language, Losses

NAME = "bedrock-converse"

_CONTENT = (
    "messages",
    "system",
    "content",
    "input",
    "output",
    "promptVariables",
    "invokeModel",
    # blocks that stay whole
    "text",
    "image",
    "audio",
    "video",
    "document",
    "toolUse",
    "toolResult",
    "guardContent",
    "searchResult",
    "citationsContent",
    "reasoningContent",
    "source",
    "context",
)
_BEHAVIOUR = (
    "inferenceConfig",
    "toolConfig",
    "toolChoice",
    "outputConfig",
    "additionalModelRequestFields",
    "guardrailConfig",
    "performanceConfig",
    "systemTool",
    "toolAddition",
    "toolRemoval",
    "toolSpec",
    "inputSchema",
    "description",
    "strict",
    "citations",
    "citation",
    "guardContent.text",
    "status",
    "bucketOwner",
    "structure",
)
_ACCOUNTING = (
    "serviceTier",
    "requestMetadata",
    "additionalModelResponseFieldPaths",
    "additionalModelResponseFields",
    "trace",
    "usage",
    "amazon-bedrock-trace",
    "amazon-bedrock-guardrailAction",
    "cacheDetails",
    "cachePoint",
)
_BOOKKEEPING = (
    "p",
    "role",
    "type",
    "name",
    "format",
    "error",
    "metrics",
    "stopReason",
    "totalTokens",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
    # Counts of hosted tools; mostly {}, and what they cost is on AWS's bill, not in the tokens.
    "serverToolUsage",
    "modelId",
    "signature",
    "listing",
    "query",
    "nextToken",
)

EMPTY = "empty:"
"""Before a field's name: it was written, but says nothing (`"system": []`, `"inferenceConfig": {}`)."""

SPELLING = "spelling"
"""How a value was written where the protocol has several ways; the values stand beside their readers."""

_MARKS = (
    SPELLING,
    *(EMPTY + name for name in ("system", "inferenceConfig", "toolConfig", "outputConfig", "content")),
    EMPTY + "additionalModelRequestFields",
)

LANGUAGE = Language(
    name=NAME,
    effects={
        **dict.fromkeys(_CONTENT, "content"),
        **dict.fromkeys(_BEHAVIOUR, "behaviour"),
        **dict.fromkeys(_ACCOUNTING, "accounting"),
        **dict.fromkeys((*_BOOKKEEPING, *_MARKS), None),
    },
)
"""The origin of everything that rides along in this package."""

EFFECT_OF_TOOL: Effect = "behaviour"
"""A tool that AWS runs is an offer, not content: losing it changes what the model can do."""

KIND_OF_STOP_REASON: dict[str, FinishKind] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
"""What a `stopReason` means; any other is `other`."""

STOP_REASON_OF_KIND: dict[FinishKind, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
    "pause": "end_turn",
    "error": "malformed_model_output",
    "other": "end_turn",
}
"""How a foreign finish is said here."""


def ours(extra: Extra | None) -> JsonObject | None:
    """The fields of an extra that this language said; None if another did, or nobody."""
    return extra.fields if extra is not None and extra.origin is LANGUAGE else None


def open_object(fields: Fields, name: str) -> Fields:
    """The object `name`, out of its place, to be taken apart; an empty one if there is none."""
    return Fields(fields.take_object(name) or {}, LANGUAGE, fields.at(name))


def close_object(fields: Fields, name: str, value: JsonValue, inner: Fields) -> None:
    """Let what was left of the object `name`, which was `value`, ride along.

    What says nothing rides under a name of its own, so that losing it is no loss.
    """
    if not isinstance(value, dict):
        return
    left = inner.mark().fields
    if any(item or item is False or item == 0 for item in left.values()):
        fields.put_back(name, left)
    elif left or not value:
        fields.put_back(EMPTY + name, left)


def rest_of(extra: Extra | None, name: str) -> JsonObject | None:
    """What was left of the object `name`; None if it was not there, or nothing was left."""
    said = ours(extra)
    if said is None:
        return None
    value = said.get(name, said.get(EMPTY + name))
    return value if isinstance(value, dict) else None


def join_rest(into: JsonObject, name: str, value: JsonObject, extra: Extra | None) -> None:
    """Write the object `name`: what we know of it, then what was left of it; nothing if both are absent."""
    left = rest_of(extra, name)
    if value or left is not None:
        into[name] = value if left is None else {**value, **left}


def repeat(extra: Extra | None, into: JsonObject, losses: Losses, path: str) -> None:
    """Write back what this language said, marks excepted; otherwise note it as lost."""
    said = ours(extra)
    if said is None:
        losses.drop_extra(extra, path)
        return
    for name, value in said.items():
        if name.startswith(EMPTY):
            into.setdefault(name[len(EMPTY) :], value)
        elif name != SPELLING:
            into.setdefault(name, value)


def only(value: JsonValue) -> tuple[str, JsonValue]:
    """The name and value of a union's single member; ("", None) for anything else."""
    if isinstance(value, dict) and len(value) == 1:
        return next(iter(value.items()))
    return "", None
