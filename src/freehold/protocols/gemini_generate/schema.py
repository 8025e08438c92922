"""Schemas: Google's own dialect (types in capitals, `nullable`) read as JSON schema, and back.

Foreign schemas are written as `parametersJsonSchema` and `responseJsonSchema`, which the Gemini API and Vertex AI take
(recorded on both); Google's own dialect is written only to those who used it.
"""

from __future__ import annotations

from typing import cast

from freehold.ir import Extra, JsonObject, JsonValue
from freehold.protocols.gemini_generate.language import STYLE, is_ours
from freehold.protocols.gemini_generate.wire import Node

_MAPS = frozenset({"properties", "$defs", "defs"})
_LISTS = frozenset({"anyOf", "prefixItems"})
_SCHEMAS = frozenset({"items", "additionalProperties"})
_LIMITS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
"""64-bit integers, which may be written as strings."""


def read_dialect(value: JsonValue) -> JsonValue:
    """A schema of Google's dialect as JSON schema."""
    if not isinstance(value, dict):
        return value
    schema: JsonObject = {}
    for name, item in value.items():
        match item:
            case str() if name == "type":
                schema[name] = item.lower()
            case str() if name in _LIMITS and item.isascii() and item.isdigit():
                schema[name] = int(item)
            case dict() if name in _MAPS:
                schema[name] = {key: read_dialect(inner) for key, inner in item.items()}
            case dict() if name in _SCHEMAS:
                schema[name] = read_dialect(item)
            case list() if name in _LISTS:
                schema[name] = [read_dialect(inner) for inner in item]
            case _:
                schema[name] = item
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        del schema["nullable"]
        schema["type"] = [schema["type"], "null"]
    return schema


def write_dialect(value: JsonValue, *, upper: bool) -> JsonValue:
    """The reverse, with types in capitals or not."""
    if not isinstance(value, dict):
        return value
    schema: JsonObject = {}
    for name, item in value.items():
        match item:
            case str() if name == "type":
                schema[name] = item.upper() if upper else item
            case [str() as kind, "null"] if name == "type":
                schema[name] = kind.upper() if upper else kind
                schema["nullable"] = True
            case dict() if name in _MAPS:
                schema[name] = {key: write_dialect(inner, upper=upper) for key, inner in item.items()}
            case dict() if name in _SCHEMAS:
                schema[name] = write_dialect(item, upper=upper)
            case list() if name in _LISTS:
                schema[name] = [write_dialect(inner, upper=upper) for inner in item]
            case _:
                schema[name] = item
    return schema


def take_schema(node: Node, dialect: str, plain: str) -> JsonObject | None:
    """A schema from the field of Google's dialect or that of JSON schema; both at once ride along.

    A schema in dialect is marked with its style: the case of its types, or itself where that does not say it all.
    """
    native = node.peek(dialect)
    if native is None or not isinstance(native, dict):
        return node.take_object(plain) if not node.has(dialect) else None
    if node.has(plain):
        return None
    node.take(dialect)
    schema = cast("JsonObject", read_dialect(native))
    if write_dialect(schema, upper=True) == native:
        node.note(STYLE, "upper")
    elif write_dialect(schema, upper=False) == native:
        node.note(STYLE, "lower")
    else:
        node.note(STYLE, native)
    return schema


def put_schema(into: JsonObject, schema: JsonObject, extra: Extra | None, dialect: str, plain: str) -> None:
    """Write a schema into the field, and in the style, that it came in; a foreign one as JSON schema."""
    style = extra.fields.get(STYLE) if extra is not None and is_ours(extra) else None
    match style:
        case dict() if read_dialect(style) == schema:
            into[dialect] = style
        case "lower":
            into[dialect] = write_dialect(schema, upper=False)
        case dict() | "upper":
            into[dialect] = write_dialect(schema, upper=True)
        case _:
            into[plain] = schema


def as_parameters(schema: JsonObject | None) -> JsonObject | None:
    """A foreign tool's parameters; None where it has none: an object without properties is best left out."""
    if schema is None:
        return None
    fixed = {name: item for name, item in schema.items() if name != "$schema"}
    if not any(name in fixed for name in ("properties", "anyOf", "oneOf", "allOf", "$ref", "additionalProperties")):
        return None
    if fixed.get("properties") == {} and fixed.keys() <= {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "title",
        "description",
    }:
        return None
    fixed.setdefault("type", "object")
    return fixed


def as_response_schema(schema: JsonObject) -> JsonObject:
    """A foreign schema for an answer."""
    return {name: item for name, item in schema.items() if name != "$schema"}
