"""Bedrock's bodies, held against botocore's model of the service: shapes, limits, patterns, and its own parsers."""

from __future__ import annotations

import base64
import binascii
import json
import re
from functools import cache
from typing import Any

import botocore.session
from botocore.eventstream import EventStreamBuffer
from botocore.parsers import create_parser

from tests.vendors.deviations import genuine
from tests.vendors.typed import Problem

Shape = Any
"""A shape or model of botocore, which comes without types."""

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str),
}


@cache
def service() -> Shape:
    """Botocore's model of Bedrock's runtime."""
    return botocore.session.Session().get_service_model("bedrock-runtime")


def request_problems(operation: str, body: object) -> list[Problem]:
    """A request body; members that travel in path and headers are not asked for."""
    return shape_problems(service().operation_model(operation).input_shape, body)


def answer_problems(operation: str, body: object) -> list[Problem]:
    """An answer: of the shape, and botocore's own parser reads it."""
    shape = service().operation_model(operation).output_shape
    found = shape_problems(shape, body)
    if not found:
        text = json.dumps(body).encode()
        create_parser("rest-json").parse({"status_code": 200, "headers": {}, "body": text}, shape)
    return found


def shape_problems(shape: Shape, value: object, path: str = "$") -> list[Problem]:
    """Everything in which a JSON value is not of this shape."""
    match shape.type_name:
        case "structure":
            return _structure_problems(shape, value, path)
        case "list":
            if not isinstance(value, list):
                return [Problem(path, f"{value!r:.60} is no list")]
            inner = [shape_problems(shape.member, item, f"{path}[{index}]") for index, item in enumerate(value)]
            return [*_limits(shape, len(value), path), *(found for items in inner for found in items)]
        case "map":
            if not isinstance(value, dict):
                return [Problem(path, f"{value!r:.60} is no object")]
            inner = [shape_problems(shape.value, item, f"{path}.{name}") for name, item in value.items()]
            return [*_limits(shape, len(value), path), *(found for items in inner for found in items)]
        case "blob":
            return _blob_problems(shape, value, path)
        case _:
            return _scalar_problems(shape, value, path)


def _structure_problems(shape: Shape, value: object, path: str) -> list[Problem]:
    if getattr(shape, "is_document_type", False):
        return []
    if not isinstance(value, dict):
        return [Problem(path, f"{value!r:.60} is no {shape.name}")]
    members = {
        member.serialization.get("name", name): member
        for name, member in shape.members.items()
        if "location" not in member.serialization
    }
    found: list[Problem] = []
    for name, item in value.items():
        if name in members:
            found += shape_problems(members[name], item, f"{path}.{name}")
        else:
            found.append(Problem(f"{path}.{name}", f"{shape.name} has no such member"))
    found += [
        Problem(f"{path}.{name}", f"required by {shape.name}")
        for name in shape.required_members
        if name in members and name not in value
    ]
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        found.append(Problem(path, f"{shape.name} must have exactly one member, not {sorted(value)}"))
    return found


def _blob_problems(shape: Shape, value: object, path: str) -> list[Problem]:
    if not isinstance(value, str):
        return [Problem(path, f"{value!r:.60} is not base64")]
    try:
        return _limits(shape, len(base64.b64decode(value, validate=True)), path)
    except binascii.Error:
        return [Problem(path, f"{value!r:.60} is not base64")]


def _scalar_problems(shape: Shape, value: object, path: str) -> list[Problem]:
    wanted = _KINDS[shape.type_name]
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        return [Problem(path, f"{value!r:.60} is no {shape.type_name}")]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _limits(shape, value, path)
    if not isinstance(value, str):
        return []
    if shape.enum and value not in shape.enum:
        return [Problem(path, f"{value!r:.60} is none of {shape.enum}")]
    pattern = shape.metadata.get("pattern")
    if pattern is not None and not re.fullmatch(pattern, value):
        return [Problem(path, f"{value!r:.60} does not match {pattern}")]
    return _limits(shape, len(value), path)


def _limits(shape: Shape, size: float, path: str) -> list[Problem]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        return [Problem(path, f"{shape.name} must be within {low} and {high}, not {size}")]
    return []


def messages(body: bytes) -> list[Any]:
    """The messages of an event stream as botocore reads them, checksums verified."""
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    return list(buffer)


def stream_problems(operation: str, body: bytes) -> list[Problem]:
    """A stream of events: each of its shape, in an order that says what it is part of."""
    output = service().operation_model(operation).output_shape
    stream = next(member for member in output.members.values() if member.serialization.get("eventstream"))
    found: list[Problem] = []
    kinds: list[str] = []
    for number, message in enumerate(messages(body)):
        if message.headers.get(":message-type") == "error":
            kinds.append("error")
            continue
        kind = message.headers.get(":event-type") or message.headers.get(":exception-type") or ""
        kinds.append(kind)
        if kind not in stream.members:
            found.append(Problem(f"#{number}", f"{kind!r} is no event"))
            continue
        found += shape_problems(stream.members[kind], json.loads(message.payload), f"#{number}")
    if not kinds:
        return [Problem("$", "the stream is empty")]
    return genuine(found) + (_order_problems(kinds) if operation == "ConverseStream" else [])


def _order_problems(kinds: list[str]) -> list[Problem]:
    if kinds[-1] == "error" or kinds[-1].endswith("Exception"):
        return []
    if kinds[0] != "messageStart":
        return [Problem("$", f"begins with {kinds[0]}")]
    if kinds[-2:] != ["messageStop", "metadata"]:
        return [Problem("$", f"ends with {kinds[-3:]}")]
    return []


def error_problems(body: object) -> list[Problem]:
    """An error body; its type travels in a header."""
    message = body.get("message") if isinstance(body, dict) else None
    return [] if isinstance(message, str) else [Problem("$.message", f"{body!r:.80} has none")]
