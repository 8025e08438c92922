"""JSON schemas that answers are held to, in the dialect that Bedrock takes: closed objects, few constraints."""

from __future__ import annotations

from freehold.ir import JsonObject, JsonValue, Losses

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
"""Constraints that are not supported (documentation: structured outputs, JSON Schema subset)."""

_NAMED = frozenset({"properties", "$defs", "definitions"})
"""Objects whose members are schemas under names of the caller's."""

_DATA = frozenset({"enum", "const", "default", "examples", "required"})
"""Fields that hold values, not schemas."""


def as_output_schema(schema: JsonObject, losses: Losses, path: str) -> JsonObject:
    """The schema without what would be refused, noted once."""
    dropped: set[str] = set()
    closed = _object(schema, dropped)
    if dropped:
        losses.add(path, "approximated", "behaviour", f"without {', '.join(sorted(dropped))}")
    return closed


def _object(schema: JsonObject, dropped: set[str]) -> JsonObject:
    closed: JsonObject = {}
    for name, value in schema.items():
        if name in _REFUSED or (name == "minItems" and value not in (0, 1)):
            dropped.add(name)
        elif name in _NAMED and isinstance(value, dict):
            closed[name] = {key: _any(inner, dropped) for key, inner in value.items()}
        else:
            closed[name] = value if name in _DATA else _any(value, dropped)
    kind = schema.get("type")
    if "properties" in schema or kind == "object" or (isinstance(kind, list) and "object" in kind):
        if schema.get("additionalProperties", False) is not False:
            dropped.add("additionalProperties")
        closed["additionalProperties"] = False
    return closed


def _any(value: JsonValue, dropped: set[str]) -> JsonValue:
    if isinstance(value, dict):
        return _object(value, dropped)
    return [_any(item, dropped) for item in value] if isinstance(value, list) else value
