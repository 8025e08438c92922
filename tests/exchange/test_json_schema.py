"""Whether values fit schemas, as far as tools and answers are described with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.exchange.json_schema import misfit
from freehold.ir import JsonObject, JsonValue

PERSON: JsonObject = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "kind": {"enum": ["cat", "dog"]},
        "friend": {"$ref": "#"},
    },
    "required": ["name"],
    "additionalProperties": False,
}

WRONG: list[tuple[JsonValue, JsonValue, str]] = [
    ([], PERSON, "the value is no object"),
    ({}, PERSON, "name is missing"),
    ({"name": ""}, PERSON, "name is not long enough"),
    ({"name": "A", "age": 1.5}, PERSON, "age is no integer"),
    ({"name": "A", "age": True}, PERSON, "age is no integer"),
    ({"name": "A", "age": -1}, PERSON, "age is not large enough"),
    ({"name": "A", "tags": ["a", 1]}, PERSON, "tags[1] is no string"),
    ({"name": "A", "tags": ["a", "b", "c"]}, PERSON, "tags is too long"),
    ({"name": "A", "kind": "cow"}, PERSON, "kind is none of its enum"),
    ({"name": "A", "more": 1}, PERSON, "* may not be there"),
    ({"name": "A", "friend": {"name": "B", "friend": {}}}, PERSON, "friend.friend.name is missing"),
    (True, {"const": 1}, "the value is not its const"),
    (3, {"exclusiveMaximum": 3}, "the value is not below 3"),
    (3, {"exclusiveMinimum": 3}, "the value is not above 3"),
    (3, {"anyOf": [{"type": "string"}, {"type": "null"}]}, "the value fits 0 of the anyOf schemas"),
    (3, {"oneOf": [{"type": "number"}, {"type": "integer"}]}, "the value fits 2 of the oneOf schemas"),
    (3, {"allOf": [{"type": "number"}, {"maximum": 2}]}, "the value is too large"),
    (3, {"not": {"type": "number"}}, "the value is what it may not be"),
    (["a", 1], {"prefixItems": [{"type": "string"}], "items": {"type": "string"}}, "[1] is no string"),
    ({"a": {"b": 1}}, {"$defs": {"x": {"type": "null"}}, "properties": {"a": {"$ref": "#/$defs/x"}}}, "a is no null"),
    ("x", {"type": ["integer", "null"]}, "the value is no integer or null"),
    ({"x": 1}, {"type": "OBJECT", "properties": {"x": {"type": "STRING"}}}, "x is no STRING"),
]


@pytest.mark.parametrize(("value", "schema", "said"), WRONG)
def test_what_does_not_fit_says_where(value: JsonValue, schema: JsonValue, said: str) -> None:
    assert misfit(value, schema) == said


RIGHT: list[tuple[JsonValue, JsonValue]] = [
    ({"name": "A", "age": 3, "tags": [], "kind": "dog", "friend": {"name": "B"}}, PERSON),
    (1.0, {"type": "integer"}),
    (1, {"const": 1.0}),
    (None, {"type": "string", "nullable": True}),
    (3, True),
    (3, {}),
    (3, {"type": "of tomorrow", "format": "date", "pattern": "("}),
    ({"a": 1}, {"additionalProperties": {"type": "integer"}}),
    ({"a": 1}, {"patternProperties": {"a": {}}, "additionalProperties": False}),
    (3, {"$ref": "https://example.com/schema"}),
]


@pytest.mark.parametrize(("value", "schema"), RIGHT)
def test_what_fits_fits(value: JsonValue, schema: JsonValue) -> None:
    assert misfit(value, schema) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"not": {"$ref": "#"}},
        {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}] * 8}}, "$ref": "#/$defs/a"},
        {"allOf": [{"oneOf": [{"$ref": "#"}] * 50}] * 50},
    ],
)
def test_schemas_that_lead_in_circles_end(schema: JsonObject) -> None:
    assert misfit("x", schema) is None


KEYWORDS = ("type", "properties", "required", "additionalProperties", "items", "anyOf", "oneOf", "allOf", "not", "$ref")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
WORDS = st.sampled_from(
    [
        *KEYWORDS,
        "patternProperties",
        "nullable",
        "minItems",
        "maxLength",
        "minimum",
        "exclusiveMaximum",
        "enum",
        "const",
    ]
)


@given(JSON, st.recursive(JSON, lambda inner: st.dictionaries(WORDS, inner, max_size=5), max_leaves=10))
def test_any_schema_at_all_is_survived(value: JsonValue, schema: JsonValue) -> None:
    """Callers write them."""
    found = misfit(value, schema)
    assert found is None or isinstance(found, str)


@given(JSON)
def test_a_value_fits_itself(value: JsonValue) -> None:
    assert misfit(value, {"const": value}) is None
    assert misfit(value, {"not": {"enum": [value]}}) == "the value is what it may not be"
