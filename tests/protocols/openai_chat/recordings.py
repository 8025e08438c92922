"""Recorded exchanges of the OpenAI family, as wire messages and frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from freehold.protocols.codec import Frame, WireRequest, WireResponse

ROOT = Path(__file__).parents[2] / "exchanges"


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def of_wires(*wires: str) -> list[Path]:
    """The recordings in these wire formats, whoever answered."""
    return [path for path in sorted(ROOT.glob("*/*.json")) if load(path)["wire"] in wires]


def recorded(name: str) -> dict[str, Any]:
    """One recording, by folder and name."""
    return load(ROOT / f"{name}.json")


def wire_request(exchange: dict[str, Any]) -> WireRequest:
    request = exchange["request"]
    url = urlsplit(f"//host{request['path']}")
    body = b"" if request["body"] is None else json.dumps(request["body"]).encode()
    return WireRequest(method=request["method"], path=url.path, query=url.query, body=body)


def raw_body(exchange: dict[str, Any]) -> bytes:
    response = exchange["response"]
    return json.dumps(response["body"]).encode() if "body" in response else response["body_text"].encode()


def wire_response(exchange: dict[str, Any]) -> WireResponse:
    headers = tuple((name.lower(), value) for name, value in exchange["response"]["headers"].items())
    return WireResponse(status=exchange["response"]["status"], body=raw_body(exchange), headers=headers)


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


def is_stream(exchange: dict[str, Any]) -> bool:
    return exchange["stream"] and exchange["response"]["status"] == 200
