"""What an assistant says beside plain content: reasoning, sound, pictures, tool calls."""

from __future__ import annotations

import msgspec

from freehold.ir import (
    Extra,
    Fields,
    FileId,
    Inline,
    JsonObject,
    JsonValue,
    Losses,
    Media,
    Opaque,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    parse_json,
    write_json,
)
from freehold.protocols.openai_chat.content import decode_typed, take_content
from freehold.protocols.openai_chat.language import (
    FIELD,
    LANGUAGE,
    NAME,
    SHORTHAND,
    keep_inner,
    native,
    repeat_inner,
    repeat_plain,
    text_of,
    unpack,
)
from freehold.protocols.openai_chat.seal import split_id

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where servers put readable reasoning: DeepSeek, xAI and vLLM in the first, OpenRouter, Groq, Ollama in the second."""

_BESIDE_CONTENT = frozenset(
    {*REASONING_FIELDS, "annotations", "audio", "function_call", "images", "reasoning_details", "refusal", "tool_calls"}
)


def take_assistant_parts(fields: Fields) -> list[Part]:
    """Everything an assistant message says, in the order in which it was thought, said and asked."""
    if not fields.says_any(_BESIDE_CONTENT):
        return take_content(fields)
    parts = _take_reasoning(fields)
    parts += _take_annotated(fields)
    if fields.peek("refusal"):
        refusal = fields.take_str("refusal")
        if refusal is not None:
            parts.append(Refusal(text=refusal))
    parts += _take_spoken(fields)
    parts += _take_images(fields)
    parts += take_tool_calls(fields)
    return parts


def _take_annotated(fields: Fields) -> list[Part]:
    """The content; a message's annotations belong to its one text."""
    annotations = fields.peek("annotations")
    parts = take_content(fields)
    match parts:
        case [Text(text=text, extra=None)] if annotations and isinstance(annotations, list):
            fields.take("annotations")
            return [Text(text=text, extra=Extra(LANGUAGE, {"annotations": annotations}))]
        case _:
            return parts


def _take_reasoning(fields: Fields) -> list[Part]:
    said: list[str] = []
    text = ""
    for name in REASONING_FIELDS:
        value = fields.peek(name)
        if isinstance(value, str) and value and (not said or value == text):
            text = value
            said.append(name)
    for name in said:
        fields.take(name)
    details = fields.peek("reasoning_details")
    listed = bool(details) and isinstance(details, list)
    if not said and not listed:
        return []
    extra: JsonObject = {} if said == ["reasoning_content"] else {FIELD: [*said]}
    proof: Proof | None = None
    if listed and isinstance(details, list):
        fields.take("reasoning_details")
        proof = proof_of_details(details)
        text = text or text_of_details(details)
        if proof is None:
            extra["reasoning_details"] = details
    return [Reasoning(text=text, proof=proof, extra=Extra(LANGUAGE, extra))]


def proof_of_details(details: list[JsonValue]) -> Proof | None:
    """OpenRouter's `reasoning_details` as the proof that has to return, if anything in them is signed or encrypted."""
    for detail in details:
        if isinstance(detail, dict) and (detail.get("signature") or detail.get("data")):
            return Proof(origin=NAME, value=write_json(details).decode())
    return None


def text_of_details(details: list[JsonValue]) -> str:
    """The readable words in `reasoning_details`."""
    words: list[str] = []
    for detail in details:
        if isinstance(detail, dict):
            word = detail.get("text") or detail.get("summary")
            if isinstance(word, str):
                words.append(word)
    return "".join(words)


def details_of_proof(proof: Proof) -> JsonValue:
    """The `reasoning_details` that a proof of this language stands for."""
    return parse_json(proof.value)


def _take_spoken(fields: Fields) -> list[Part]:
    """`audio`: the sound of an answer, or in a request the id of an earlier one."""
    if not isinstance(fields.peek("audio"), dict):
        return []
    inner = unpack(fields, "audio")
    if inner is None:
        return []
    part = spoken(inner)
    if part is None:
        fields.put_back("audio", inner.mark().fields)
        return []
    return [part]


def spoken(inner: Fields) -> Media | None:
    """An `audio` object as media: its data, or the reference to them; None if it has neither."""
    data = inner.take_str("data") if inner.peek("data") else None
    if not data and not text_of(inner.peek("id")):
        return None
    source = FileId(id=inner.take_str("id") or "") if data is None else Inline(data=data)
    extra: JsonObject = {f"audio.{name}": value for name, value in inner.mark().fields.items()}
    extra[FIELD] = "audio"
    return Media(kind="audio", source=source, extra=Extra(LANGUAGE, extra))


def _take_images(fields: Fields) -> list[Part]:
    """`images` beside the content, OpenRouter's place for what a model drew."""
    images = fields.peek("images")
    if not images or not isinstance(images, list):
        return []
    parts: list[Part] = []
    for image in images:
        inner = Fields(image, LANGUAGE, fields.at("images")) if isinstance(image, dict) else None
        part = None if inner is None else decode_typed(inner)
        if not isinstance(part, Media):
            return []
        marked = Extra(LANGUAGE, {**(native(part.extra) or {}), FIELD: "images"})
        parts.append(msgspec.structs.replace(part, extra=marked))
    fields.take("images")
    return parts


def take_tool_calls(fields: Fields) -> list[Part]:
    """`tool_calls`, and before them the sealed proofs that rode in their ids; then the older `function_call`."""
    parts: list[Part] = []
    calls = fields.peek("tool_calls")
    if calls and isinstance(calls, list):
        fields.take("tool_calls")
        path = fields.at("tool_calls")
        for at, call in enumerate(calls):
            parts += decode_tool_call(call, f"{path}[{at}]")
    match fields.peek("function_call"):
        case {"name": str(name)} if name:
            inner = unpack(fields, "function_call")
            if inner is not None:
                parts.append(_decode_function_call(inner))
        case _:
            pass
    return parts


def decode_tool_call(value: JsonValue, path: str) -> list[Part]:
    """One tool call; custom ones, whose input is no JSON, stay opaque."""
    fields = Fields(value, LANGUAGE, path)
    function = unpack(fields, "function")
    if function is None:
        return [Opaque(origin=LANGUAGE, value=fields.mark().fields)]
    sealed = split_id(fields.take_str("id") or "")
    name = function.need_str("name")
    arguments = function.take_str("arguments")
    if arguments is None:
        parsed = function.take_object("arguments")
        fields.put_back(SHORTHAND, "object" if parsed is not None else "none")
        arguments = "" if parsed is None else write_json(parsed).decode()
    keep_inner(fields, "function.", function)
    call = ToolCall(id=sealed.id, name=name, arguments=arguments, proof=sealed.own, extra=fields.mark())
    return [*sealed.before, call]


def _decode_function_call(inner: Fields) -> ToolCall:
    """The call of 2023, which has no id."""
    name = inner.take_str("name") or ""
    arguments = inner.take_str("arguments") or ""
    extra: JsonObject = {FIELD: "function_call", **inner.mark().fields}
    return ToolCall(id="", name=name, arguments=arguments, extra=Extra(LANGUAGE, extra))


def write_tool_call(call: ToolCall, identity: str, path: str, losses: Losses) -> JsonObject:
    """One entry of `tool_calls`; a call of another language gets its type, and `{}` where it has no arguments."""
    fields = native(call.extra)
    if fields is None:
        losses.drop_extra(call.extra, path)
        function: JsonObject = {"name": call.name, "arguments": call.arguments or "{}"}
        return {"id": identity, "type": "function", "function": function}
    written: JsonObject = {"id": identity} if identity else {}
    if "type" in fields:
        written["type"] = fields["type"]
    written["function"] = _write_function(call, fields)
    repeat_plain(fields, written, ("function.",))
    return written


def _write_function(call: ToolCall, fields: JsonObject) -> JsonObject:
    function: JsonObject = {"name": call.name}
    match fields.get(SHORTHAND):
        case "object":
            function["arguments"] = parse_json(call.arguments)
        case "none" if not call.arguments:
            pass
        case _:
            function["arguments"] = call.arguments
    repeat_inner(fields, "function.", function)
    return function


def write_function_call(call: ToolCall) -> JsonObject:
    """The call of 2023 as it came."""
    written: JsonObject = {"name": call.name, "arguments": call.arguments}
    repeat_plain(native(call.extra) or {}, written)
    return written
