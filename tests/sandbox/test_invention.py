"""Invented values fit the schemas that they are invented for."""

import jsonschema
import pytest

from freehold.ir import JsonObject
from freehold.sandbox.invention import invent

SCHEMAS: list[JsonObject] = [
    {"type": "string"},
    {"type": "string", "minLength": 20, "maxLength": 30},
    {"type": "integer", "minimum": 100},
    {"type": "number", "maximum": -1},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["null", "integer"]},
    {"enum": ["a", 2]},
    {"const": {"fixed": True}},
    {"anyOf": [{"type": "null"}, {"type": "string"}]},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3},
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}}, "required": ["b"]},
    {
        "type": "object",
        "properties": {"child": {"$ref": "#/$defs/node"}},
        "$defs": {"node": {"type": "object", "properties": {"child": {"$ref": "#/$defs/node"}}}},
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_the_value_fits_its_schema(schema: JsonObject) -> None:
    jsonschema.validate(invent(schema, "Paris"), schema)


def test_types_in_capitals_are_the_same_types() -> None:
    assert invent({"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}, "Paris") == {"city": "Paris"}


def test_a_choice_that_is_spoken_of_is_taken() -> None:
    assert invent({"enum": ["Rome", "Paris"]}, "Paris") == "Paris"
