"""Text completion in any of its forms, streamed: chunks to events and back."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.errors import CallerError
from freehold.ir import (
    ArgumentsDelta,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    ExtraDelta,
    Finish,
    JsonObject,
    JsonValue,
    Loss,
    Losses,
    Media,
    Opaque,
    Part,
    PartEnd,
    PartStart,
    ProofDelta,
    Pulse,
    Reasoning,
    Refusal,
    Response,
    ResponseEnd,
    ResponseStart,
    Structured,
    Text,
    TextDelta,
    ToolCall,
    ToolResult,
    Usage,
    UsageDelta,
    write_json,
)
from freehold.ir.fold import merge_usage
from freehold.protocols.aws_errors import broken_stream, failure_frame, stream_failure
from freehold.protocols.bedrock_invoke.chunks import CHUNK, close_chunk, open_chunk, read_metrics, write_metrics
from freehold.protocols.bedrock_invoke.forms import COPIES, Form, finish_kind, finish_word, form_origin
from freehold.protocols.bedrock_invoke.language import NAME, said
from freehold.protocols.codec import Frame, Stamp

_CHUNK = "chunk"
"""What was left of a chunk: everything but its text, which is empty here."""

# --- Reading ---------------------------------------------------------------------------------------------------------


class CompletionDecoder:
    """Reads a stream of one form. It has no last frame: the connection's end after a finish is the answer's."""

    __slots__ = ("_done", "_ended", "_form", "_open", "_started")

    def __init__(self, form: Form) -> None:
        self._form = form
        self._started = False
        self._done = False
        self._open: set[int] = set()
        self._ended: set[int] = set()

    def feed(self, frame: Frame) -> list[Event]:
        """The events of one frame."""
        language = self._form.language
        if self._done:
            return []
        if frame.kind != "event":
            self._done = True
            return [ErrorEnd(failure=stream_failure(frame, language))]
        if frame.event != CHUNK:
            return [Pulse(rest=Extra(language, {"frame": frame.event, "value": frame.data.decode(errors="replace")}))]
        try:
            chunk, beside = open_chunk(frame)
        except CallerError as error:
            self._done = True
            problem = f"the provider's stream could not be understood: {error.message}"
            return [ErrorEnd(failure=broken_stream(problem, language))]
        return self._read(chunk, beside)

    def close(self) -> list[Event]:
        """The connection ended: an error unless every candidate had its finish."""
        if self._done:
            return []
        self._done = True
        if self._ended and not self._open:
            return [ResponseEnd(rest=Extra(self._form.language, {}))]
        problem = "the provider's stream ended before its answer did"
        return [ErrorEnd(failure=broken_stream(problem, self._form.language, code="upstream_truncated"))]

    def _read(self, chunk: JsonObject, beside: JsonObject) -> list[Event]:
        usage = self._usage(chunk)
        events: list[Event] = []
        rows, form = rows_of(chunk, self._form)
        for position, row in enumerate(rows):
            index = row.get("index", position)
            number = index if isinstance(index, int) and not isinstance(index, bool) else position
            if number in self._ended:
                continue
            text = text_at(row, form.text)
            if text:
                if number not in self._open:
                    self._open.add(number)
                    events.append(PartStart(index=0, part=Text(text=""), choice=number))
                events.append(TextDelta(index=0, text=text, choice=number))
            reason = text_at(row, form.finish) or _reason_elsewhere(row)
            if reason is not None:
                # Cohere's last chunk ends every candidate.
                numbers = {number} if "index" in row or form.rows is not None else self._open | {number}
                for ending in sorted(numbers):
                    self._end(ending, reason, events)
        if usage is not None:
            events.append(UsageDelta(usage=usage))
        # The chunk without its texts, marked on the first event of the batch.
        _blank(chunk, self._form)
        rest = Extra(self._form.language, {_CHUNK: chunk, **beside})
        if not self._started:
            self._started = True
            return [ResponseStart(response=self._response(), rest=rest), *events]
        return [Pulse(rest=rest), *events]

    def _response(self) -> Response:
        return Response(origin=NAME, choices=(), extra=Extra(self._form.language, {}))

    def _end(self, number: int, reason: str, events: list[Event]) -> None:
        if number in self._open:
            self._open.remove(number)
            events.append(PartEnd(index=0, choice=number))
        if number not in self._ended:
            self._ended.add(number)
            finish = Finish(kind=finish_kind(reason), raw=reason, origin=form_origin(self._form))
            events.append(ChoiceEnd(finish=finish, choice=number))

    def _usage(self, chunk: JsonObject) -> Usage | None:
        usage = read_metrics(chunk)
        if usage is not None:
            return usage
        form = self._form.streamed or self._form
        asked = chunk.get(form.asked) if form.asked is not None else None
        spent = chunk.get(form.counted) if form.counted is not None else None
        if not isinstance(asked, int):
            # The output is counted in every chunk; the last one says it anyway.
            return None
        return Usage(input_tokens=asked, output_tokens=spent if isinstance(spent, int) else None)


def rows_of(chunk: JsonObject, form: Form) -> tuple[list[JsonObject], Form]:
    """The candidates of a chunk and the form they have there: a chunk may hold a whole answer."""
    if form.rows is not None and isinstance(rows := chunk.get(form.rows), list):
        return [row for row in rows if isinstance(row, dict)], form
    return ([chunk], form.streamed) if form.streamed is not None else ([] if form.rows is not None else [chunk], form)


def text_at(row: JsonObject, path: tuple[str, ...]) -> str | None:
    """A string inside of nested objects."""
    value: JsonValue = row
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def _reason_elsewhere(row: JsonObject) -> str | None:
    """The finish where other chunks of a form have it: DeepSeek's name, Cohere's last event."""
    if isinstance(row.get("text"), str) and isinstance(reason := row.get("stop_reason"), str):
        return reason
    response = row.get("response")
    reason = response.get("finish_reason") if isinstance(response, dict) else None
    return reason if isinstance(reason, str) else None


def _blank(chunk: JsonObject, form: Form) -> None:
    rows, shape = rows_of(chunk, form)
    for row in rows:
        put_text(row, shape.text, "")
    if form.name == "text":
        _put_copies(chunk, "")


def put_text(row: JsonObject, path: tuple[str, ...], text: str) -> None:
    """Replace a text that is there."""
    holder: JsonValue = row
    for name in path[:-1]:
        holder = holder.get(name) if isinstance(holder, dict) else None
    if isinstance(holder, dict) and isinstance(holder.get(path[-1]), str):
        holder[path[-1]] = text


def _put_copies(chunk: JsonObject, text: str) -> None:
    """The other names under which our own chunks give their text."""
    if all(name in chunk for name in COPIES):
        chunk["generation"] = chunk["completion"] = text
        outputs = chunk["outputs"]
        if isinstance(outputs, list) and outputs and isinstance(first := outputs[0], dict):
            first["text"] = text


# --- Writing ---------------------------------------------------------------------------------------------------------


class CompletionEncoder:
    """Writes a stream of one form."""

    __slots__ = ("_finish", "_form", "_losses", "_said", "_skipped", "_stamp", "_usage", "losses")

    def __init__(self, form: Form, stamp: Stamp) -> None:
        self._form = form
        self._stamp = stamp
        self._losses = Losses()
        self.losses: list[Loss] = self._losses.items
        self._usage = Usage()
        self._finish: str | None = None
        self._skipped: set[int] = set()
        self._said: set[int] = set()

    def feed(self, events: Sequence[Event]) -> list[Frame]:
        """The frames of one batch."""
        rest = said(events[0].rest, self._form.language) if events else None
        if rest is not None and not isinstance(events[0], ErrorEnd):
            return self._own(events, rest)
        frames: list[Frame] = []
        for event in events:
            self._say(event, frames)
        return frames

    def _own(self, events: Sequence[Event], rest: JsonObject) -> list[Frame]:
        """A chunk of this form, put together again."""
        name = rest.get("frame", _CHUNK)
        if name != _CHUNK:
            return [Frame(event=name if isinstance(name, str) else None, data=str(rest.get("value")).encode())]
        left = rest.get(_CHUNK)
        if not isinstance(left, dict):
            return []
        rows, form = rows_of(left, self._form)
        for event in events:
            if isinstance(event, TextDelta):
                for position, row in enumerate(rows):
                    if row.get("index", position) == event.choice:
                        put_text(row, form.text, event.text)
                if self._form.name == "text":
                    _put_copies(left, event.text)
        payload = write_json(left)
        # The event is not ours to change: its chunk is blank again, as others may read it.
        _blank(left, self._form)
        return [close_chunk(payload, {name: value for name, value in rest.items() if name != _CHUNK})]

    def _say(self, event: Event, frames: list[Frame]) -> None:
        """One event of another language."""
        match event:
            case TextDelta():
                if event.choice == 0 and event.index not in self._skipped and event.text:
                    self._said.add(event.index)
                    frames.append(self._chunk(event.text, None))
            case PartStart():
                self._part(event.part, event, frames)
            case PartEnd(part=Text(text=text) | Refusal(text=text)) if event.choice == 0:
                if text and event.index not in self._said:
                    frames.append(self._chunk(text, None))
            case ExtraDelta():
                self._losses.drop_extra(event.extra, f"choices[{event.choice}].parts[{event.index}]")
            case UsageDelta():
                self._usage = merge_usage(self._usage, event.usage) or self._usage
            case ResponseStart():
                self._usage = merge_usage(self._usage, event.response.usage) or self._usage
                self._losses.drop_extra(event.response.extra, "")
            case ChoiceEnd():
                self._losses.drop_extra(event.extra, f"choices[{event.choice}]")
                if event.choice == 0:
                    self._finish = finish_word(self._form, "stop" if event.finish is None else event.finish.kind)
            case ResponseEnd():
                frames.append(self._last())
            case ErrorEnd(failure=failure):
                frames.append(failure_frame(failure, self._form.language))
            case ArgumentsDelta() | ProofDelta() | PartEnd() | Pulse():
                pass

    def _part(self, part: Part, event: PartStart, frames: list[Frame]) -> None:
        path = f"choices[{event.choice}].parts[{event.index}]"
        if event.choice != 0:
            self._losses.add(path, "dropped", "content", "a streamed completion has one candidate here")
            return
        match part:
            case Text() | Refusal():
                self._losses.drop_extra(part.extra, path)
                text = part.text
            case Structured():
                text = write_json(part.value).decode()
            case Opaque():
                self._losses.drop_opaque(part, path)
                text = ""
            case Reasoning():
                self._losses.add(path, "dropped", "behaviour", "a completion holds no reasoning")
                text = ""
            case Media() | ToolCall() | ToolResult():
                self._losses.add(path, "dropped", "content", f"a completion holds no {type(part).__name__}")
                text = ""
            case _:
                text = ""
        if not isinstance(part, Text | Refusal):
            self._skipped.add(event.index)
        if text:
            self._said.add(event.index)
            frames.append(self._chunk(text, None))

    def _chunk(self, text: str, finish: str | None) -> Frame:
        return close_chunk(write_json(self._form.chunk(text, finish, self._usage, self._stamp)))

    def _last(self) -> Frame:
        finish = self._finish or finish_word(self._form, "stop")
        chunk = self._form.chunk("", finish, self._usage, self._stamp)
        return close_chunk(write_json({**chunk, **write_metrics(self._usage)}))
