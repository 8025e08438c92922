"""Recorded exchanges of this protocol, whoever answered, and how tests read them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from freehold.protocols.codec import Frame, WireRequest, WireResponse

ROOT = Path(__file__).parents[2] / "exchanges"
FOLDERS = ("openai-responses", "azure-openai-responses", "bedrock-mantle", "deepseek", "openrouter", "xai")


@cache
def exchanges() -> tuple[dict[str, Any], ...]:
    """All of them, in a stable order."""
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.json"))]
    loaded = [json.loads(path.read_text()) for path in paths]
    return tuple(exchange for exchange in loaded if exchange["wire"] == "openai-responses")


def recorded(name: str) -> dict[str, Any]:
    return next(exchange for exchange in exchanges() if exchange["id"] == name)


def name_of(exchange: dict[str, Any]) -> str:
    return f"{exchange['protocol']}/{exchange['id']}"


def with_request() -> list[dict[str, Any]]:
    return [one for one in exchanges() if one["request"] and isinstance(one["request"]["body"], dict)]


def answered() -> list[dict[str, Any]]:
    return [one for one in exchanges() if one["response"]["status"] < 400 and "body" in one["response"]]


def streamed() -> list[dict[str, Any]]:
    return [one for one in exchanges() if one["response"]["status"] < 400 and "body_text" in one["response"]]


def refused() -> list[dict[str, Any]]:
    return [one for one in exchanges() if one["response"]["status"] >= 400]


def wire_request(exchange: dict[str, Any]) -> WireRequest:
    request = exchange["request"]
    url = urlsplit(request["path"])
    body = json.dumps(request["body"]).encode()
    return WireRequest(method=request["method"], path=url.path, query=url.query, body=body)


def wire_response(exchange: dict[str, Any]) -> WireResponse:
    response = exchange["response"]
    body = response["body_text"] if "body_text" in response else json.dumps(response["body"])
    return WireResponse(status=response["status"], body=body.encode(), headers=tuple(response["headers"].items()))


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
