"""Chunks in, events out.

Each chunk gives one batch. What an event says is taken out of the chunk, and the chunk that is left rides along as the
`rest` of the batch's first event, so that the encoder can put everything back in its place. Text that says nothing
(`"content": ""`) is no event and stays where it is.
"""

from __future__ import annotations

from typing import cast

import msgspec

from freehold.ir import (
    ArgumentsDelta,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    ExtraDelta,
    Fields,
    JsonObject,
    JsonValue,
    Opaque,
    Part,
    PartEnd,
    PartStart,
    ProofDelta,
    Pulse,
    Reasoning,
    Refusal,
    Request,
    Response,
    ResponseEnd,
    ResponseStart,
    Text,
    TextDelta,
    ToolCall,
    UsageDelta,
)
from freehold.protocols.codec import Frame
from freehold.protocols.openai_chat.language import DONE, EVENT, FIELD, LANGUAGE, NAME, TAKEN
from freehold.protocols.openai_chat.names import own_names
from freehold.protocols.openai_chat.parts import REASONING_FIELDS, proof_of_details, spoken, text_of_details
from freehold.protocols.openai_chat.response import MESSAGE, finish_of
from freehold.protocols.openai_chat.seal import split_id
from freehold.protocols.openai_chat.usage import decode_usage
from freehold.protocols.openai_errors import broken, failure_in_chunk

_ENVELOPE = frozenset({"id", "object", "created", "model", "choices", "usage", "error", "obfuscation", "p"})
"""A chunk's fields that do not belong to the answer's extras: taken, or padding."""

_SILENT = frozenset({"role", "content", "refusal", "tool_calls", "function_call", *REASONING_FIELDS})
"""A delta's fields that say nothing once their words are taken."""

_decode = msgspec.json.Decoder().decode


class _Calls:
    """The tool calls of one choice, by the index that the wire gives them."""

    __slots__ = ("by_index", "last")

    def __init__(self) -> None:
        self.by_index: dict[int, tuple[int, str]] = {}
        self.last = 0


class _Choice:
    """One candidate answer while its chunks come in. `place` is where the words of the open part stand in a delta."""

    __slots__ = (
        "audio",
        "calls",
        "custom",
        "details",
        "ended",
        "extra",
        "function",
        "number",
        "open",
        "parts",
        "place",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.parts = 0
        self.open: list[int] = []
        self.place = ""
        self.calls = _Calls()
        self.function: int | None = None
        self.audio: JsonObject = {}
        self.custom: dict[int, JsonObject] = {}
        self.details: list[JsonValue] = []
        self.extra: JsonObject = {MESSAGE + "role": "assistant"}
        self.ended = False

    def start(self, part: Part, events: list[Event]) -> int:
        """Begin a part; gives its index."""
        index = self.parts
        self.parts += 1
        self.open.append(index)
        events.append(PartStart(index=index, part=part, choice=self.number))
        return index

    def whole(self, part: Part, events: list[Event]) -> None:
        """A part that comes all at once."""
        index = self.start(part, events)
        self.open.remove(index)
        events.append(PartEnd(index=index, choice=self.number))

    def text(self, place: str, part: Part, text: str, events: list[Event]) -> None:
        """More words in a place; words in another place than the last ones begin a new part."""
        if self.place != place:
            self.close_text(events)
            self.start(part, events)
            self.place = place
        events.append(TextDelta(index=self._text_index(), text=text, choice=self.number))

    def _text_index(self) -> int:
        """The open text is always the part opened last: calls close it, and it closes before another opens."""
        return self.open[-1]

    def close_text(self, events: list[Event]) -> None:
        """End the open text; reasoning gets its proof now."""
        if not self.place:
            return
        index = self.open.pop()
        self.place = ""
        proof = proof_of_details(self.details)
        if proof is not None:
            events.append(ProofDelta(index=index, proof=proof, choice=self.number))
        self.details = []
        events.append(PartEnd(index=index, choice=self.number))

    def close(self, events: list[Event]) -> None:
        """End everything that is open."""
        self.close_text(events)
        if self.audio:
            part = spoken(Fields(self.audio, LANGUAGE))
            if part is not None:
                self.whole(part, events)
        for call in self.custom.values():
            self.whole(Opaque(origin=LANGUAGE, value=call), events)
        events += [PartEnd(index=index, choice=self.number) for index in self.open]
        self.open.clear()

    def called(self) -> bool:
        """Whether a client is asked to run a tool."""
        return bool(self.calls.by_index) or self.function is not None or bool(self.custom)


class ChatDecoder:
    """Decodes one streamed answer."""

    def __init__(self, request: Request | None = None) -> None:
        """`request` tells which tools had to be renamed for this server."""
        self._renamed = own_names(request)
        self._choices: dict[int, _Choice] = {}
        self._extra: JsonObject | None = None
        self._early: JsonObject = {}
        self._last: JsonObject = {}
        self._done = False

    def feed(self, frame: Frame) -> list[Event]:
        """The batch of one chunk; nothing after the end."""
        if self._done:
            return []
        try:
            chunk = _decode(frame.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if frame.data.strip() == b"[DONE]":
                return self._finish(frame.data.decode())
            return self._break("a chunk is not JSON")
        if not isinstance(chunk, dict):
            return self._break("a chunk is not an object")
        chunk = cast("JsonObject", chunk)
        events = self._plain(chunk)
        if events is None:
            if frame.event is not None:
                chunk[EVENT] = frame.event
            events = self._chunk(chunk)
        return events

    def close(self) -> list[Event]:
        """The connection ended: complete without `[DONE]` if every choice has its finish, else broken off."""
        if self._done:
            return []
        if self._choices and all(choice.ended for choice in self._choices.values()):
            return self._finish(None)
        return self._break("the stream ended before the answer did")

    def _plain(self, chunk: JsonObject) -> list[Event] | None:
        """The fast path: one more piece of the open text and nothing else. None where there is more to it."""
        choices = chunk.get("choices")
        if not isinstance(choices, list) or len(choices) != 1 or chunk.get("usage") or "error" in chunk:
            return None
        choice = choices[0]
        if not isinstance(choice, dict) or choice.get("finish_reason") is not None or choice.get("logprobs"):
            return None
        delta = choice.get("delta")
        number = choice.get("index", 0)
        state = self._choices.get(number) if isinstance(number, int) else None
        if state is None or state.ended or not state.place or not isinstance(delta, dict):
            return None
        place = state.place
        text = delta.get(place)
        if not isinstance(text, str) or not text:
            return None
        if len(delta) > 1:
            for name, value in delta.items():
                if value and name not in {place, "role"}:
                    return None
        del delta[place]
        rest = Extra(LANGUAGE, chunk)
        return [TextDelta(index=state.open[-1], text=text, choice=state.number, rest=rest)]

    def _chunk(self, chunk: JsonObject) -> list[Event]:
        events: list[Event] = []
        self._last = chunk
        self._usage(chunk, events)
        if self._extra is None and not self._start(chunk, events):
            return [Pulse(rest=Extra(LANGUAGE, chunk))]
        choices = chunk.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict):
                    self._choice(choice, events)
        if chunk.get("error"):
            events.append(ErrorEnd(failure=failure_in_chunk(chunk, LANGUAGE)))
            del chunk["error"]
            self._done = True
        rest = Extra(LANGUAGE, chunk)
        if not events:
            return [Pulse(rest=rest)]
        events[0] = msgspec.structs.replace(events[0], rest=rest)
        return events

    def _start(self, chunk: JsonObject, events: list[Event]) -> bool:
        """Begin the answer. Azure's first chunk only judges the prompt (WIRE_FACTS 11): its extras wait."""
        model = chunk.get("model")
        self._early.update({name: value for name, value in chunk.items() if name not in _ENVELOPE and name != EVENT})
        if not (chunk.get("choices") or model or events or chunk.get("error")):
            return False
        identity, created = chunk.get("id"), chunk.get("created")
        self._extra = {"object": "chat.completion", **self._early}
        response = Response(
            origin=NAME,
            choices=(),
            id=identity if isinstance(identity, str) and identity else None,
            model=model if isinstance(model, str) and model else None,
            created=created if isinstance(created, int) and not isinstance(created, bool) else None,
            extra=Extra(LANGUAGE, self._extra),
        )
        events.insert(0, ResponseStart(response=response))
        return True

    def _usage(self, chunk: JsonObject, events: list[Event]) -> None:
        """Usage from its usual place, or from Groq's (WIRE_FACTS 10)."""
        match chunk:
            case {"usage": dict(usage)} if usage:
                del chunk["usage"]
            case {"x_groq": {"usage": dict(usage)} as groq} if usage:
                chunk["x_groq"] = {**groq, "usage": TAKEN}
            case _:
                return
        events.append(UsageDelta(usage=decode_usage(usage)))

    def _choice(self, choice: JsonObject, events: list[Event]) -> None:
        number = choice.get("index", 0)
        if not isinstance(number, int):
            return
        state = self._choices.get(number)
        if state is None:
            state = self._choices[number] = _Choice(number)
        if state.ended:
            return
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._delta(state, delta, events)
        self._choice_extras(state, choice)
        raw = choice.get("finish_reason")
        if isinstance(raw, str) and raw:
            del choice["finish_reason"]
            state.close(events)
            state.ended = True
            finish = finish_of(raw, called=state.called())
            events.append(ChoiceEnd(finish=finish, choice=number, extra=Extra(LANGUAGE, state.extra)))

    def _choice_extras(self, state: _Choice, choice: JsonObject) -> None:
        """What a choice says beside its delta belongs to the whole choice; pieces of log-probabilities are joined."""
        for name, value in choice.items():
            if value is None or name in {"index", "delta", "finish_reason", "message", "text"}:
                continue
            earlier = state.extra.get(name)
            if name == "logprobs" and isinstance(earlier, dict) and isinstance(value, dict):
                state.extra[name] = _join(earlier, value)
            else:
                state.extra[name] = value

    def _delta(self, state: _Choice, delta: JsonObject, events: list[Event]) -> None:
        self._reasoning(state, delta, events)
        content = delta.get("content")
        if isinstance(content, str) and content:
            del delta["content"]
            state.text("content", Text(text=""), content, events)
        elif isinstance(content, list) and content:
            delta["content"] = [self._block(state, block, events) for block in content]
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            del delta["refusal"]
            state.text("refusal", Refusal(text=""), refusal, events)
        calls = delta.get("tool_calls")
        if isinstance(calls, list) and calls:
            delta["tool_calls"] = [self._call(state, call, events) for call in calls]
        function = delta.get("function_call")
        if isinstance(function, dict):
            self._function(state, function, events)
        if len(delta) > 1 or "role" not in delta:
            self._delta_extras(state, delta, events)

    def _delta_extras(self, state: _Choice, delta: JsonObject, events: list[Event]) -> None:
        for name, value in delta.items():
            if not value or name in _SILENT:
                continue
            if name == "audio" and isinstance(value, dict):
                state.audio = _join(state.audio, value)
            elif name == "annotations" and isinstance(value, list) and state.place == "content":
                extra = Extra(LANGUAGE, {name: value})
                events.append(ExtraDelta(index=state.open[-1], extra=extra, choice=state.number))
            elif name != "reasoning_details":
                state.extra[MESSAGE + name] = value

    def _reasoning(self, state: _Choice, delta: JsonObject, events: list[Event]) -> None:
        said = [name for name in REASONING_FIELDS if isinstance(delta.get(name), str) and delta[name]]
        if len(said) == 2 and delta[said[0]] != delta[said[1]]:
            said.pop()
        details = delta.get("reasoning_details")
        listed = details if isinstance(details, list) else []
        if said:
            text = cast("str", delta[said[0]])
            for name in said:
                del delta[name]
            extra: JsonObject = {} if said == ["reasoning_content"] else {FIELD: [*said]}
            state.text(" ".join(said), Reasoning(text="", extra=Extra(LANGUAGE, extra)), text, events)
        elif listed and state.place not in REASONING_FIELDS and state.place != "details":
            state.close_text(events)
            state.start(Reasoning(text=text_of_details(listed), extra=Extra(LANGUAGE, {FIELD: []})), events)
            state.place = "details"
        for detail in listed:
            _join_detail(state.details, detail)

    def _block(self, state: _Choice, block: JsonValue, events: list[Event]) -> JsonValue:
        """One typed part in a delta's content, as Mistral sends its thinking; gives what is left of it."""
        match block:
            case {"type": "thinking", "thinking": [{"type": "text", "text": str(text), **inner}], **rest} if (
                text and not inner
            ):
                extra = Extra(LANGUAGE, {"type": "thinking"})
                state.text("thinking", Reasoning(text="", extra=extra), text, events)
                return {TAKEN: {"type": "thinking", **rest}}
            case {"type": "text", "text": str(text), **rest} if text:
                extra = Extra(LANGUAGE, {"type": "text"})
                state.text("text", Text(text="", extra=extra), text, events)
                return {TAKEN: {"type": "text", **rest}}
            case _:
                return block

    def _call(self, state: _Choice, entry: JsonValue, events: list[Event]) -> JsonValue:
        """One entry of `tool_calls`; gives what is left of it."""
        if not isinstance(entry, dict):
            return entry
        at = entry.get("index")
        function = entry.get("function")
        if not isinstance(function, dict):
            if isinstance(entry.get("custom"), dict) and isinstance(at, int):
                state.custom[at] = _join(state.custom.get(at, {}), {**entry, "index": None})
            return entry
        identity, name, arguments = entry.get("id"), function.get("name"), function.get("arguments")
        text = arguments if isinstance(arguments, str) else ""
        calls = state.calls
        if not isinstance(at, int):
            at = calls.last + 1 if isinstance(name, str) and name else calls.last
        known = calls.by_index.get(at)
        if known is None or (isinstance(identity, str) and identity and isinstance(name, str) and identity != known[1]):
            if not isinstance(name, str):
                return entry
            return self._new_call(state, entry, at, events)
        if not text:
            return entry
        events.append(ArgumentsDelta(index=known[0], text=text, choice=state.number))
        return {TAKEN: {**entry, "function": {key: value for key, value in function.items() if key != "arguments"}}}

    def _new_call(self, state: _Choice, entry: JsonObject, at: int, events: list[Event]) -> JsonValue:
        function = cast("JsonObject", entry["function"])
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else ""
        state.close_text(events)
        identity = entry.get("id")
        sealed = split_id(identity if isinstance(identity, str) else "")
        for reasoning in sealed.before:
            state.whole(reasoning, events)
        left: JsonObject = {name: value for name, value in entry.items() if name != "id" or not value}
        inner: JsonObject = {
            name: value for name, value in function.items() if name != "name" and (name != "arguments" or not value)
        }
        left["function"] = inner
        # What stands in a complete call's extras; the chunk's own leftovers ride in `rest`.
        extra: JsonObject = {name: value for name, value in left.items() if name not in {"index", "function"}}
        name = cast("str", function["name"])
        call = ToolCall(
            id=sealed.id,
            name=self._renamed.get(name, name),
            arguments=text,
            proof=sealed.own,
            extra=Extra(LANGUAGE, extra),
        )
        index = state.start(call, events)
        state.calls.by_index[at] = (index, identity if isinstance(identity, str) else "")
        state.calls.last = at
        return {TAKEN: left}

    def _function(self, state: _Choice, function: JsonObject, events: list[Event]) -> None:
        """The call of 2023; what is taken out is put back by its kind, since there is only one."""
        name, arguments = function.get("name"), function.get("arguments")
        if state.function is None:
            if not isinstance(name, str) or not name:
                return
            del function["name"]
            state.close_text(events)
            extra = Extra(LANGUAGE, {FIELD: "function_call"})
            state.function = state.start(ToolCall(id="", name=name, arguments="", extra=extra), events)
        if isinstance(arguments, str) and arguments:
            del function["arguments"]
            events.append(ArgumentsDelta(index=state.function, text=arguments, choice=state.number))

    def _finish(self, sent: str | None) -> list[Event]:
        """The end, and how it was said: Groq writes a blank behind `[DONE]`, others leave it out."""
        if self._extra is None:
            return self._break("the stream holds no answer")
        self._done = True
        events: list[Event] = []
        for choice in self._choices.values():
            if not choice.ended:
                choice.close(events)
                events.append(ChoiceEnd(finish=None, choice=choice.number, extra=Extra(LANGUAGE, choice.extra)))
        rest = Extra(LANGUAGE, {DONE: sent})
        extra = self._late_extras()
        if events:
            events[0] = msgspec.structs.replace(events[0], rest=rest)
            events.append(ResponseEnd(extra=extra))
        else:
            events.append(ResponseEnd(extra=extra, rest=rest))
        return events

    def _late_extras(self) -> Extra | None:
        """What only the last chunk says of the answer. Lists that came before are repeated by it, not continued."""
        before = self._extra or {}
        late: JsonObject = {
            name: value
            for name, value in self._last.items()
            if name not in _ENVELOPE
            and name != EVENT
            and value is not None
            and (name not in before or not isinstance(value, list | dict))
        }
        return Extra(LANGUAGE, late) if late else None

    def _break(self, message: str) -> list[Event]:
        self._done = True
        return [ErrorEnd(failure=broken(LANGUAGE, message))]


def _join(earlier: JsonObject, later: JsonObject) -> JsonObject:
    """Two pieces of one object: texts and lists are continued, objects joined, anything else replaced."""
    joined = dict(earlier)
    for name, value in later.items():
        before = joined.get(name)
        if isinstance(before, list) and isinstance(value, list):
            joined[name] = before + value
        elif isinstance(before, dict) and isinstance(value, dict):
            joined[name] = _join(before, value)
        elif isinstance(before, str) and isinstance(value, str) and name in {"data", "transcript", "input"}:
            joined[name] = before + value
        elif value is not None:
            joined[name] = value
    return joined


def _join_detail(details: list[JsonValue], detail: JsonValue) -> None:
    """Add a piece of `reasoning_details` to the one with its type and index."""
    if isinstance(detail, dict):
        last = details[-1] if details else None
        if isinstance(last, dict) and all(last.get(name) == detail.get(name) for name in ("type", "index")):
            joined = dict(last)
            for name, value in detail.items():
                before = joined.get(name)
                if name in {"text", "summary"} and isinstance(before, str) and isinstance(value, str):
                    joined[name] = before + value
                elif value is not None:
                    joined[name] = value
            details[-1] = joined
            return
    details.append(detail)
