"""JSON values that fit a schema, for tool arguments and structured answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from freehold.ir import JsonObject, JsonValue

_DEEPEST: Final = 8
"""Levels of a recursive schema that are filled in; below that, what is optional is left out."""

_OF_FORMAT: Final[dict[str, str]] = {
    "date": "2026-11-22",
    "date-time": "2026-11-22T12:00:00Z",
    "time": "12:00:00Z",
    "email": "somebody@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

_NAMES_OF_PLACES: Final = ("city", "location", "place", "town", "name", "country", "query", "destination")


def invent(schema: JsonObject, subject: str) -> JsonValue:
    """A value that fits; where a text is free, it is about `subject`."""
    return _Inventor(schema, subject).value(schema, "", 0)


class _Inventor:
    """One value being made; `root` is where `$ref` points into."""

    def __init__(self, root: JsonObject, subject: str) -> None:
        self._root = root
        self._subject = subject

    def value(self, schema: JsonValue, name: str, depth: int) -> JsonValue:
        """A value for one place of the schema."""
        if not isinstance(schema, dict):
            return self._subject
        for fixed in ("const", "default"):
            if fixed in schema:
                return schema[fixed]
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            return next((choice for choice in choices if choice == self._subject), choices[0])
        reference = schema.get("$ref")
        if isinstance(reference, str) and depth < _DEEPEST:
            return self.value(self._referred(reference), name, depth + 1)
        for union in ("anyOf", "oneOf", "allOf"):
            options = schema.get(union)
            if isinstance(options, list) and options:
                return self.value(_not_null(options), name, depth + 1)
        return self._typed(schema, name, depth)

    def _typed(self, schema: JsonObject, name: str, depth: int) -> JsonValue:
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                least = schema.get("minItems")
                items = 1 if not isinstance(least, int) else max(1, least)
                return [self.value(schema.get("items", {}), name, depth + 1) for _ in range(min(items, 16))]
            case "string":
                return self._text(schema, name)
            case "integer" | "number" as kind:
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._subject

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return {}
        required = schema.get("required")
        wanted: Sequence[JsonValue] = required if isinstance(required, list) else list(properties)
        names = [name for name in properties if name in wanted]
        if depth >= _DEEPEST and not isinstance(required, list):
            names = []
        return {name: self.value(properties[name], name, depth + 1) for name in names}

    def _text(self, schema: JsonObject, name: str) -> str:
        form = schema.get("format")
        if isinstance(form, str) and form in _OF_FORMAT:
            return _OF_FORMAT[form]
        free = any(word in name.lower() for word in _NAMES_OF_PLACES) or not name
        text = self._subject if free else f"{name} of {self._subject}"
        least, most = schema.get("minLength"), schema.get("maxLength")
        if isinstance(least, int) and least < 10_000:
            text = text.ljust(least, ".")
        return text[:most] if isinstance(most, int) else text

    def _referred(self, reference: str) -> JsonValue:
        found: JsonValue = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if not isinstance(found, dict):
                return {}
            found = found.get(step, {})
        return found


def _not_null(options: list[JsonValue]) -> JsonValue:
    for option in options:
        if isinstance(option, dict) and option.get("type") != "null":
            return option
    return options[0]


def _type_of(schema: JsonObject) -> str:
    """The type in lower case (Gemini writes capitals); the first that is not null where there are several."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()
    return "object" if "properties" in schema else "array" if "items" in schema else ""


def _number(schema: JsonObject, *, whole: bool) -> int | float:
    least, most = schema.get("minimum"), schema.get("maximum")
    value: int | float = 7
    if isinstance(least, int | float) and not isinstance(least, bool):
        value = max(value, least)
    if isinstance(most, int | float) and not isinstance(most, bool):
        value = min(value, most)
    return int(value) if whole else cast("float", value)
