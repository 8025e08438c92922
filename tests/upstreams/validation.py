"""Requests checked against the vendors' own types, strictly: unknown members are refused.

TypedDicts of the `openai` and `anthropic` packages become JSON Schemas by pydantic; `google-genai`'s models refuse
unknown members by themselves; Bedrock's service model of botocore is walked shape by shape.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import warnings
from typing import Any, TypeAlias, cast

import jsonschema
from jsonschema.exceptions import best_match
from pydantic import ConfigDict, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

Untyped: TypeAlias = Any
"""Shapes of botocore and schemas of pydantic come without useful types."""


class WrongRequestError(Exception):
    """A request that the vendor would refuse; the message says where."""


class _Lenient(GenerateJsonSchema):
    """Python-only alternatives (open files) have no JSON form: nothing matches them."""

    def handle_invalid_for_json_schema(self, schema: Untyped, error_info: str) -> Untyped:
        return {"not": {}}


@functools.cache
def schema_of(kind: type) -> jsonschema.Draft202012Validator:
    """A validator for a TypedDict of a vendor's package; every object in it is closed."""
    kind.__pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)  # type: ignore[attr-defined]  -- where pydantic looks for it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # defaults that have no JSON form
        schema = TypeAdapter(kind).json_schema(schema_generator=_Lenient)
    for definition in schema.get("$defs", {}).values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    return jsonschema.Draft202012Validator(schema)


def check_typed(kind: type, body: object) -> None:
    """Raises WrongRequestError with the deepest reason."""
    error = best_match(schema_of(kind).iter_errors(cast("Any", body)))
    if error is not None:
        path = "".join(f"[{part!r}]" for part in error.absolute_path)
        raise WrongRequestError(f"{kind.__name__}{path}: {error.message[:600]}")


def check_shape(shape: Untyped, value: object, path: str = "") -> None:
    """A JSON value against a shape of botocore's model; `path` is where it stands."""
    match shape.type_name:
        case "structure":
            _check_structure(shape, value, path)
        case "list":
            if not isinstance(value, list):
                raise WrongRequestError(f"{path}: {shape.name} must be a list, not {value!r:.80}")
            for index, item in enumerate(value):
                check_shape(shape.member, item, f"{path}[{index}]")
        case "map":
            if not isinstance(value, dict):
                raise WrongRequestError(f"{path}: {shape.name} must be an object, not {value!r:.80}")
            for key, item in value.items():
                check_shape(shape.value, item, f"{path}[{key!r}]")
        case "blob":
            try:
                base64.b64decode(cast("str", value), validate=True)
            except (binascii.Error, TypeError, ValueError):
                raise WrongRequestError(f"{path}: not base64: {value!r:.80}") from None
        case _:
            _check_scalar(shape, value, path)


def _check_structure(shape: Untyped, value: object, path: str) -> None:
    if getattr(shape, "is_document_type", False):
        return
    if not isinstance(value, dict):
        raise WrongRequestError(f"{path}: {shape.name} must be an object, not {value!r:.80}")
    members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
    for name, item in value.items():
        member = members.get(name)
        if member is None:
            raise WrongRequestError(f"{path}.{name}: {shape.name} has no such member")
        check_shape(member, item, f"{path}.{name}")
    for name in shape.required_members:
        if name not in value and not shape.members[name].serialization.get("location"):
            raise WrongRequestError(f"{path}.{name}: required by {shape.name}")
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        raise WrongRequestError(f"{path}: exactly one member of {shape.name}, not {sorted(value)}")


def _check_scalar(shape: Untyped, value: object, path: str) -> None:
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "boolean": (bool,),
        "integer": (int,),
        "long": (int,),
        "float": (int, float),
        "double": (int, float),
        "timestamp": (int, float, str),
    }
    wanted = kinds[shape.type_name]
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise WrongRequestError(f"{path}: {shape.name} must be {shape.type_name}, not {value!r:.80}")
    if getattr(shape, "enum", None) and value not in shape.enum:
        raise WrongRequestError(f"{path}: {value!r} is none of {shape.enum}")
    size = len(value) if isinstance(value, str) else value
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if isinstance(size, int | float) and ((low is not None and size < low) or (high is not None and size > high)):
        raise WrongRequestError(f"{path}: {shape.name} must be within {low} and {high}, not {size}")


def as_object(body: bytes) -> dict[str, Any]:
    """A body that is a JSON object. Raises WrongRequestError."""
    try:
        value = json.loads(body)
    except ValueError as error:
        raise WrongRequestError(f"the body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise WrongRequestError("the body is no JSON object")
    return value
