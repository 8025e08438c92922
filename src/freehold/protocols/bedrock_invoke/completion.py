"""Text completion in any of its forms: requests and whole answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from freehold.ir import (
    CachePoint,
    Choice,
    Fields,
    Finish,
    Generate,
    JsonObject,
    JsonValue,
    Language,
    Losses,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Response,
    Structured,
    Text,
    ToolCall,
    ToolResult,
    Usage,
    write_json,
)
from freehold.protocols.bedrock_invoke.forms import (
    COPIED,
    COPIES,
    KNOBS,
    Form,
    copies,
    finish_kind,
    finish_word,
    form_origin,
)
from freehold.protocols.bedrock_invoke.language import NAME, said
from freehold.protocols.bedrock_invoke.prompts import Said, words_of
from freehold.protocols.bedrock_invoke.stream import CompletionDecoder, CompletionEncoder
from freehold.protocols.codec import (
    Dialect,
    Encoded,
    Stamp,
    StreamDecoder,
    StreamEncoder,
    WireResponse,
    garbled,
)

SPELLING = "spelling"
"""Under which names the knobs stood; `stop` also whether it was a list."""

SILENT = "silent"
"""Fields that were written and say nothing: nulls, empty lists."""

_NOTHING: tuple[JsonValue, ...] = (None, [], {}, "")

ECHOED = "echoed"
"""Extra of an answer: the conversation so far, which Cohere repeats."""

_ROLES: dict[str, Literal["user", "assistant", "system"]] = {
    "USER": "user",
    "CHATBOT": "assistant",
    "SYSTEM": "system",
}
"""Cohere's speakers."""

_SPEAKERS = {"user": "USER", "assistant": "CHATBOT", "system": "SYSTEM"}

_WHOLE = ("max_output_tokens", "top_k", "seed", "candidates")
"""Knobs that are whole numbers."""


class Completion:
    """One form of text completion as a family."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.name = form.name

    @property
    def language(self) -> Language:
        """The origin of what rides along."""
        return self.form.language

    # --- Requests

    def read_request(self, body: JsonObject, model: str, *, stream: bool) -> tuple[Generate, JsonObject]:
        """Raises CallerError for a prompt that is no text."""
        form = self.form
        fields = Fields(body, form.language)
        messages = (*_take_history(fields), Message(role="user", parts=(Text(text=fields.need_str(form.prompt)),)))
        nested = fields.peek(form.nest) if form.nest is not None else None
        inner = Fields(nested, form.language, form.nest or "") if isinstance(nested, dict) else fields
        spelling: JsonObject = {}
        numbers = {name: _take_number(inner, name, spelling) for name in KNOBS if name != "stop"}
        stop = _take_stop(inner, spelling)
        if form.nest is not None and inner is not fields:
            fields.take(form.nest)
            spelling["nest"] = inner.mark().fields
        silent = {name: fields.take(name) for name, value in fields.mark().fields.copy().items() if value in _NOTHING}
        if silent:
            spelling[SILENT] = silent
        fields.put_back(SPELLING, spelling)
        request = Generate(
            origin=NAME,
            model=model,
            messages=messages,
            stream=stream,
            max_output_tokens=cast("int | None", numbers["max_output_tokens"]),
            temperature=numbers["temperature"],
            top_p=numbers["top_p"],
            top_k=cast("int | None", numbers["top_k"]),
            stop=stop,
            seed=cast("int | None", numbers["seed"]),
            frequency_penalty=numbers["frequency_penalty"],
            presence_penalty=numbers["presence_penalty"],
            candidates=cast("int | None", numbers["candidates"]),
            extra=fields.rest(),
        )
        return request, {}

    def write_request(self, request: Generate, own: JsonObject | None, dialect: Dialect) -> Encoded[JsonObject]:
        """The body; a foreign conversation becomes one prompt in the vendor's template."""
        del dialect
        losses = Losses()
        form = self.form
        if own is not None:
            own = said(request.extra, form.language)
        body: JsonObject = {}
        if own is not None:
            _write_history(request.messages, form, body, own, losses)
        else:
            self._write_foreign(request, body, losses)
        self._write_knobs(request, body, own, losses)
        if own is None:
            losses.drop_extra(request.extra, "")
        else:
            spelled = own[SPELLING]
            silent = spelled.get(SILENT) if isinstance(spelled, dict) else None
            left = {name: value for name, value in own.items() if name != SPELLING}
            for name, value in {**left, **(silent if isinstance(silent, dict) else {})}.items():
                body.setdefault(name, value)
        return Encoded(body, losses.done())

    def _write_foreign(self, request: Generate, body: JsonObject, losses: Losses) -> None:
        form = self.form
        words = words_of(request.messages, losses)
        if form.prompt == "message":
            _write_turns(words, body, losses)
        elif request.origin == NAME and len(words) == 1:
            # A client of these bodies wrote the prompt as the model shall see it.
            body[form.prompt] = words[0][1]
        else:
            body[form.prompt] = form.template(words)
        for index, tool in enumerate(request.tools):
            if not isinstance(tool, CachePoint):
                losses.add(f"tools[{index}]", "dropped", "behaviour", "a prompt offers no tools")
        if request.tool_choice is not None and request.tool_choice.mode == "required":
            losses.add("tool_choice", "dropped", "content", "a tool is demanded, and none can be offered")
        if request.output_format is not None and request.output_format.kind != "text":
            losses.add("output_format", "dropped", "behaviour", "the form of the answer can not be enforced")
        if request.reasoning is not None and request.reasoning.mode != "off":
            losses.add("reasoning", "dropped", "behaviour", f"{form.name} models can not be told how to think")
        if request.user is not None:
            losses.add("user", "dropped", "accounting")

    def _write_knobs(self, request: Generate, body: JsonObject, own: JsonObject | None, losses: Losses) -> None:
        form = self.form
        spelled = own.get(SPELLING) if own is not None else None
        spelling = spelled if isinstance(spelled, dict) else {}
        knobs: JsonObject = {}
        for name in KNOBS:
            value: JsonValue = [*request.stop] if name == "stop" else getattr(request, name)
            if value is None or value == []:
                continue
            wire = spelling.get(name) or form.knobs.get(name)
            if not isinstance(wire, str):
                if name != "candidates" or value != 1:
                    losses.add(name, "dropped", "behaviour", f"{form.name} bodies have none")
                continue
            if name == "stop" and (spelling.get("stop as") == "text"):
                value = request.stop[0]
            knobs[wire] = value if own is not None else _within(name, value, losses)
        nest = spelling.get("nest")
        if form.nest is None:
            body.update(knobs)
        elif knobs or isinstance(nest, dict):
            left = nest if isinstance(nest, dict) else {}
            body[form.nest] = {**knobs, **left}

    # --- Answers

    def read_response(self, body: JsonObject, wire: WireResponse, request: Generate | None) -> Response:  # noqa: ARG002 -- the family's contract
        """Raises UpstreamError for an answer without text."""
        form = self.form
        fields = Fields(body, form.language)
        if form.name == "text":
            _take_copies(fields)
        if fields.has("chat_history"):
            fields.put_back(ECHOED, fields.take("chat_history"))
        choices: list[Choice] = []
        spent: int | None = None
        if form.rows is None:
            parts, finish = _read_row(fields, form)
            choices.append(Choice(parts=parts, finish=finish))
        else:
            rows = fields.take_list(form.rows)
            for row in rows or []:
                inner = Fields(row if isinstance(row, dict) else {}, form.language)
                tokens = inner.peek("tokenCount")
                if isinstance(tokens, int):
                    spent = (spent or 0) + tokens
                parts, finish = _read_row(inner, form)
                choices.append(Choice(parts=parts, finish=finish, index=len(choices), extra=inner.rest()))
            if not choices:
                raise garbled(NAME, f"there are no `{form.rows}`")
        return Response(
            origin=NAME,
            choices=tuple(choices),
            usage=_usage(fields, form, wire, spent),
            extra=fields.mark(),
        )

    def write_response(self, response: Response, stamp: Stamp, request: Generate | None) -> Encoded[JsonObject]:  # noqa: ARG002 -- the family's contract
        """Our own answer as it was, a foreign one in the vendor's form."""
        losses = Losses()
        form = self.form
        own = said(response.extra, form.language)
        if own is not None:
            return Encoded(_write_own(response, form, own, losses), losses.done())
        for index in range(1, len(response.choices)):
            losses.add(f"choices[{index}]", "dropped", "content", f"{form.name} answers have one candidate here")
        choice = response.choices[0] if response.choices else Choice(parts=())
        text = answer_text(choice.parts, losses, "choices[0]")
        losses.drop_extra(choice.extra, "choices[0]")
        losses.drop_extra(response.extra, "")
        body = form.answer(text, finish_of(choice.finish, form), response.usage or Usage(), stamp)
        return Encoded(body, losses.done())

    def decoder(self, request: Generate | None) -> StreamDecoder:  # noqa: ARG002 -- the family's contract
        """Reads a stream of chunks."""
        return CompletionDecoder(self.form)

    def encoder(self, stamp: Stamp, request: Generate | None) -> StreamEncoder:  # noqa: ARG002 -- the family's contract
        """Writes a stream of chunks."""
        return CompletionEncoder(self.form, stamp)


# --- Reading ---------------------------------------------------------------------------------------------------------


def _take_history(fields: Fields) -> tuple[Message, ...]:
    """Cohere's `preamble` and `chat_history`; a history of other form rides along."""
    messages: list[Message] = []
    preamble = fields.take_str("preamble")
    if preamble is not None:
        messages.append(Message(role="system", parts=(Text(text=preamble),)))
    history = fields.peek("chat_history")
    turns = [_read_turn(turn) for turn in history] if isinstance(history, list) and history else []
    if turns and None not in turns:
        fields.take("chat_history")
        messages.extend(turn for turn in turns if turn is not None)
    return tuple(messages)


def _read_turn(value: JsonValue) -> Message | None:
    match value:
        case {"role": str(role), "message": str(text), **rest} if role in _ROLES and not rest:
            # Marked, to be told from a preamble.
            return Message(role=_ROLES[role], parts=(Text(text=text),))
        case _:
            return None


def _take_number(fields: Fields, knob: str, spelling: JsonObject) -> float | None:
    for wire in KNOBS[knob]:
        value = fields.take_int(wire) if knob in _WHOLE else fields.take_number(wire)
        if value is not None:
            spelling[knob] = wire
            return value
    return None


def _take_stop(fields: Fields, spelling: JsonObject) -> tuple[str, ...]:
    for wire in KNOBS["stop"]:
        value = fields.peek(wire)
        if isinstance(value, str) and value:
            fields.take(wire)
            spelling.update({"stop": wire, "stop as": "text"})
            return (value,)
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            fields.take(wire)
            spelling["stop"] = wire
            return tuple(cast("list[str]", value))
    return ()


def _read_row(row: Fields, form: Form) -> tuple[tuple[Part, ...], Finish | None]:
    text = take_at(row, form.text)
    if text is None:
        raise garbled(NAME, f"there is no text at `{'.'.join(form.text)}`")
    reason = take_at(row, form.finish)
    if reason is None and isinstance(other := row.peek("stop_reason"), str):
        # DeepSeek's name for it; stays where it is.
        reason = other
    finish = None if reason is None else Finish(kind=finish_kind(reason), raw=reason, origin=form_origin(form))
    return (Text(text=text),), finish


def take_at(fields: Fields, path: tuple[str, ...]) -> str | None:
    """A string inside of nested objects; what is left of them stays."""
    if len(path) == 1:
        return fields.take_str(path[0])
    inner = fields.peek(path[0])
    if not isinstance(inner, dict) or not isinstance(inner.get(path[1]), str):
        return None
    fields.put_back(path[0], {name: item for name, item in inner.items() if name != path[1]})
    return cast("str", inner[path[1]])


def _take_copies(fields: Fields) -> None:
    """The other names under which our own answer to a bare prompt gives its text."""
    if all(fields.has(name) for name in ("choices", *COPIES)):
        for name in COPIES:
            fields.take(name)
        fields.put_back(COPIED, value=True)


def _usage(fields: Fields, form: Form, wire: WireResponse, spent: int | None) -> Usage | None:
    """The counts of the body, else those of Bedrock's headers."""
    headers = dict(wire.headers)
    asked = fields.peek(form.asked) if form.asked is not None else None
    counted = fields.peek(form.counted) if form.counted is not None else spent
    usage = fields.peek("usage")
    if isinstance(usage, dict):
        asked, counted = usage.get("prompt_tokens"), usage.get("completion_tokens")
    given = asked if isinstance(asked, int) else _header(headers, "x-amzn-bedrock-input-token-count")
    taken = counted if isinstance(counted, int) else _header(headers, "x-amzn-bedrock-output-token-count")
    return None if given is None and taken is None else Usage(input_tokens=given, output_tokens=taken)


def _header(headers: dict[str, str], name: str) -> int | None:
    value = headers.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 12 else None


# --- Writing ---------------------------------------------------------------------------------------------------------


def _write_history(messages: Sequence[Message], form: Form, body: JsonObject, own: JsonObject, losses: Losses) -> None:
    """The prompt as it was; for Cohere's chat, what came before it."""
    texts = words_of(messages[-1:], losses)
    body[form.prompt] = texts[0][1] if texts else ""
    earlier = list(messages[:-1])
    if earlier and earlier[0].role == "system" and form.prompt == "message":
        body["preamble"] = "".join(words for _, words in words_of(earlier[:1], losses))
        earlier = earlier[1:]
    if earlier and "chat_history" not in own:
        body["chat_history"] = [
            {"role": _SPEAKERS.get(message.role, "USER"), "message": "".join(w for _, w in words_of([message], losses))}
            for message in earlier
        ]


def _write_turns(words: Said, body: JsonObject, losses: Losses) -> None:
    """A foreign conversation as Cohere's chat: the last turn of the user is the message."""
    system = "\n\n".join(text for speaker, text in words if speaker == "system")
    turns = [(speaker, text) for speaker, text in words if speaker != "system"]
    message = ""
    if turns and turns[-1][0] == "user":
        message = turns.pop()[1]
    else:
        losses.add("messages", "simulated", "behaviour", "the last turn must be the user's")
        message = "Continue."
    body["message"] = message
    if turns:
        body["chat_history"] = [{"role": _SPEAKERS[speaker], "message": text} for speaker, text in turns]
    if system:
        body["preamble"] = system


def _within(name: str, value: JsonValue, losses: Losses) -> JsonValue:
    """Sampling inside of what every vendor accepts."""
    if name in ("temperature", "top_p") and isinstance(value, int | float):
        fitting = min(max(0, value), 1)
        if fitting != value:
            losses.add(name, "clamped", "behaviour", f"{value} to {fitting}")
        return fitting
    return value


def finish_of(finish: Finish | None, form: Form) -> str:
    """The vendor's word for why the model stopped."""
    if finish is None:
        return finish_word(form, "stop")
    if finish.origin == form_origin(form) and finish.raw is not None:
        return finish.raw
    return finish_word(form, finish.kind)


def _write_own(response: Response, form: Form, own: JsonObject, losses: Losses) -> JsonObject:
    body: JsonObject = {}
    rows: list[JsonValue] = []
    for choice in response.choices:
        row: JsonObject = dict(said(choice.extra, form.language) or {})
        put_at(row, form.text, answer_text(choice.parts, losses, f"choices[{choice.index}]"))
        if choice.finish is not None and "stop_reason" not in row:
            put_at(row, form.finish, finish_of(choice.finish, form))
        rows.append(row)
    if form.rows is None:
        first = rows[0] if rows else {}
        body.update(first if isinstance(first, dict) else {})
    else:
        body[form.rows] = rows
    for name, value in own.items():
        known = body.get(name)
        if name == ECHOED:
            body["chat_history"] = value
        elif name != COPIED:
            body[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    if COPIED in own and response.choices:
        first = response.choices[0]
        text = answer_text(first.parts, losses, "choices[0]")
        body.update(copies(text, finish_of(first.finish, form)))
    return body


def put_at(into: JsonObject, path: tuple[str, ...], value: JsonValue) -> None:
    """Write a value inside of nested objects."""
    if len(path) == 1:
        into[path[0]] = value
        return
    inner = into.get(path[0])
    into[path[0]] = {**(inner if isinstance(inner, dict) else {}), path[1]: value}


def answer_text(parts: Sequence[Part], losses: Losses, path: str) -> str:
    """The words of an answer; what is not text is noted as lost."""
    texts: list[str] = []
    for index, part in enumerate(parts):
        where = f"{path}.parts[{index}]"
        match part:
            case Text() | Refusal():
                losses.drop_extra(part.extra, where)
                texts.append(part.text)
            case Structured():
                texts.append(write_json(part.value).decode())
            case Reasoning():
                losses.add(where, "dropped", "behaviour", "a completion holds no reasoning")
            case Opaque():
                losses.drop_opaque(part, where)
            case CachePoint():
                pass
            case Media() | ToolCall() | ToolResult():
                losses.add(where, "dropped", "content", f"a completion holds no {type(part).__name__}")
    return "".join(texts)
