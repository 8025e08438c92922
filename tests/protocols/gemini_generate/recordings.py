"""Recorded exchanges of this protocol, and what of them the tests compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from freehold.protocols.codec import Frame, WireRequest, WireResponse

ROOT = Path(__file__).parents[2] / "exchanges"
FOLDERS = ("gemini-generate", "gemini-stream", "gemini-count-tokens", "gemini-embeddings", "gemini-predict")
PATHS = tuple(path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.json")))


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def recorded(name: str) -> dict[str, Any]:
    """The exchange of that name, whatever its folder."""
    return load(next(path for path in PATHS if path.stem == name))


def wire_request(exchange: dict[str, Any]) -> WireRequest:
    request = exchange["request"]
    path, _, query = request["path"].partition("?")
    return WireRequest(
        method=request["method"],
        path=path,
        query=query,
        body=b"" if request["body"] is None else json.dumps(request["body"]).encode(),
        headers=tuple(request["headers"].items()),
    )


def wire_response(exchange: dict[str, Any]) -> WireResponse:
    response = exchange["response"]
    body = response["body_text"] if "body_text" in response else json.dumps(response["body"])
    return WireResponse(status=response["status"], body=body.encode(), headers=tuple(response["headers"].items()))


def frames(exchange: dict[str, Any]) -> list[Frame]:
    """The chunks of a recorded stream, in either framing."""
    text = exchange["response"].get("body_text", "")
    if text.lstrip().startswith("["):
        return [Frame(data=json.dumps(chunk).encode()) for chunk in json.loads(text)]
    return [Frame(data=line[5:].strip().encode()) for line in text.splitlines() if line.startswith("data:")]
