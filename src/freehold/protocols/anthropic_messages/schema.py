"""JSON schemas of tools as Anthropic takes them: an object at the top."""

from __future__ import annotations

from freehold.ir import JsonObject, JsonValue, Losses

_COMBINERS = ("oneOf", "anyOf", "allOf")
"""Refused at the top level of a tool's `input_schema`."""


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
