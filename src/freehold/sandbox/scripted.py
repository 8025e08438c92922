"""The model that every emulated cloud serves: no intelligence, but manners.

It says who answers, calls the tools it is asked to call and speaks of their results, fills a schema that is demanded,
thinks when told to and wants its proofs back, and keeps to stop sequences and limits. The same request to the same
cloud gives the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from freehold.ir import (
    Choice,
    Finish,
    Generate,
    Inline,
    JsonValue,
    Media,
    Message,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Response,
    Structured,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
    write_json,
)
from freehold.sandbox.invention import invent
from freehold.sandbox.proofs import PROVING, Prover
from freehold.sandbox.tokens import count, count_request, pieces

ORIGIN: Final = "sandbox"
"""The origin of its answers: no wire language, so every codec puts them into its own words."""

_MOST_CANDIDATES: Final = 8
_LONGEST_ECHO: Final = 160
"""Letters of the question that an answer repeats."""

_SILENT: Final = frozenset(
    {"what", "is", "the", "in", "a", "an", "of", "and", "for", "get", "please", "tell", "me", "to"}
)
_OPENINGS: Final = ("Happy to help.", "Gladly.", "Of course.", "With pleasure.")


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers: the model's id and where it runs."""

    model: str
    place: str


class Scripted:
    """The model at one cloud. Pure: what it says depends on the request and the seed alone."""

    def __init__(self, *, persona: Persona, prover: Prover, seed: int) -> None:
        self._persona = persona
        self._prover = prover
        self._seed = seed

    def answer(self, request: Generate, protocol: str) -> Response:
        """The whole answer. Raises CallerError for a proof that is not this provider's own."""
        self._prover.check(request)
        parts = self._parts(request)
        parts = self._thought(request, protocol, parts)
        candidates = min(request.candidates or 1, _MOST_CANDIDATES)
        choice, output, reasoning = _limited(request, parts)
        return Response(
            origin=ORIGIN,
            model=self._persona.model,
            choices=tuple(msgspec.structs.replace(choice, index=index) for index in range(candidates)),
            usage=Usage(
                input_tokens=count_request(request),
                output_tokens=output * candidates,
                reasoning=reasoning * candidates if reasoning else None,
            ),
        )

    def _parts(self, request: Generate) -> tuple[Part, ...]:
        results = _fresh_results(request.messages)
        question = _question(request.messages)
        schema = _demanded(request)
        if not results and (calls := self._calls(request, question)):
            return calls
        if schema is not None:
            value = invent(schema, _subject(question)) if schema else {"answer": self._who()}
            return (Text(text=write_json(value).decode()),)
        if results:
            said = "; ".join(_text_of(result.parts) or "nothing" for result in results)
            return (Text(text=f"{self._who()} The tool says: {said}."),)
        return (Text(text=self._prose(request, question)),)

    def _who(self) -> str:
        return f"{self._persona.model} at {self._persona.place} answers."

    def _prose(self, request: Generate, question: str) -> str:
        opening = _OPENINGS[(self._seed + count(question)) % len(_OPENINGS)]
        seen = [_described(part) for message in request.messages for part in message.parts if isinstance(part, Media)]
        told = f" I was given {', '.join(seen)}." if seen else ""
        echo = question if len(question) <= _LONGEST_ECHO else question[:_LONGEST_ECHO] + "…"
        asked = f" You asked: {echo}" if echo else ""
        return f"{opening} {self._who()}{told}{asked}"

    # --- Tools -------------------------------------------------------------------------------------------------------

    def _calls(self, request: Generate, question: str) -> tuple[ToolCall, ...]:
        """The calls that the question asks for, or that the request demands."""
        choice = request.tool_choice
        offered = [tool for tool in request.tools if isinstance(tool, Tool)]
        if not offered or (choice is not None and choice.mode == "none"):
            return ()
        demanded = choice is not None and choice.mode == "required"
        if choice is not None and choice.names:
            offered = [tool for tool in offered if tool.name in choice.names]
        wanted = [tool for tool in offered if _asks_for(question, tool)]
        if not wanted and demanded:
            wanted = offered[:1]
        subjects = _subjects(question)
        asked = [(tool, subject) for tool in wanted for subject in subjects]
        if request.parallel_tools is False:
            asked = asked[:1]
        return tuple(self._call(number, tool, subject, question) for number, (tool, subject) in enumerate(asked))

    def _call(self, number: int, tool: Tool, subject: str, question: str) -> ToolCall:
        arguments: JsonValue = {} if tool.parameters is None else invent(tool.parameters, subject)
        name = f"call{self._seed}{len(question)}{number}{tool.name}{subject}"
        identity = re.sub(r"[^A-Za-z0-9]", "", name)[:32]
        return ToolCall(id=identity, name=tool.name, arguments=write_json(arguments).decode())

    # --- Reasoning ---------------------------------------------------------------------------------------------------

    def _thought(self, request: Generate, protocol: str, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """The parts with what was thought before them, and the proof of it where the protocol keeps it."""
        asked = request.reasoning
        if asked is None or asked.mode == "off" or asked.effort == "none" or protocol not in PROVING:
            return parts
        thought = f"{self._persona.model} is asked about {_subject(_question(request.messages))} and answers plainly."
        proof = self._prover.prove(protocol, thought)
        if protocol != "gemini-generate":
            return (Reasoning(text=thought, proof=proof), *parts)
        # Gemini signs the call, or the last text, instead of the thought.
        at = next((index for index, part in enumerate(parts) if isinstance(part, ToolCall)), len(parts) - 1)
        signed = tuple(_signed(part, proof) if index == at else part for index, part in enumerate(parts))
        return (Reasoning(text=thought), *signed)


def _signed(part: Part, proof: Proof) -> Part:
    return msgspec.structs.replace(part, proof=proof) if isinstance(part, Text | ToolCall) else part


# --- Reading the request ---------------------------------------------------------------------------------------------


def _question(messages: Sequence[Message]) -> str:
    """The last words of the user."""
    for message in reversed(messages):
        if message.role == "user" and (text := _text_of(message.parts)):
            return text
    return ""


def _text_of(parts: Sequence[Part]) -> str:
    texts: list[str] = []
    for part in parts:
        match part:
            case Text(text=text) | Refusal(text=text):
                texts.append(text)
            case Structured(value=value):
                texts.append(write_json(value).decode())
            case _:
                pass
    return " ".join(texts).strip()


def _fresh_results(messages: Sequence[Message]) -> list[ToolResult]:
    """Results that no answer of the model has followed yet."""
    results: list[ToolResult] = []
    for message in reversed(messages):
        if message.role == "assistant":
            break
        results[:0] = [part for part in message.parts if isinstance(part, ToolResult)]
    return results


def _demanded(request: Generate) -> dict[str, JsonValue] | None:
    """The schema of the answer; {} where any JSON will do, None where text is wanted."""
    form = request.output_format
    if form is None or form.kind == "text":
        return None
    return form.schema or {}


def _described(part: Media) -> str:
    size = f" of {len(part.source.data) * 3 // 4} bytes" if isinstance(part.source, Inline) else ""
    article = "an" if part.kind in {"image", "audio"} else "a"
    return f"{article} {part.kind}{f' ({part.media_type})' if part.media_type else ''}{size}"


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-z]{3,}", text.lower().replace("_", " ")) if word not in _SILENT}


def _asks_for(question: str, tool: Tool) -> bool:
    """Whether the user's words name the tool or what it is for."""
    if tool.name in question:
        return True
    spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", tool.name)
    return bool(_words(question) & _words(spelled))


def _subjects(question: str) -> list[str]:
    """What the question is about: its names (`Paris`, `Berlin`), each once; several call for several calls."""
    names = [name for name in re.findall(r"(?<![.!?] )(?<!^)\b[A-Z][\w-]+(?: [A-Z][\w-]+)*", question) if name != "I"]
    return list(dict.fromkeys(names))[:4] or [_subject_word(question)]


def _subject(question: str) -> str:
    return _subjects(question)[0]


def _subject_word(question: str) -> str:
    words = [word for word in re.findall(r"\w{3,}", question.lower()) if word not in _SILENT]
    return max(words, key=len) if words else "nothing in particular"


# --- Keeping to limits -----------------------------------------------------------------------------------------------


def _limited(request: Generate, parts: tuple[Part, ...]) -> tuple[Choice, int, int]:
    """The answer within its limits, with its output tokens and how many of them were thought."""
    left = request.max_output_tokens
    kept: list[Part] = []
    spent = thought = 0
    kind = "tool_calls" if any(isinstance(part, ToolCall) for part in parts) else "stop"
    for part in parts:
        stopped: str | None = None
        if isinstance(part, Text):
            text, stopped = _stopped(part.text, request.stop)
            part = msgspec.structs.replace(part, text=text)  # noqa: PLW2901 -- the same part, cut
        said = pieces(part.arguments + part.name if isinstance(part, ToolCall) else getattr(part, "text", ""))
        if left is not None and spent + len(said) > left:
            room = left - spent
            if isinstance(part, Text) and room > 0:
                kept.append(msgspec.structs.replace(part, text="".join(said[:room])))
            if isinstance(part, Reasoning):
                thought = left
            return Choice(parts=tuple(kept), finish=Finish(kind="length")), left, thought
        spent += len(said)
        thought += len(said) if isinstance(part, Reasoning) else 0
        kept.append(part)
        if stopped is not None:
            return Choice(parts=tuple(kept), finish=Finish(kind="stop", stop_sequence=stopped)), spent, thought
    return Choice(parts=tuple(kept), finish=Finish(kind=kind)), spent, thought


def _stopped(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """The text up to the first stop sequence in it, and which one that was."""
    found = [(at, stop) for stop in stops if stop and (at := text.find(stop)) >= 0]
    if not found:
        return text, None
    at, stop = min(found)
    return text[:at], stop
