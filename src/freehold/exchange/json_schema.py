"""Whether a JSON value fits a JSON schema: the part of draft 2020-12 that tools and answers are described with.

Judged are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `prefixItems`, the limits
of lengths, numbers and counts, `anyOf`, `oneOf`, `allOf`, `not` and `$ref` within the schema. Other words are taken as
remarks, as the standard has it for words that a reader does not know; `pattern` is one of them, since callers write
schemas, and a regular expression of theirs could take for ever. Schemas that lead in circles are given up, and the
value counts as fitting: doubt is no reason to ask again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from freehold.ir import JsonObject, JsonValue

MOST_STEPS: Final = 20_000
"""Values looked at, a few milliseconds; answers of models have some hundreds."""
DEEPEST: Final = 100
"""Schemas within schemas; those of tools are under ten deep."""


class _TooLong(Exception):  # noqa: N818 -- a way out, not an error
    """The schema asks for more work than it is worth."""


def misfit(value: JsonValue, schema: JsonValue) -> str | None:
    """Where and why a value does not fit, in the schema's words alone; None where it does or that can not be said."""
    try:
        return _Fitting(schema).misfit(value, schema, "", 0)
    except _TooLong:
        return None


class _Fitting:
    """One value under judgement."""

    __slots__ = ("_root", "_steps")

    def __init__(self, root: JsonValue) -> None:
        self._root = root
        self._steps = 0

    def misfit(self, value: JsonValue, schema: JsonValue, path: str, depth: int) -> str | None:
        self._steps += 1
        if self._steps > MOST_STEPS or depth > DEEPEST:
            raise _TooLong
        if schema is False:
            return f"{path or 'the value'} may not be there"
        if not isinstance(schema, dict):
            return None
        reference = schema.get("$ref")
        if isinstance(reference, str):
            found = self.misfit(value, self._resolve(reference), path, depth + 1)
            if found is not None:
                return found
        return (
            _wrong_kind(value, schema, path)
            or _out_of_bounds(value, schema, path)
            or self._object(value, schema, path, depth)
            or self._array(value, schema, path, depth)
            or self._combined(value, schema, path, depth)
        )

    def _resolve(self, reference: str) -> JsonValue:
        """The schema that a JSON pointer into this document names; anything else says nothing."""
        if not reference.startswith("#"):
            return None
        found: JsonValue = self._root
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def _object(self, value: JsonValue, schema: JsonObject, path: str, depth: int) -> str | None:
        if not isinstance(value, dict):
            return None
        required = schema.get("required")
        for name in required if isinstance(required, list) else ():
            if isinstance(name, str) and name not in value:
                return f"{_at(path, name)} is missing"
        stated = schema.get("properties")
        known = stated if isinstance(stated, dict) else {}
        others = schema.get("additionalProperties")
        for name, item in value.items():
            inner = known.get(name, None if "patternProperties" in schema else others)
            place = _at(path, name if name in known else "*")
            if inner is not None and (found := self.misfit(item, inner, place, depth + 1)) is not None:
                return found
        return None

    def _array(self, value: JsonValue, schema: JsonObject, path: str, depth: int) -> str | None:
        if not isinstance(value, list):
            return None
        first = schema.get("prefixItems")
        prefix = first if isinstance(first, list) else []
        rest = schema.get("items")
        for number, item in enumerate(value):
            inner = prefix[number] if number < len(prefix) else rest
            if inner is not None and (found := self.misfit(item, inner, f"{path}[{number}]", depth + 1)) is not None:
                return found
        return None

    def _combined(self, value: JsonValue, schema: JsonObject, path: str, depth: int) -> str | None:
        every = schema.get("allOf")
        for inner in every if isinstance(every, list) else ():
            if (found := self.misfit(value, inner, path, depth + 1)) is not None:
                return found
        for word, wanted in (("anyOf", None), ("oneOf", 1)):
            offered = schema.get(word)
            if isinstance(offered, list) and offered:
                fits = sum(self.misfit(value, inner, path, depth + 1) is None for inner in offered)
                if fits == 0 or (wanted is not None and fits != wanted):
                    return f"{path or 'the value'} fits {fits} of the {word} schemas"
        refused = schema.get("not")
        if refused is not None and self.misfit(value, refused, path, depth + 1) is None:
            return f"{path or 'the value'} is what it may not be"
        return None


def _at(path: str, name: str) -> str:
    return f"{path}.{name[:40]}" if path else name[:40]


_KINDS: Final[Mapping[str, Callable[[JsonValue], bool]]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _wrong_kind(value: JsonValue, schema: JsonObject, path: str) -> str | None:
    stated = schema.get("type")
    kinds = stated if isinstance(stated, list) else [stated]
    # Google writes types in capitals, and `nullable` beside them.
    known = [_KINDS[kind.lower()] for kind in kinds if isinstance(kind, str) and kind.lower() in _KINDS]
    if value is None and schema.get("nullable") is True:
        return None
    if known and not any(fits(value) for fits in known):
        return f"{path or 'the value'} is no {' or '.join(str(kind) for kind in kinds)}"
    allowed = schema.get("enum")
    if isinstance(allowed, list) and not any(_same(value, item) for item in allowed):
        return f"{path or 'the value'} is none of its enum"
    if "const" in schema and not _same(value, schema["const"]):
        return f"{path or 'the value'} is not its const"
    return None


def _same(one: JsonValue, other: JsonValue) -> bool:
    """JSON's equality: 1 is 1.0, but not true."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _out_of_bounds(value: JsonValue, schema: JsonObject, path: str) -> str | None:
    size: float
    if isinstance(value, str):
        size, least, most, what = len(value), "minLength", "maxLength", "long"
    elif isinstance(value, list):
        size, least, most, what = len(value), "minItems", "maxItems", "long"
    elif isinstance(value, dict):
        size, least, most, what = len(value), "minProperties", "maxProperties", "large"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        size, least, most, what = value, "minimum", "maximum", "large"
        if (bound := _number(schema, "exclusiveMinimum")) is not None and size <= bound:
            return f"{path or 'the value'} is not above {bound:g}"
        if (bound := _number(schema, "exclusiveMaximum")) is not None and size >= bound:
            return f"{path or 'the value'} is not below {bound:g}"
    else:
        return None
    if (bound := _number(schema, least)) is not None and size < bound:
        return f"{path or 'the value'} is not {what} enough"
    if (bound := _number(schema, most)) is not None and size > bound:
        return f"{path or 'the value'} is too {what}"
    return None


def _number(schema: JsonObject, word: str) -> float | None:
    bound = schema.get(word)
    return bound if isinstance(bound, int | float) and not isinstance(bound, bool) else None
