"""Recorded exchanges of this protocol, and what of them the tests compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from freehold.protocols.codec import Frame, WireRequest, WireResponse

ROOT = Path(__file__).parents[2] / "exchanges"
FOLDERS = ("anthropic-messages", "vertex-anthropic", "anthropic-count-tokens", "anthropic-models")
PATHS = tuple(path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.json")))


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def recorded(name: str) -> dict[str, Any]:
    """The exchange of that name, whatever its folder."""
    return load(next(path for path in PATHS if path.stem == name))


def wire_request(exchange: dict[str, Any]) -> WireRequest:
    request = exchange["request"]
    url = urlsplit(request["path"])
    return WireRequest(
        method=request["method"],
        path=url.path,
        query=url.query,
        body=b"" if request["body"] is None else json.dumps(request["body"]).encode(),
        headers=tuple(request["headers"].items()),
    )


def wire_response(exchange: dict[str, Any]) -> WireResponse:
    response = exchange["response"]
    return WireResponse(
        status=response["status"],
        body=json.dumps(response["body"]).encode(),
        headers=tuple(response["headers"].items()),
    )


def frames(exchange: dict[str, Any]) -> list[Frame]:
    """The events of a recorded stream."""
    found: list[Frame] = []
    for block in exchange["response"]["body_text"].replace("\r\n", "\n").split("\n\n"):
        lines = [line.partition(":") for line in block.split("\n")]
        data = "\n".join(value.removeprefix(" ") for name, _, value in lines if name == "data")
        if data:
            event = next((value.strip() for name, _, value in lines if name == "event"), None)
            found.append(Frame(event=event, data=data.encode()))
    return found
