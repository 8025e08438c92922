"""A whole stream at once: the JSON array of its chunks as one answer, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import msgspec

from freehold.ir import Choice, Extra, JsonObject, JsonValue, Losses, Part, Response
from freehold.ir.fold import merge_extra, merge_usage
from freehold.protocols.codec import Encoded, garbled
from freehold.protocols.gemini_generate.enums import Numbers
from freehold.protocols.gemini_generate.language import LANGUAGE, LISTED, NAME, is_ours
from freehold.protocols.gemini_generate.parts import PartWriter
from freehold.protocols.gemini_generate.response import has_calls, read_response


def read_chunks(values: list[JsonValue], numbers: Numbers) -> Response:
    """The answer that the chunks make; what is left of each rides along. Raises UpstreamError for anything else."""
    chunks = [value for value in values if isinstance(value, dict)]
    if not chunks or len(chunks) < len(values):
        raise garbled(NAME, "it is not a list of chunks")
    answers = [read_response(chunk, numbers) for chunk in chunks]
    choices: dict[int, Choice] = {}
    usage = None
    for answer in answers:
        usage = merge_usage(None if usage is None else msgspec.structs.replace(usage, extra=None), answer.usage)
        for choice in answer.choices:
            choices[choice.index] = _joined(choices.get(choice.index), choice)
    rests: list[JsonValue] = [_rest(chunk) for chunk in chunks]
    first = answers[0].extra
    extra = Extra(LANGUAGE, {**({} if first is None else first.fields), LISTED: rests})
    return msgspec.structs.replace(answers[0], choices=tuple(choices.values()), usage=usage, extra=extra)


def _joined(earlier: Choice | None, later: Choice) -> Choice:
    if earlier is None:
        return later
    parts = earlier.parts + later.parts
    finish = later.finish or earlier.finish
    if finish is not None and finish.kind == "stop" and has_calls(parts):
        finish = msgspec.structs.replace(finish, kind="tool_calls")
    return Choice(parts=parts, finish=finish, index=later.index, extra=merge_extra(earlier.extra, later.extra))


def _rest(chunk: JsonObject) -> JsonObject:
    """A chunk with the number of its parts in their place."""
    rest = dict(chunk)
    candidates = rest.get("candidates")
    if isinstance(candidates, list):
        rest["candidates"] = [_counted(candidate) for candidate in candidates]
    return rest


def _counted(candidate: JsonValue) -> JsonValue:
    if not isinstance(candidate, dict) or not isinstance(candidate.get("content"), dict):
        return candidate
    content = dict(cast("JsonObject", candidate["content"]))
    parts = content.get("parts")
    if isinstance(parts, list):
        del content["parts"]
        content[LISTED] = len(parts)
    return {**candidate, "content": content}


def is_listed(response: Response) -> bool:
    """Whether an answer came as a list of chunks."""
    return response.extra is not None and is_ours(response.extra) and LISTED in response.extra.fields


def write_chunks(response: Response) -> Encoded[list[JsonObject]]:
    """The list that the answer came as."""
    losses = Losses()
    writer = PartWriter(losses, native=True, answer=True)
    parts = {choice.index: iter(choice.parts) for choice in response.choices}
    said = response.extra.fields.get(LISTED) if response.extra is not None else None
    rests = [rest for rest in said if isinstance(rest, dict)] if isinstance(said, list) else []
    chunks: list[JsonObject] = []
    for rest in rests:
        chunk = dict(rest)
        candidates = chunk.get("candidates")
        if isinstance(candidates, list):
            chunk["candidates"] = [_refilled(item, place, parts, writer) for place, item in enumerate(candidates)]
        chunks.append(chunk)
    return Encoded(chunks, losses.done())


def _refilled(candidate: JsonValue, place: int, parts: dict[int, Iterator[Part]], writer: PartWriter) -> JsonValue:
    if not isinstance(candidate, dict) or not isinstance(candidate.get("content"), dict):
        return candidate
    content = dict(cast("JsonObject", candidate["content"]))
    number = content.pop(LISTED, None)
    if isinstance(number, int):
        index = candidate.get("index")
        said = parts.get(index if isinstance(index, int) else place, iter(()))
        taken = [part for _, part in zip(range(number), said, strict=False)]
        content["parts"] = cast("JsonValue", writer.parts(taken, f"choices[{place}].parts"))
    return {**candidate, "content": content}
