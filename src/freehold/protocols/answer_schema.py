"""JSON schemas that answers are held to, as Anthropic's engine takes them, at its own door and at Bedrock's.

Closed objects and few constraints (Anthropic: "JSON Schema limitations" of structured outputs; Bedrock: JSON Schema
subset of structured outputs).
"""

from __future__ import annotations

from typing import Literal

from freehold.ir import JsonObject, JsonValue, Losses

OneOf = Literal["oneOf", "anyOf"]

_REFUSED = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
        "contains",
        "not",
        "if",
        "then",
        "else",
    }
)

_NAMED = frozenset({"properties", "$defs", "definitions"})
"""Objects whose members are schemas under names of the caller's."""

_DATA = frozenset({"enum", "const", "default", "examples", "required"})
"""Fields that hold values, not schemas."""


def as_answer_schema(schema: JsonObject, losses: Losses, path: str, *, one_of: OneOf) -> JsonObject:
    """The schema without what would be refused, noted once. `one_of` is what `oneOf` is written as."""
    dropped: set[str] = set()
    closed = _object(schema, dropped, one_of)
    if dropped:
        losses.add(path, "approximated", "behaviour", f"without {', '.join(sorted(dropped))}")
    return closed


def _object(schema: JsonObject, dropped: set[str], one_of: OneOf) -> JsonObject:
    closed: JsonObject = {}
    for name, value in schema.items():
        if name in _REFUSED or (name == "minItems" and value not in (0, 1)):
            dropped.add(name)
        elif name in _NAMED and isinstance(value, dict):
            closed[name] = {key: _any(inner, dropped, one_of) for key, inner in value.items()}
        elif name in _DATA:
            closed[name] = value
        else:
            closed[one_of if name == "oneOf" else name] = _any(value, dropped, one_of)
    kind = schema.get("type")
    if "properties" in schema or kind == "object" or (isinstance(kind, list) and "object" in kind):
        if schema.get("additionalProperties", False) is not False:
            dropped.add("additionalProperties")
        closed["additionalProperties"] = False
    return closed


def _any(value: JsonValue, dropped: set[str], one_of: OneOf) -> JsonValue:
    if isinstance(value, dict):
        return _object(value, dropped, one_of)
    return [_any(item, dropped, one_of) for item in value] if isinstance(value, list) else value
