"""botocore's own description of Bedrock: what it would refuse to send, and how it reads an answer."""

from __future__ import annotations

import base64
import json
import re
from functools import cache
from typing import Any

import botocore.session
from botocore.eventstream import EventStream
from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.validate import ParamValidator

from freehold.protocols.codec import Frame, WireResponse
from freehold.transport.framing import frame_writer


@cache
def operation(name: str) -> OperationModel:
    session = botocore.session.get_session()
    return session.get_service_model("bedrock-runtime").operation_model(name)


def problems(body: dict[str, Any], name: str) -> list[str]:
    """What is wrong with a request's body."""
    shape = operation(name).input_shape
    found: list[str] = []
    params = _params(body, shape, "", found)
    params["modelId"] = "m"
    report = ParamValidator().validate(params, shape)
    if report.has_errors():
        found.append(report.generate_report())
    return found


def _params(value: Any, shape: Any, path: str, found: list[str]) -> Any:  # noqa: ANN401 -- JSON meets untyped shapes
    """JSON as botocore's parameters; members, patterns, enumerations and ranges that do not fit are noted."""
    if getattr(shape, "is_document_type", False):
        return value
    match shape.type_name:
        case "structure":
            found.extend(f"{path}.{name} is unknown" for name in value if name not in shape.members)
            return {
                name: _params(item, shape.members[name], f"{path}.{name}", found)
                for name, item in value.items()
                if name in shape.members
            }
        case "list":
            return [_params(item, shape.member, f"{path}[]", found) for item in value]
        case "map":
            return {name: _params(item, shape.value, f"{path}.{name}", found) for name, item in value.items()}
        case "blob":
            return base64.b64decode(value, validate=True)
        case _:
            _check(value, shape.metadata, path, found)
            return value


def _check(value: str | float, limits: dict[str, Any], path: str, found: list[str]) -> None:
    size = len(value) if isinstance(value, str) else value
    if "max" in limits and size > limits["max"]:
        found.append(f"{path} is too large")
    if "pattern" in limits and not re.fullmatch(limits["pattern"], str(value)):
        found.append(f"{path} does not fit {limits['pattern']}")
    if "enum" in limits and value not in limits["enum"]:
        found.append(f"{path} is none of {limits['enum']}")


def parsed(wire: WireResponse, name: str) -> dict[str, Any]:
    """An answer, or an error, as boto3 gives it."""
    response = {"status_code": wire.status, "headers": dict(wire.headers), "body": wire.body}
    return create_parser("rest-json").parse(response, operation(name).output_shape)


class _Raw:
    """A connection that gives all its bytes at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self) -> list[bytes]:
        return [self._data]

    def close(self) -> None:
        pass


def streamed(frames: list[Frame], name: str) -> list[dict[str, Any]]:
    """A stream as boto3 gives it. Raises EventStreamError for an exception frame."""
    writer = frame_writer("event-stream")
    data = b"".join(writer.write(frame) for frame in frames)
    shape = operation(name).get_event_stream_output()
    return list(EventStream(_Raw(data), shape, create_parser("rest-json")._event_stream_parser, name))


def values(frames: list[Frame]) -> list[tuple[str | None, Any]]:
    """Frames as (event, JSON)."""
    return [(frame.event, json.loads(frame.data)) for frame in frames]
