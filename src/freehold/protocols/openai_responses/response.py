"""Answers: the response object, its usage and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import msgspec

from freehold.errors import CallerError
from freehold.ir import (
    CachePoint,
    Choice,
    Extra,
    Finish,
    FinishKind,
    Generate,
    JsonObject,
    JsonValue,
    Losses,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Request,
    Response,
    Result,
    Structured,
    Text,
    TokenCount,
    ToolCall,
    ToolResult,
    Usage,
    parse_json,
    write_json,
)
from freehold.ir.fold import raise_failure
from freehold.protocols.codec import Encoded, Stamp, Unsupported, WireResponse, garbled
from freehold.protocols.openai_responses.calls import call_item
from freehold.protocols.openai_responses.errors import failure_in
from freehold.protocols.openai_responses.items import (
    opens_item,
    read_item,
    reasoning_item,
    runs,
    write_message,
)
from freehold.protocols.openai_responses.language import LANGUAGE, NAME, PLACE, carry, keep, ours, usable
from freehold.protocols.openai_responses.request import write_generate
from freehold.protocols.openai_responses.residual import residual, restore
from freehold.protocols.openai_responses.tools import places_of_calls

_COUNTED: Final = "response.input_tokens"

ECHO: Final = frozenset(
    {
        "error", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls",
        "previous_response_id", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "reasoning",
        "safety_identifier", "store", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p",
        "truncation", "user", "background", "frequency_penalty", "presence_penalty", "prompt", "service_tier",
        "conversation", "completed_at", "context_management",
    }
)  # fmt: skip
"""Members of a response that repeat its request or stand on every one; they mean nothing to another language."""

_REASON_OF_KIND: dict[FinishKind, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
_KIND_OF_REASON: dict[str, FinishKind] = {reason: kind for kind, reason in _REASON_OF_KIND.items()}
_GROWING = frozenset({"status", "incomplete_details", "output", "usage"})
"""Members of a response that change while it is streamed."""

_UNFINISHED = frozenset({"in_progress", "queued"})

# --- Reading ---------------------------------------------------------------------------------------------------------


def decode_response(wire: WireResponse) -> Result:
    """Raises UpstreamError for garbage and for a response that failed."""
    try:
        body = parse_json(wire.body)
    except CallerError as error:
        raise garbled(NAME, error.message, wire.body) from None
    if not isinstance(body, dict):
        raise garbled(NAME, "not a JSON object", wire.body)
    match body:
        case {"object": "response.input_tokens", "input_tokens": int(count)} if not isinstance(count, bool):
            left = residual(body, {"object": _COUNTED, "input_tokens": count})
            return TokenCount(origin=NAME, input_tokens=count, extra=keep(left))
        case {"status": "failed"} | {"error": dict() | str()}:
            raise raise_failure(failure_in(body))
        case {"output": list()}:
            return read_response(body)
        case _:
            raise garbled(NAME, "no output", wire.body)


def read_response(body: JsonObject) -> Response:
    """A whole response object. Raises UpstreamError."""
    parts: list[Part] = []
    output = body.get("output")
    for item in output if isinstance(output, list) else ():
        if not isinstance(item, dict):
            raise garbled(NAME, "an output item that is not an object")
        parts.extend(read_item(item))
    choice = Choice(parts=tuple(parts), finish=read_finish(body, parts))
    usage = body.get("usage")
    bare = Response(
        origin=NAME,
        choices=(choice,),
        id=_str(body.get("id")),
        model=_str(body.get("model")),
        created=_int(body.get("created_at")),
        usage=read_usage(usage) if isinstance(usage, dict) else None,
    )
    return msgspec.structs.replace(bare, extra=_read_extra(body, _object(bare, choice.finish, output)))


def read_head(body: JsonObject) -> Response:
    """What a response object says before, and apart from, its output: who answers, when, and to what."""
    bare = Response(
        origin=NAME,
        choices=(),
        id=_str(body.get("id")),
        model=_str(body.get("model")),
        created=_int(body.get("created_at")),
    )
    head = {name: value for name, value in body.items() if name not in _GROWING}
    expected = {name: value for name, value in _object(bare, None, None).items() if name not in _GROWING}
    return msgspec.structs.replace(bare, extra=_read_extra(head, expected))


def _read_extra(body: JsonObject, expected: JsonObject) -> Extra:
    """What is left of a response object, with the members that everybody repeats set apart in `echo`."""
    left = residual(body, expected)
    echo: JsonObject = {name: left.pop(name) for name in list(left) if name in ECHO}
    return Extra(LANGUAGE, {"echo": echo, **left})


def _str(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def _int(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_finish(body: JsonObject, parts: list[Part] | tuple[Part, ...]) -> Finish | None:
    """How a response ended, looked up in its content where the status does not tell; None if it has not."""
    status = body.get("status")
    match status, body.get("incomplete_details"):
        case "completed", _:
            return Finish(kind=_kind_of_content(parts), raw="completed", origin=NAME)
        case "incomplete", {"reason": str(reason)}:
            return Finish(kind=_KIND_OF_REASON.get(reason, "other"), raw=reason, origin=NAME)
        case "incomplete", _:
            return Finish(kind="other", raw="incomplete", origin=NAME)
        case str(), _ if status not in _UNFINISHED:
            return Finish(kind="other", raw=status, origin=NAME)
        case _:
            return None


def _kind_of_content(parts: list[Part] | tuple[Part, ...]) -> FinishKind:
    kind: FinishKind = "stop"
    for part in parts:
        if isinstance(part, ToolCall):
            return "tool_calls"
        if isinstance(part, Refusal):
            kind = "refusal"
    return kind


def read_usage(wire: JsonObject) -> Usage:
    """Usage: cached tokens are part of the input, reasoning is part of the output."""
    inside, outside = wire.get("input_tokens_details"), wire.get("output_tokens_details")
    details = inside if isinstance(inside, dict) else {}
    bare = Usage(
        input_tokens=_int(wire.get("input_tokens")),
        output_tokens=_int(wire.get("output_tokens")),
        cache_read=_int(details.get("cached_tokens")),
        cache_write=_int(details.get("cache_write_tokens")),
        reasoning=_int(outside.get("reasoning_tokens")) if isinstance(outside, dict) else None,
    )
    # Always with an extra: it tells our own usage, where some numbers are not said, from one that must be complete.
    return msgspec.structs.replace(bare, extra=Extra(LANGUAGE, residual(wire, _said_usage(bare))))


# --- Writing ---------------------------------------------------------------------------------------------------------


def _said_usage(usage: Usage) -> JsonObject:
    """Our own usage: the numbers that were said."""
    inside: JsonObject = {}
    if usage.cache_read is not None:
        inside["cached_tokens"] = usage.cache_read
    if usage.cache_write is not None:
        inside["cache_write_tokens"] = usage.cache_write
    written: JsonObject = {"input_tokens": usage.input_tokens}
    if inside:
        written["input_tokens_details"] = inside
    written["output_tokens"] = usage.output_tokens
    if usage.reasoning is not None:
        written["output_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    written["total_tokens"] = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    return written


def _full_usage(usage: Usage) -> JsonObject:
    """Another language's usage: every number that the SDKs' models require."""
    inputs, outputs = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        "input_tokens": inputs,
        "input_tokens_details": {"cached_tokens": usage.cache_read or 0, "cache_write_tokens": usage.cache_write or 0},
        "output_tokens": outputs,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": inputs + outputs,
    }


def write_usage(usage: Usage | None, losses: Losses) -> JsonObject | None:
    """Usage with our own extras; null where nothing is known."""
    if usage is None:
        return None
    written = _full_usage(usage) if ours(usage.extra) is None else _said_usage(usage)
    return carry(written, usage.extra, losses, "usage")


def _object(response: Response, finish: Finish | None, output: JsonValue) -> JsonObject:
    """A response object without what repeats its request."""
    status, reason = status_of(finish)
    return {
        "id": response.id,
        "object": "response",
        "created_at": response.created,
        "status": status,
        "incomplete_details": None if reason is None else {"reason": reason},
        "model": response.model,
        "output": output,
        "usage": None if response.usage is None else write_usage(response.usage, Losses()),
    }


def status_of(finish: Finish | None) -> tuple[str, str | None]:
    """The status that says how an answer ended, and the reason where that is incomplete."""
    if finish is None:
        return "completed", None
    if finish.kind in _REASON_OF_KIND:
        return "incomplete", _REASON_OF_KIND[finish.kind]
    if finish.kind == "error":
        return "failed", None
    if finish.origin == NAME and finish.kind == "other" and finish.raw is not None:
        return ("incomplete", None) if finish.raw == "incomplete" else ("incomplete", finish.raw)
    return "completed", None


def encode_response(result: Result, stamp: Stamp, request: Request | None) -> Encoded[WireResponse]:
    """Raises Unsupported for a result that this protocol has no operation for."""
    losses = Losses()
    match result:
        case Response():
            body = write_response(result, stamp, request, losses)
        case TokenCount():
            body = carry({"object": _COUNTED, "input_tokens": result.input_tokens}, result.extra, losses, "")
        case _:
            raise Unsupported(f"{NAME} has no {type(result).__name__}")
    return Encoded(WireResponse(status=200, body=write_json(body)), losses.done())


def write_response(response: Response, stamp: Stamp, request: Request | None, losses: Losses) -> JsonObject:
    """A whole response object."""
    choice = response.choices[0] if response.choices else Choice(parts=())
    for index in range(1, len(response.choices)):
        losses.add(f"choices[{index}]", "dropped", "content", f"{NAME} has one answer")
    losses.drop_extra(None if ours(choice.extra) is not None else choice.extra, "choices[0]")
    output = write_output(choice.parts, stamp, losses, "choices[0]", places_of_calls(request))
    drop_finish(choice.finish, losses)
    return finished_object(started(response, stamp, request, losses), choice.finish, output, losses)


def drop_finish(finish: Finish | None, losses: Losses) -> None:
    """Note what this protocol can not say of how an answer ended."""
    if finish is None:
        return
    if finish.stop_sequence is not None:
        losses.add("choices[0].finish.stop_sequence", "dropped", "accounting", f"{NAME} does not name it")
    if finish.kind == "pause":
        losses.add("choices[0].finish", "approximated", "behaviour", "an answer to be continued looks complete")


def started(response: Response, stamp: Stamp, request: Request | None, losses: Losses) -> Response:
    """The response with an id, a time and everything that this protocol repeats, where another language has none."""
    if ours(response.extra) is not None:
        return response
    losses.drop_extra(response.extra, "")
    model = request.model if isinstance(request, Generate) and response.model is None else response.model
    return msgspec.structs.replace(
        response,
        id=f"resp_{stamp.id}",
        created=response.created if response.created is not None else stamp.created,
        model=model or "",
        extra=Extra(LANGUAGE, {"echo": echo_of(request)}),
    )


def finished_object(response: Response, finish: Finish | None, output: list[JsonObject], losses: Losses) -> JsonObject:
    """The response object of an answer that is complete."""
    items: list[JsonValue] = [*output]
    if response.usage is not None and ours(response.usage.extra) is None:
        losses.drop_extra(response.usage.extra, "usage")
    written = with_echo(_object(response, finish, items), response.extra)
    if finish is not None and finish.kind == "error":
        written["error"] = {"code": "server_error", "message": f"the model failed: {finish.raw or 'no reason given'}"}
    return written


def with_echo(written: JsonObject, extra: Extra | None) -> JsonObject:
    """A response object with its extras and what it repeats of its request."""
    fields = ours(extra) or {}
    echo = fields.get("echo")
    if isinstance(echo, dict):
        restore(written, echo)
    return restore(written, {name: value for name, value in fields.items() if name != "echo"})


def echo_of(request: Request | None) -> JsonObject:
    """What a response repeats of the request it answers; the defaults are what the API repeats for silence."""
    body = write_generate(request, Losses()) if isinstance(request, Generate) else {}
    tools: list[JsonValue] = [
        {"strict": False, "parameters": None, **tool} if tool.get("type") == "function" else tool
        for tool in cast("list[JsonObject]", body.get("tools", []))
    ]  # fmt: skip
    text, reasoning = body.get("text"), body.get("reasoning")
    echo: JsonObject = {
        "background": False,
        "error": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "safety_identifier": None,
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "tool_choice": "auto",
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }
    echo.update({name: body[name] for name in echo if body.get(name) is not None})
    echo["tools"] = tools
    echo["text"] = {"format": {"type": "text"}, **(text if isinstance(text, dict) else {})}
    echo["reasoning"] = {"effort": None, "summary": None, **(reasoning if isinstance(reasoning, dict) else {})}
    return echo


def write_output(
    parts: tuple[Part, ...], stamp: Stamp, losses: Losses, path: str, places: Mapping[str, JsonObject]
) -> list[JsonObject]:
    """The items of an answer. Parts of another language get ids from the stamp, and their calls the tools' places."""
    output: list[JsonObject] = []
    for run in runs(map(said, parts)):
        index, part = run[0]
        where = f"{path}.parts[{index}]"
        match part:
            case Text() | Refusal():
                output.extend(_write_proofs(run, stamp, len(output), losses, path))
                item = write_message(run, losses, path)
                if not opens_item(part):
                    item = {"id": f"msg_{stamp.id}_{len(output)}", **item}
                output.append(item)
            case Reasoning():
                output.append(_with_id(reasoning_item(part, losses, where), part.extra, f"rs_{stamp.id}_{len(output)}"))
            case ToolCall():
                output.extend(
                    _write_call(part, stamp, len(output), places.get(part.name, {}), losses=losses, path=where)
                )
            case Opaque() if part.origin is LANGUAGE:
                output.append(part.value)
            case Opaque():
                losses.drop_opaque(part, where)
            case Media() | ToolResult() | Structured():
                losses.add(where, "dropped", "content", f"no {type(part).__name__} in an answer")
            case CachePoint():
                pass
    return output


def said(part: Part) -> Part:
    """A JSON value as the text that says it; any other part as it is."""
    return Text(text=write_json(part.value).decode()) if isinstance(part, Structured) else part


def _with_id(item: JsonObject, extra: Extra | None, made: str) -> JsonObject:
    return item if ours(extra) is not None else {"id": made, **item}


def _write_proofs(run: list[tuple[int, Part]], stamp: Stamp, at: int, losses: Losses, path: str) -> list[JsonObject]:
    """Reasoning items for the proofs that another language puts on texts."""
    proofs = [usable(part.proof, losses, f"{path}.parts[{index}]") for index, part in run if isinstance(part, Text)]
    sealed = [proof for proof in proofs if proof is not None]
    return [proof_item(proof, f"rs_{stamp.id}_{at + more}") for more, proof in enumerate(sealed)]


def _write_call(
    call: ToolCall, stamp: Stamp, at: int, place: JsonObject, *, losses: Losses, path: str
) -> list[JsonObject]:
    if call.hosted:
        losses.add(path, "dropped", "content", "a tool that the other provider ran")
        return []
    written: list[JsonObject] = []
    sealed = usable(call.proof, losses, path)
    if sealed is not None:
        written.append(proof_item(sealed, f"rs_{stamp.id}_{at}"))
    complete = completed_call(call, f"call_{stamp.id}_{at}")
    if ours(call.extra) is not None:
        return [*written, carry(call_item(complete), call.extra, losses, path)]
    losses.drop_extra(call.extra, path)
    item = foreign_call_item(complete, place)
    return [*written, {"id": f"{id_prefix(item)}_{stamp.id}_{at + len(written)}", **item}]


def foreign_call_item(call: ToolCall, place: JsonObject, status: str = "completed") -> JsonObject:
    """Another language's call of a tool that stands in this place."""
    return call_item(msgspec.structs.replace(call, extra=Extra(LANGUAGE, {PLACE: place})), status)


def id_prefix(item: JsonObject) -> str:
    """How ids of such calls begin."""
    return "ctc" if item["type"] == "custom_tool_call" else "fc"


def completed_call(call: ToolCall, made: str) -> ToolCall:
    """A call with an id, and with arguments that are JSON, where another language leaves either out."""
    if call.id and (call.arguments or ours(call.extra) is not None):
        return call
    return msgspec.structs.replace(call, id=call.id or made, arguments=call.arguments or "{}")


def proof_item(sealed: str, made: str) -> JsonObject:
    """A reasoning item that only carries a proof which another language puts on a text or a tool call."""
    return {"id": made, "type": "reasoning", "summary": [], "encrypted_content": sealed}
