"""A request's body, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from freehold.ir import Fields, Generate, JsonObject, JsonValue, Losses, Message, Role
from freehold.protocols.bedrock_converse.conversation import Conversation, write_conversation
from freehold.protocols.bedrock_converse.families import Family, family_of
from freehold.protocols.bedrock_converse.language import (
    EMPTY,
    LANGUAGE,
    NAME,
    SPELLING,
    close_object,
    join_rest,
    open_object,
    ours,
    repeat,
)
from freehold.protocols.bedrock_converse.parts import read_blocks, write_native_blocks
from freehold.protocols.bedrock_converse.reasoning import (
    Thinking,
    take_reasoning,
    write_native_reasoning,
    write_reasoning,
)
from freehold.protocols.bedrock_converse.tools import (
    output_instruction,
    take_output_format,
    take_tool_choice,
    take_tools,
    tool_names,
    write_native_tool_config,
    write_output_format,
    write_tool_config,
)
from freehold.protocols.codec import Encoded

MOST_STOPS = 2500
"""Stop sequences that a request may hold (botocore: InferenceConfigurationStopSequencesList)."""

COUNTED = frozenset({"messages", "system", "toolConfig", "additionalModelRequestFields"})
"""The fields of a request that can be counted (botocore: ConverseTokensRequest)."""

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}

_MORE = "additionalModelRequestFields"

_NO_MESSAGES = "without messages"

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_request(body: JsonObject, *, model: str, stream: bool, path: str = "") -> Generate:
    """A request from its body. Raises CallerError, naming the place."""
    fields = Fields(body, LANGUAGE, path)
    messages = (*_take_system(fields), *_take_messages(fields))
    inference = open_object(fields, "inferenceConfig")
    config = open_object(fields, "toolConfig")
    output = open_object(fields, "outputConfig")
    more = open_object(fields, _MORE)
    max_tokens, temperature = inference.take_int("maxTokens"), inference.take_number("temperature")
    top_p, stop = inference.take_number("topP"), _take_stop(inference)
    tools, choice = take_tools(config), take_tool_choice(config)
    form = take_output_format(output)
    reasoning, top_k = take_reasoning(more, output), more.take_int("top_k")
    close_object(fields, "inferenceConfig", body.get("inferenceConfig"), inference)
    close_object(fields, "toolConfig", body.get("toolConfig"), config)
    close_object(fields, "outputConfig", body.get("outputConfig"), output)
    close_object(fields, _MORE, body.get(_MORE), more)
    return Generate(
        origin=NAME,
        model=model,
        messages=messages,
        stream=stream,
        tools=tools,
        tool_choice=choice,
        max_output_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        stop=stop,
        output_format=form,
        reasoning=reasoning,
        extra=fields.rest(),
    )


def _take_system(fields: Fields) -> tuple[Message, ...]:
    """`system` as the first message."""
    value = fields.peek("system")
    if not isinstance(value, list):
        return ()
    if not value:
        fields.put_back(EMPTY + "system", fields.take("system"))
        return ()
    parts = read_blocks(value)
    if parts is None:
        return ()
    fields.take("system")
    return (Message(role="system", parts=parts),)


def _take_messages(fields: Fields) -> tuple[Message, ...]:
    if not fields.has("messages"):
        # A prompt from prompt management needs none.
        fields.put_back(SPELLING, _NO_MESSAGES)
        return ()
    return tuple(
        _read_message(Fields(value, LANGUAGE, f"{fields.at('messages')}[{index}]"))
        for index, value in enumerate(fields.need_list("messages"))
    )


def _read_message(fields: Fields) -> Message:
    said = fields.peek("role")
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        fields.fail('must be "user", "assistant" or "system"', "role")
    if role != "system":
        fields.take("role")
    # The role of a system message rides along: it tells this place from the top-level `system`.
    content = fields.need_list("content")
    parts = read_blocks(content)
    if parts is None:
        fields.fail("must be a list of blocks", "content")
    return Message(role=role, parts=parts, extra=fields.rest())


def _take_stop(inference: Fields) -> tuple[str, ...]:
    stop = inference.peek("stopSequences")
    if not isinstance(stop, list) or not stop or not all(isinstance(item, str) for item in stop):
        return ()
    inference.take("stopSequences")
    return tuple(cast("list[str]", stop))


# --- Writing ---------------------------------------------------------------------------------------------------------


def write_body(request: Generate) -> Encoded[JsonObject]:
    """A request's body: as it was where this language said it, else as Bedrock's models take it."""
    losses = Losses()
    body = _write_native(request, losses) if request.origin == NAME else _write_foreign(request, losses)
    if request.headers is not None and ours(request.headers) is None:
        losses.drop_extra(request.headers, "headers")
    return Encoded(body, losses.done())


def _write_native(request: Generate, losses: Losses) -> JsonObject:
    body: JsonObject = {}
    system: list[JsonValue] = []
    messages: list[JsonValue] = []
    for index, message in enumerate(request.messages):
        path = f"messages[{index}]"
        blocks = write_native_blocks(message.parts, losses, f"{path}.parts")
        if message.role in ("system", "developer") and ours(message.extra) is None:
            system.extend(blocks)
            continue
        turn: JsonObject = {"role": "assistant" if message.role == "assistant" else "user"}
        if message.role == "system":
            del turn["role"]
        turn["content"] = blocks
        repeat(message.extra, turn, losses, path)
        messages.append(turn)
    said = ours(request.extra) or {}
    if messages or said.get(SPELLING) != _NO_MESSAGES:
        body["messages"] = messages
    if system:
        body["system"] = system
    thinking = Thinking() if request.reasoning is None else write_native_reasoning(request.reasoning, losses)
    top_k: JsonObject = {} if request.top_k is None else {"top_k": request.top_k}
    join_rest(body, "inferenceConfig", _inference(request, request.stop), request.extra)
    join_rest(body, "toolConfig", write_native_tool_config(request, losses), request.extra)
    join_rest(body, _MORE, {**top_k, **thinking.fields}, request.extra)
    join_rest(body, "outputConfig", _output(request, thinking, losses, native=True), request.extra)
    repeat(request.extra, body, losses, "")
    return body


def _write_foreign(request: Generate, losses: Losses) -> JsonObject:
    family = family_of(request.model)
    names = tool_names(request)
    talk = write_conversation(request.messages, family, names, losses)
    config = write_tool_config(request, family, names, losses, called=talk.called)
    thinking = write_reasoning(request, family, losses, unproven=talk.unproven)
    more = {**_top_k(request, family, thinking, losses), **thinking.fields}
    body: JsonObject = {"messages": talk.messages}
    instruction = output_instruction(request.output_format, losses, schemas=family.schemas)
    if instruction is not None:
        _instruct(talk, instruction, system=family.system)
    if talk.system:
        body["system"] = talk.system
    inference = _fitting_inference(request, family, thinking, losses)
    for name, value in (
        ("inferenceConfig", inference),
        ("toolConfig", config),
        (_MORE, more),
        ("outputConfig", _output(request, thinking, losses, native=False, enforced=instruction is None)),
    ):
        if value:
            body[name] = value
    _note_unsaid(request, losses)
    losses.drop_extra(request.extra, "")
    return body


def _inference(request: Generate, stop: Sequence[str]) -> JsonObject:
    config: JsonObject = {}
    if request.max_output_tokens is not None:
        config["maxTokens"] = request.max_output_tokens
    if request.temperature is not None:
        config["temperature"] = request.temperature
    if request.top_p is not None:
        config["topP"] = request.top_p
    if stop:
        config["stopSequences"] = list(stop)
    return config


def _fitting_inference(request: Generate, family: Family, thinking: Thinking, losses: Losses) -> JsonObject:
    """Another language's limits and sampling, inside of what Bedrock accepts."""
    stop = [item for item in request.stop if item.strip()][:MOST_STOPS]
    if len(stop) < len(request.stop):
        losses.add("stop", "dropped", "behaviour", "stop sequences of white space only, or too many")
    config = _inference(request, stop)
    _clamp(config, "maxTokens", "max_output_tokens", losses, low=1, high=None)
    _clamp(config, "temperature", "temperature", losses, low=0, high=1)
    _clamp(config, "topP", "top_p", losses, low=0, high=1)
    if family.one_sampler and family.samples and "temperature" in config and "topP" in config:
        losses.add("top_p", "dropped", "behaviour", "not beside a temperature")
        del config["topP"]
    unsampled = _unsampled(family, thinking)
    if unsampled:
        for wire, name in (("temperature", "temperature"), ("topP", "top_p")):
            if config.pop(wire, 1) != 1:
                losses.add(name, "dropped", "behaviour", unsampled)
    return config


def _unsampled(family: Family, thinking: Thinking) -> str:
    """Why the model takes no other sampling than the default now; empty where it does."""
    if not family.samples:
        return "this model takes no sampling parameters"
    return "not while thinking" if thinking.on and family.strict_thinking else ""


def _clamp(config: JsonObject, wire: str, name: str, losses: Losses, *, low: float, high: float | None) -> None:
    value = config.get(wire)
    if not isinstance(value, int | float):
        return
    fitting = max(low, value) if high is None else min(max(low, value), high)
    if fitting != value:
        losses.add(name, "clamped", "behaviour", f"{value} to {fitting}")
        config[wire] = fitting


def _top_k(request: Generate, family: Family, thinking: Thinking, losses: Losses) -> JsonObject:
    if request.top_k is None:
        return {}
    unsampled = _unsampled(family, thinking)
    if unsampled:
        losses.add("top_k", "dropped", "behaviour", unsampled)
        return {}
    match family.top_k:
        case (name,):
            return {name: request.top_k}
        case (outer, name):
            return {outer: {name: request.top_k}}
        case _:
            losses.add("top_k", "dropped", "behaviour", f"{request.model} has no top_k")
            return {}


def _instruct(talk: Conversation, instruction: str, *, system: bool) -> None:
    """Say it in the system prompt; where there is none, at the head of the user's first turn."""
    if system:
        talk.system.append({"text": instruction})
        return
    first = talk.messages[0]
    if isinstance(first, dict) and isinstance(content := first["content"], list):
        content.insert(0, {"text": instruction})


def _output(
    request: Generate, thinking: Thinking, losses: Losses, *, native: bool, enforced: bool = True
) -> JsonObject:
    """`outputConfig`."""
    config: JsonObject = {}
    wanted = request.output_format if enforced else None
    form = None if wanted is None else write_output_format(wanted, losses, native=native)
    if form is not None:
        config["textFormat"] = form
    if thinking.effort is not None:
        config["effort"] = thinking.effort
    return config


def _note_unsaid(request: Generate, losses: Losses) -> None:
    """What this protocol has no words for."""
    for name in ("seed", "frequency_penalty", "presence_penalty"):
        if getattr(request, name) not in (None, 0):
            losses.add(name, "dropped", "behaviour")
    if request.candidates is not None and request.candidates > 1:
        losses.add("candidates", "dropped", "behaviour", "a Converse answer has one candidate")
    if request.parallel_tools is False and request.tools:
        losses.add("parallel_tools", "dropped", "behaviour", "calls can not be kept to one at a time")
    if request.user is not None:
        losses.add("user", "dropped", "accounting")
