"""Responses as OpenAI serves them, written by hand after recordings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.upstreams import openai_chat
from tests.upstreams.scenarios import Call, Fault, Heard, Said
from tests.upstreams.server import Asked, Reply
from tests.upstreams.validation import WrongRequestError, as_object, check
from tests.vendors import openai_types

PROOF = "gAAAAABo-upstream_encrypted-reasoning_0123456789=="


class OpenAIResponses:
    """`POST /v1/responses`, without stored state."""

    proof: str | None = PROOF
    key: tuple[str, str] = ("authorization", "Bearer sk-upstream-openai")
    own_headers: frozenset[str] = frozenset({"openai-beta"})

    def __init__(self, path: str = "/v1/responses") -> None:
        self._path = path

    def read(self, asked: Asked) -> tuple[Heard, bool]:
        """Raises WrongRequestError for what OpenAI would refuse, and for state that nobody asked to leave there."""
        if asked.path != self._path:
            raise WrongRequestError(f"OpenAI serves nothing at {asked.path}")
        body = as_object(asked.body)
        check(body, *openai_types.REQUESTS["responses"])
        if body.get("store") is not False:
            raise WrongRequestError("store must be false: nobody asked for state at the provider")
        return hear(body), body.get("stream") is True

    def whole(self, asked: Asked, said: Said) -> Reply:
        headers = (openai_chat.JSON, ("x-request-id", openai_chat.REQUEST_ID))
        return Reply(headers=headers, body=json.dumps(_response(as_object(asked.body), said)).encode())

    def pieces(self, asked: Asked, said: Said) -> list[bytes]:
        return [_framed(number, value) for number, value in enumerate(_events(as_object(asked.body), said))]

    def refuse(self, fault: Fault) -> Reply:
        return openai_chat.refusal(fault)

    def broken_off(self, asked: Asked, fault: Fault) -> bytes:
        error = openai_chat.error_value(fault)["error"]
        return _framed(9, {"type": "error", "code": "server_error", "message": error["message"], "param": None})

    @property
    def stream_headers(self) -> tuple[tuple[str, str], ...]:
        return (openai_chat.SSE, ("x-request-id", openai_chat.REQUEST_ID))


def _framed(number: int, value: Mapping[str, Any]) -> bytes:
    numbered = {"type": value["type"], "sequence_number": number, **value}
    return f"event: {value['type']}\ndata: {json.dumps(numbered)}\n\n".encode()


def _items(said: Said) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if said.thought:
        summary = [{"type": "summary_text", "text": "".join(said.thought)}]
        items.append({"id": "rs_0e06", "type": "reasoning", "encrypted_content": PROOF, "summary": summary})
    if said.text:
        content = [{"type": "output_text", "annotations": [], "logprobs": [], "text": said.whole}]
        items.append(
            {"id": "msg_0e06", "type": "message", "status": "completed", "content": content, "role": "assistant"}
        )
    items.extend(_call(index, call) for index, call in enumerate(said.calls))
    return items


def _call(index: int, call: Call) -> dict[str, Any]:
    return {
        "id": f"fc_0e06{index}",
        "type": "function_call",
        "status": "completed",
        "arguments": call.arguments or "{}",
        "call_id": openai_chat.call_id(index),
        "name": call.name,
    }


def _response(body: Mapping[str, Any], said: Said | None) -> dict[str, Any]:
    """The response object; without `said` as it stands when the stream begins."""
    status = "in_progress" if said is None else "incomplete" if said.stop == "length" else "completed"
    value: dict[str, Any] = {
        "id": "resp_0e0644cfe502d357",
        "object": "response",
        "created_at": 1761175240,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": "gpt-5-2025-08-07",
        "output": [] if said is None else _items(said),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }
    if said is not None:
        value["usage"] = {
            "input_tokens": said.prompt,
            "input_tokens_details": {"cached_tokens": said.cached},
            "output_tokens": said.output,
            "output_tokens_details": {"reasoning_tokens": said.reasoning},
            "total_tokens": said.prompt + said.output,
        }
    return value


def _events(body: Mapping[str, Any], said: Said) -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "response": _response(body, None)}
    yield {"type": "response.in_progress", "response": _response(body, None)}
    calls = iter(said.calls)
    for index, item in enumerate(_items(said)):
        place = {"output_index": index}
        match item["type"]:
            case "reasoning":
                inside = _thought(item, said, place)
                empty = {**item, "summary": [], "encrypted_content": "gAAAAABo-not-yet"}
            case "message":
                inside = _message(item, said, place)
                empty = {**item, "content": [], "status": "in_progress"}
            case _:
                inside = _arguments(item, next(calls), place)
                empty = {**item, "arguments": "", "status": "in_progress"}
        yield {"type": "response.output_item.added", **place, "item": empty}
        yield from inside
        yield {"type": "response.output_item.done", **place, "item": item}
    whole = _response(body, said)
    yield {"type": f"response.{whole['status']}", "response": whole}


def _thought(item: dict[str, Any], said: Said, place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    place = {**place, "item_id": item["id"], "summary_index": 0}
    text = "".join(said.thought)
    yield {"type": "response.reasoning_summary_part.added", **place, "part": {"type": "summary_text", "text": ""}}
    for piece in said.thought:
        yield {"type": "response.reasoning_summary_text.delta", **place, "delta": piece, "obfuscation": "Xw7"}
    yield {"type": "response.reasoning_summary_text.done", **place, "text": text}
    yield {"type": "response.reasoning_summary_part.done", **place, "part": {"type": "summary_text", "text": text}}


def _message(item: dict[str, Any], said: Said, place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    place = {**place, "item_id": item["id"], "content_index": 0}
    part = item["content"][0]
    yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
    for piece in said.text:
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": [], "obfuscation": "pQ"}
    yield {"type": "response.output_text.done", **place, "text": said.whole, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}


def _arguments(item: dict[str, Any], call: Call, place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    place = {**place, "item_id": item["id"]}
    for piece in call.pieces if call.arguments else ("{}",):
        yield {"type": "response.function_call_arguments.delta", **place, "delta": piece, "obfuscation": "a"}
    yield {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]}


def hear(body: Mapping[str, Any]) -> Heard:
    """What a request holds. Raises WrongRequestError where calls and results do not fit."""
    heard = Heard(
        tools=[tool["name"] for tool in body.get("tools") or [] if tool["type"] == "function"],
        limit=body.get("max_output_tokens"),
        stops=None,
    )
    if body.get("instructions"):
        heard.systems.append(body["instructions"])
    shape = (body.get("text") or {}).get("format") or {}
    if shape.get("type") == "json_schema":
        heard.schema = shape["schema"]
    given = body.get("input", [])
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        _hear_item(item, heard)
    missing = {call for call, _ in heard.calls} ^ {call for call, _ in heard.results}
    if missing:
        raise WrongRequestError(f"no tool output, or no call, for {missing}")
    return heard


def _hear_item(item: Mapping[str, Any], heard: Heard) -> None:
    match item.get("type", "message"):
        case "function_call":
            json.loads(item["arguments"])
            heard.calls.append((item["call_id"], item["arguments"]))
        case "function_call_output":
            output = item["output"]
            text = output if isinstance(output, str) else "".join(part["text"] for part in output)
            heard.results.append((item["call_id"], text))
        case "reasoning":
            if item.get("encrypted_content"):
                heard.proofs.append(item["encrypted_content"])
        case "message":
            _hear_message(item, heard)
        case _:
            pass


def _hear_message(item: Mapping[str, Any], heard: Heard) -> None:
    content = item["content"]
    kind = "output_text" if item["role"] == "assistant" else "input_text"
    parts = [{"type": kind, "text": content}] if isinstance(content, str) else content
    if item["role"] in {"system", "developer"}:
        heard.systems.append("".join(part["text"] for part in parts))
    for part in parts:
        match part["type"]:
            case "input_image":
                heard.images.append(openai_chat.from_data_url(part["image_url"]))
            case "input_file":
                heard.documents.append(openai_chat.from_data_url(part["file_data"]))
            case "output_text" if item["role"] != "assistant":
                raise WrongRequestError("output_text is the assistant's")
            case "input_text" if item["role"] == "assistant":
                raise WrongRequestError("an assistant's text is output_text")
            case _:
                pass
