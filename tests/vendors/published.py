"""JSON held against the schemas that the vendors publish: OpenAPI, JSON Schema, Google's discovery document.

`jsonschema` judges. What it is given differs from the files in three ways: an object has no members but those that are
named, in a union the alternative that was meant says what is wrong, and Google's formats are patterns.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from tests.vendors.typed import Problem

FOLDER = Path(__file__).parent / "specifications"

Source = Literal["openai-openapi", "anthropic-messages", "google-genai", "google-aiplatform-v1"]
Json: TypeAlias = dict[str, Any]
Untyped: TypeAlias = Any
"""What jsonschema hands to a keyword comes without useful types."""

_GOOGLE_FORMATS: Mapping[str, Json] = {
    # Either alphabet: Google reads both.
    "byte": {"type": "string", "pattern": "^(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}$"},
    # As text, for JSON's numbers are too small; it is read as a number, too.
    "int64": {"type": ["string", "integer"], "pattern": "^-?[0-9]+$"},
    "uint64": {"type": ["string", "integer"], "pattern": "^[0-9]+$", "minimum": 0},
    "int32": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "uint32": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    "google-duration": {"type": "string", "pattern": r"^-?[0-9]+(?:\.[0-9]{1,9})?s$"},
}


class Schema(NamedTuple):
    """One definition of one of the files."""

    source: Source
    name: str


# Google's package has no model of whole requests, and so the file generated from it has none.
_COMPOSED: Mapping[Source, Mapping[str, Json]] = {
    "google-genai": {
        "GenerateContentRequest": {
            "type": "object",
            "required": ["contents"],
            "properties": {
                "contents": {"type": "array", "items": {"$ref": "Content"}},
                "systemInstruction": {"$ref": "Content"},
                "tools": {"type": "array", "items": {"$ref": "Tool"}},
                "toolConfig": {"$ref": "ToolConfig"},
                "safetySettings": {"type": "array", "items": {"$ref": "SafetySetting"}},
                "generationConfig": {
                    "type": "object",
                    "additionalProperties": {},
                    "properties": {"thinkingConfig": {"$ref": "ThinkingConfig"}},
                },
                "cachedContent": {"type": "string"},
                "model": {"type": "string"},
            },
        },
        "CountTokensRequest": {
            "type": "object",
            "properties": {
                "contents": {"type": "array", "items": {"$ref": "Content"}},
                "generateContentRequest": {"$ref": "GenerateContentRequest"},
            },
        },
    },
}


def problems(value: object, schema: Schema, path: str = "$") -> list[Problem]:
    """Everything in which the JSON value is not as the vendor describes it."""
    return [Problem(path + _spelled(error), error.message) for error in _validator(schema).iter_errors(value)]


def _spelled(error: ValidationError) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)


@cache
def _validator(schema: Schema) -> Untyped:
    judge = extend(
        Draft202012Validator,
        {
            "$ref": _by_name(_definitions(schema.source)),
            "anyOf": _one_of_several(_definitions(schema.source)),
            "additionalProperties": _unknown_member,
        },
    )
    return judge({"$ref": schema.name})


# --- How jsonschema reads a few keywords -----------------------------------------------------------------------------


def _by_name(definitions: Mapping[str, Json]) -> Untyped:
    def keyword(validator: Untyped, name: str, instance: object, schema: Json) -> Iterator[ValidationError]:
        yield from validator.descend(instance, definitions[name])

    return keyword


def _unknown_member(validator: Untyped, rest: object, instance: object, schema: Json) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    known = schema.get("properties", {})
    for name, item in instance.items():
        if name in known:
            continue
        if rest is False:
            yield ValidationError(f"{schema.get('title', 'the object')} has no such member", path=[name])
        else:
            yield from validator.descend(item, rest, path=name)


def _one_of_several(definitions: Mapping[str, Json]) -> Untyped:
    def keyword(validator: Untyped, schemas: list[Json], instance: object, schema: Json) -> Iterator[ValidationError]:
        nearest: list[ValidationError] | None = None
        for alternative in schemas:
            if not _meant(alternative, instance, definitions):
                continue
            found: list[ValidationError] = list(validator.descend(instance, alternative))
            if not found:
                return
            if nearest is None or _nearness(found) > _nearness(nearest):
                nearest = found
        yield from [ValidationError(f"{instance!r:.60} is none of the alternatives")] if nearest is None else nearest

    return keyword


def _nearness(found: list[ValidationError]) -> tuple[int, int]:
    return min(len(error.path) for error in found), -len(found)


_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int, float),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def _meant(schema: Json, instance: object, definitions: Mapping[str, Json]) -> bool:
    """Whether a value may be meant to be of this schema: the kind of JSON fits, and its tag, if it has one."""
    if "$ref" in schema:
        return _meant(definitions[schema["$ref"]], instance, definitions)
    if "anyOf" in schema:
        return any(_meant(alternative, instance, definitions) for alternative in schema["anyOf"])
    kind = schema.get("type")
    if isinstance(kind, str) and not isinstance(instance, _TYPES[kind]):
        return False
    if not isinstance(instance, dict):
        return True
    for tag in ("type", "role", "object"):
        wanted = schema.get("properties", {}).get(tag, {})
        values = wanted.get("enum", [wanted["const"]] if "const" in wanted else None)
        if values is not None and tag in instance and instance[tag] not in values:
            return False
    return True


# --- How the files are read ------------------------------------------------------------------------------------------


@cache
def _definitions(source: Source) -> Mapping[str, Json]:
    document = json.loads(lzma.decompress((FOLDER / f"{source}.json.xz").read_bytes()))
    match source:
        case "openai-openapi":
            raw = document["components"]["schemas"]
        case "google-aiplatform-v1":
            raw = {_short(name): schema for name, schema in document["schemas"].items()}
        case _:
            raw = {**document["$defs"], **document["roots"]}
    raw = {**raw, **_COMPOSED.get(source, {})}
    # What the packages' models say of unknown members is how they read them, not what the API has.
    open_is_meant = source == "openai-openapi"
    return {name: {**_read(schema, raw, open_is_meant=open_is_meant), "title": name} for name, schema in raw.items()}


_KEPT = frozenset(
    {
        "type",
        "enum",
        "const",
        "required",
        "pattern",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "maxProperties",
        "propertyNames",
    }
)
_TURNED = frozenset(
    {"$ref", "allOf", "anyOf", "oneOf", "items", "properties", "additionalProperties", "nullable", "$recursiveRef"}
)
_SAY_NOTHING = frozenset(
    {
        "id",
        "title",
        "description",
        "default",
        "deprecated",
        "readOnly",
        "enumDeprecated",
        # A hint which alternative is meant; the alternatives' own tags say it, too.
        "discriminator",
        # OpenAI's formats are not checked; of Google's, those that say something are patterns.
        "format",
        "$recursiveAnchor",
    }
)


def _read(schema: Untyped, raw: Mapping[str, Json], *, open_is_meant: bool) -> Json:
    """A schema of one of the files as jsonschema is given it. Raises ValueError for a keyword it does not know."""
    if schema is True:
        return {}
    unknown = {name for name in schema.keys() - _KEPT - _TURNED - _SAY_NOTHING if not name.startswith("x-")}
    if unknown:
        raise ValueError(f"what does {sorted(unknown)} mean in {schema!r:.200}?")

    def read(inner: Untyped) -> Json:
        return _read(inner, raw, open_is_meant=open_is_meant)

    alternatives = schema.get("anyOf", schema.get("oneOf"))
    if "$ref" in schema:
        made: Json = {"$ref": _short(schema["$ref"])}
    elif "allOf" in schema:
        made = read(_merged(schema["allOf"], raw))
    elif alternatives is not None:
        made = {"anyOf": [read(alternative) for alternative in alternatives]}
    elif schema.get("type") == "any" or "$recursiveRef" in schema:
        made = {}
    elif schema.get("format") in _GOOGLE_FORMATS:
        made = dict(_GOOGLE_FORMATS[schema["format"]])
    else:
        made = {name: value for name, value in schema.items() if name in _KEPT}
        if "items" in schema:
            made["items"] = read(schema["items"])
        rest = schema.get("additionalProperties")
        if "properties" in schema:
            made["properties"] = {name: read(inner) for name, inner in schema["properties"].items()}
            rest = False if rest is None or (rest is True and not open_is_meant) else rest
        if rest is not None:
            made["additionalProperties"] = rest if rest is False else read(rest)
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") is True else made


def _short(reference: str) -> str:
    """The name of a definition, without its place and without what most names of the discovery document begin with."""
    return reference.rpartition("/")[2].removeprefix("GoogleCloudAiplatformV1")


def _merged(parts: list[Json], raw: Mapping[str, Json]) -> Json:
    """Objects that are one together; closed one by one, each would refuse the others' members."""
    whole: Json = {"type": "object", "properties": {}, "required": []}
    for part in parts:
        found = part
        while "$ref" in found:
            found = raw[_short(found["$ref"])]
        if "allOf" in found:
            found = _merged(found["allOf"], raw)
        whole["properties"] |= found.get("properties", {})
        whole["required"] += found.get("required", [])
    return whole
