"""What a value of the canonical language says, without how it was spelled: the yardstick of honesty.

Two values that mean the same differ at most by the freedoms below.  Each is taken because no reader could tell:

- where one text ends and its neighbour begins, and white space;
- where one turn ends and the next of the same speaker begins; whether a tool's answer is called the tool's or the
  user's, and an instruction the system's or the developer's;
- within a turn of the model: that thoughts come first and calls last; thoughts without words or proof;
- the ids of tool calls, as long as each answer belongs to the same call, and a name's prefix that an alphabet demands;
- the notation of JSON in arguments, and whether a tool's JSON answer is a value or its text;
- what holds anyway when it is not said: automatic tool choice, parallel calls, one candidate, free text, an empty
  description, no parameters, a result that is no error, closed objects and titles in schemas, sampling settings that
  change nothing, tools that must not be called, thinking by a model that thinks or none by one that does not;
- counts that nobody counted are 0, and cached input is input;
- why it stopped, between a refusal and a filter, and for want of a reason; which of the asker's stop sequences it met;
- who stamps the answer: its id, its time, the model's full name.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

from freehold.ir import (
    CachePoint,
    Choice,
    Embed,
    Embeddings,
    Finish,
    Generate,
    Inline,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    PlainText,
    Proof,
    Reasoning,
    ReasoningOptions,
    Refusal,
    Response,
    Structured,
    Text,
    TokenCount,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)

Meaning = dict[str, Any]

UNSIGNED = "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv"
"""What Google documents as the signature of a call that was never signed."""


def of_request(request: Generate) -> Meaning:
    """What is asked for."""
    calls = _Calls()
    return _said(
        turns=_turns(request.messages, calls),
        stream=request.stream,
        tools=[_tool(tool) for tool in request.tools] if _may_call(request) else None,
        tool_choice=_choice(request.tool_choice),
        parallel_tools=request.parallel_tools is not False,
        max_output_tokens=request.max_output_tokens,
        temperature=_unless(1, request.temperature),
        top_p=_unless(1, request.top_p),
        top_k=request.top_k,
        stop=list(request.stop),
        seed=request.seed,
        frequency_penalty=_unless(0, request.frequency_penalty),
        presence_penalty=_unless(0, request.presence_penalty),
        candidates=request.candidates or 1,
        output_format=_format(request.output_format),
        reasoning=_thinking(request.reasoning),
        user=request.user,
    )


def of_embed(request: Embed) -> Meaning:
    """What is to become vectors."""
    return _said(
        inputs=list(request.inputs), dimensions=request.dimensions, purpose=request.purpose, title=request.title
    )


def of_response(response: Response) -> Meaning:
    """What is answered."""
    return _said(
        choices=[_answer(choice) for choice in response.choices],
        usage=_usage(response.usage),
    )


def of_result(result: object) -> Meaning:
    """What any result says."""
    match result:
        case Response():
            return of_response(result)
        case Embeddings():
            return _said(vectors=len(result.data), usage=_usage(result.usage))
        case TokenCount():
            return _said(tokens=result.input_tokens)
        case _:
            return {}


def _said(**fields: object) -> Meaning:
    return {name: value for name, value in fields.items() if value is not None and value != []}


class _Calls:
    """The calls of one conversation, by the order in which they were made."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._ids: list[str] = []
        self._open: list[int] = []

    def made(self, call: ToolCall) -> int:
        self._names.append(call.name)
        self._ids.append(call.id)
        self._open.append(len(self._ids) - 1)
        return len(self._ids) - 1

    def answered(self, result: ToolResult) -> int | None:
        for number in reversed(self._open) if result.call_id else self._open:
            same = self._ids[number] == result.call_id if result.call_id else self._names[number] == result.name
            if same or (not result.call_id and not result.name):
                self._open.remove(number)
                return number
        return None


def _may_call(request: Generate) -> bool:
    return request.tool_choice is None or request.tool_choice.mode != "none"


def _unless(neutral: float, value: float | None) -> float | None:
    return None if value == neutral else value


def _turns(messages: Iterable[Message], calls: _Calls) -> list[tuple[str, list[object]]]:
    turns: list[tuple[str, list[object]]] = []
    for message in messages:
        role = {"tool": "user", "developer": "system"}.get(message.role, message.role)
        parts = _parts(message.parts, calls)
        if turns and turns[-1][0] == role:
            turns[-1] = (role, _joined([*turns[-1][1], *parts]))
        elif parts:
            turns.append((role, parts))
    return turns


def _parts(parts: Iterable[Part], calls: _Calls) -> list[object]:
    return _joined([_part(part, calls) for part in parts])


def _joined(parts: list[Any]) -> list[object]:
    joined: list[Any] = []
    for part in sorted(parts, key=lambda part: "call" in part or -("thought" in part)):
        if "text" in part and joined and joined[-1].keys() == part.keys() == {"text"}:
            joined[-1] = {"text": joined[-1]["text"] + part["text"]}
        elif part not in ({"text": ""}, {"thought": ""}):
            joined.append(part)
    return joined


def _part(part: Part, calls: _Calls) -> Meaning:
    match part:
        case Text():
            return _said(text=_plain(part.text), proof=_proof(part.proof))
        case Refusal():
            return {"text": _plain(part.text)}
        case Reasoning():
            return _said(thought=_plain(part.text), proof=_proof(part.proof))
        case Media():
            return _media(part)
        case ToolCall():
            return _said(
                call=calls.made(part),
                name=part.name.lstrip("_"),
                arguments=_json(part.arguments or "{}"),
                proof=_proof(part.proof),
            )
        case ToolResult():
            inner = _parts(part.parts, calls)
            return _said(answers=calls.answered(part), parts=inner, is_error=part.is_error or None)
        case Structured():
            return {"text": _plain(json.dumps(part.value, ensure_ascii=False))}
        case CachePoint():
            return _said(cache=part.ttl or "default")
        case Opaque():
            return {"opaque": part.value}


def _plain(text: str) -> str:
    """Text without white space, and JSON in one notation."""
    return "".join(text.split())


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _proof(proof: Proof | None) -> str | None:
    return None if proof is None or proof.value == UNSIGNED else proof.value


def _media(media: Media) -> Meaning:
    match media.source:
        case PlainText(text=text):
            return {"media": base64.b64encode(text.encode()).decode()}
        case Inline(data=data):
            return {"media": data}
        case source:
            return {"media": source}


def _tool(tool: Tool | CachePoint | Opaque) -> Meaning:
    if not isinstance(tool, Tool):
        return _part(tool, _Calls())
    return _said(
        name=tool.name.lstrip("_"),
        description=tool.description or None,
        parameters=_schema(tool.parameters) or None,
        strict=tool.strict or None,
    )


def _schema(schema: object) -> object:
    """A schema without what says nothing about the values that fit it, or what holds anyway."""
    if isinstance(schema, list):
        return [_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    idle = {"additionalProperties": (False,), "properties": ({},), "required": ([],), "type": ("object",)}
    return {
        name: _schema(value)
        for name, value in schema.items()
        if name not in {"$schema", "title"} and value not in idle.get(name, ())
    }


def _choice(choice: ToolChoice | None) -> object:
    if choice is None or choice.mode == "none" or (choice.mode == "auto" and not choice.names):
        return None
    return {"mode": choice.mode, "names": sorted(choice.names)}


def _format(wanted: OutputFormat | None) -> object:
    if wanted is None or wanted.kind == "text":
        return None
    return {"kind": wanted.kind, "schema": _schema(wanted.schema)}


def _thinking(options: ReasoningOptions | None) -> object:
    """How much; whether, and whether it is shown, only where that is no model's custom."""
    if options is None:
        return None
    return _said(effort=None if options.effort == "none" else options.effort, budget=options.budget) or None


def _answer(choice: Choice) -> Meaning:
    return _said(
        parts=_parts(choice.parts, _Calls()),
        finish=_finish(choice.finish),
    )


def _finish(finish: Finish | None) -> str:
    if finish is None or finish.kind == "other":
        return "stop"
    return "content_filter" if finish.kind == "refusal" else finish.kind


def _usage(usage: Usage | None) -> object:
    if usage is None:
        return None
    cached = (usage.cache_read or 0) + (usage.cache_write or 0)
    return (
        _said(
            input=max(usage.input_tokens or 0, cached) or None,
            output=usage.output_tokens or None,
            cache_read=usage.cache_read or None,
            cache_write=usage.cache_write or None,
            reasoning=usage.reasoning or None,
        )
        or None
    )
