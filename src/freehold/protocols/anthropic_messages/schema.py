"""JSON schemas in the dialect that Anthropic takes."""

from __future__ import annotations

from freehold.ir import JsonObject, JsonValue, Losses

_COMBINERS = ("oneOf", "anyOf", "allOf")
"""Refused at the top level of a tool's `input_schema`."""

_UNSUPPORTED = frozenset(
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
        "if",
        "then",
        "else",
        "not",
    }
)
"""Constraints that structured outputs refuse (documentation of structured outputs, "JSON Schema limitations")."""


def as_input_schema(schema: JsonObject | None, losses: Losses, path: str) -> JsonObject | None:
    """A tool's parameters: an object at the top, without combinations of schemas there."""
    if schema is None:
        return None
    combined = [name for name in _COMBINERS if name in schema]
    if not combined and schema.get("type") == "object":
        return schema
    fixed: JsonObject = {"type": "object", **{name: item for name, item in schema.items() if name not in combined}}
    fixed["type"] = "object"
    if combined:
        _merge_alternatives(schema, combined, fixed)
        losses.add(path, "approximated", "behaviour", f"{', '.join(combined)} at the top of a tool's parameters")
    return fixed


def _merge_alternatives(schema: JsonObject, combined: list[str], fixed: JsonObject) -> None:
    """Offer the properties of all alternatives; only those of `allOf` can stay required."""
    properties = fixed.get("properties")
    merged: JsonObject = dict(properties) if isinstance(properties, dict) else {}
    required = fixed.get("required")
    needed: list[JsonValue] = list(required) if isinstance(required, list) else []
    for name in combined:
        alternatives = schema[name]
        for alternative in alternatives if isinstance(alternatives, list) else []:
            if not isinstance(alternative, dict):
                continue
            inner = alternative.get("properties")
            if isinstance(inner, dict):
                merged = {**inner, **merged}
            also = alternative.get("required")
            if name == "allOf" and isinstance(also, list):
                needed.extend(item for item in also if item not in needed)
    fixed["properties"] = merged
    if needed:
        fixed["required"] = needed


def as_output_schema(schema: JsonObject, losses: Losses, path: str) -> JsonObject:
    """A schema for answers: closed objects, without the constraints that are refused."""
    dropped: set[str] = set()
    fixed = _closed(schema, dropped)
    if dropped:
        losses.add(path, "approximated", "behaviour", f"without {', '.join(sorted(dropped))}")
    return fixed


def _closed(schema: JsonObject, dropped: set[str]) -> JsonObject:
    fixed: JsonObject = {}
    for name, item in schema.items():
        if name in _UNSUPPORTED or (name == "minItems" and item not in (0, 1)):
            dropped.add(name)
        elif name in ("properties", "$defs", "definitions") and isinstance(item, dict):
            fixed[name] = {key: _closed_value(value, dropped) for key, value in item.items()}
        elif name == "oneOf":
            fixed["anyOf"] = _closed_value(item, dropped)
        elif name in ("enum", "const", "default", "examples", "required"):
            fixed[name] = item
        else:
            fixed[name] = _closed_value(item, dropped)
    kind = schema.get("type")
    if kind == "object" or "properties" in schema or (isinstance(kind, list) and "object" in kind):
        if schema.get("additionalProperties", False) is not False:
            dropped.add("additionalProperties")
        fixed["additionalProperties"] = False
    return fixed


def _closed_value(value: JsonValue, dropped: set[str]) -> JsonValue:
    if isinstance(value, dict):
        return _closed(value, dropped)
    if isinstance(value, list):
        return [_closed_value(item, dropped) for item in value]
    return value
