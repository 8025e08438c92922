"""Items of the model's turn: messages, reasoning, function calls, and what only this protocol has.

One message item is one or more neighbouring `Text` and `Refusal` parts.  The first of them carries the item's own
fields (id, status, phase) in its extra under `item`; a part without `item` continues the item before it.
Function calls and reasoning carry their item's fields in their own extra, which is there even if it is empty: it
tells an item of our own from one that still needs an id.  Several summary texts of one reasoning item
become one text with blank lines between; `segments` in the extra keeps their lengths in characters, and whether
they were a summary or the thoughts themselves: `{"summary": [120, 80]}` or `{"content": [200]}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from freehold.ir import (
    Extra,
    JsonObject,
    JsonValue,
    Losses,
    Opaque,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Text,
)
from freehold.protocols.openai_responses.calls import read_call
from freehold.protocols.openai_responses.content import Said, read_content, write_said
from freehold.protocols.openai_responses.language import LANGUAGE, NAME, carry, keep, ours, usable
from freehold.protocols.openai_responses.residual import residual, restore

SEPARATOR: Final = "\n\n"
"""Between several reasoning texts of one item, where they become one."""

_SEGMENT_TYPE = {"summary": "summary_text", "content": "reasoning_text"}

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_item(item: JsonObject, status: str = "completed") -> tuple[Part, ...]:
    """The parts of one item; `status` is the one that the writer would give it by itself."""
    match item:
        case {"type": "message", "role": "assistant", "content": list(content)}:
            said = read_message(item, content, status)
            return (Opaque(origin=LANGUAGE, value=item),) if said is None else said
        case {"type": "reasoning"}:
            return (_read_reasoning(item),)
        case {"type": "function_call"} if (call := read_call(item, status)) is not None:
            return (call,)
        case _:
            return (Opaque(origin=LANGUAGE, value=item),)


def read_message(item: JsonObject, content: list[JsonValue], status: str = "completed") -> tuple[Said, ...] | None:
    """The parts of a message of the model, at least one; None if something in it is neither text nor refusal."""
    parts: list[Said] = []
    for wire in content:
        part = read_content(wire, "assistant")
        if not isinstance(part, Text | Refusal):
            return None
        parts.append(part)
    if not parts:
        parts.append(Text(text=""))
    written = message_item([write_said(part, Losses(), "") for part in parts], status)
    parts[0] = with_item(parts[0], residual(item, written))
    return tuple(parts)


def with_item(part: Said, fields: JsonObject) -> Said:
    """The first part of a message item, with the item's own fields."""
    extra = Extra(LANGUAGE, {"item": fields, **(ours(part.extra) or {})})
    return msgspec.structs.replace(part, extra=extra)


def _read_reasoning(item: JsonObject) -> Reasoning:
    field, lengths, text = "summary", [], ""
    for name in ("content", "summary"):
        texts = _segment_texts(item.get(name), _SEGMENT_TYPE[name])
        if texts:
            field, lengths, text = name, [len(piece) for piece in texts], SEPARATOR.join(texts)
            break
    encrypted = item.get("encrypted_content")
    proof = Proof(origin=NAME, value=encrypted) if isinstance(encrypted, str) else None
    segments = segments_extra(field, lengths, text)
    bare = Reasoning(text=text, proof=proof, extra=keep(segments))
    left = residual(item, reasoning_item(bare, Losses(), ""))
    return msgspec.structs.replace(bare, extra=Extra(LANGUAGE, {**segments, **left}))


def _segment_texts(value: JsonValue, kind: str) -> list[str]:
    """The texts of a list that holds nothing else; empty if it does."""
    texts: list[str] = []
    for piece in value if isinstance(value, list) else ():
        match piece:
            case {"type": str(said), "text": str(text), **more} if said == kind and not more:
                texts.append(text)
            case _:
                return []
    return texts


def segments_extra(field: str, lengths: list[int], text: str) -> JsonObject:
    """What the writer must know to cut the text again; nothing where its own way is the right one."""
    alone: list[int] = [len(text)] if text else []
    if field == "summary" and lengths == alone:
        return {}
    cuts: list[JsonValue] = [*lengths]
    return {"segments": {field: cuts}}


# --- Writing ---------------------------------------------------------------------------------------------------------


def message_item(content: Iterable[JsonObject], status: str = "completed") -> JsonObject:
    """An answer's message as this protocol writes it by itself."""
    return {"type": "message", "status": status, "content": [*content], "role": "assistant"}


def reasoning_item(reasoning: Reasoning, losses: Losses, path: str) -> JsonObject:
    """A reasoning item; its proof stands in `encrypted_content` if it may be said here."""
    field, texts = cut(reasoning)
    pieces: list[JsonValue] = [{"type": _SEGMENT_TYPE[field], "text": text} for text in texts]
    written: JsonObject = {"type": "reasoning", "summary": []}
    written[field] = pieces
    encrypted = usable(reasoning.proof, losses, path)
    if encrypted is not None:
        written["encrypted_content"] = encrypted
    extra = ours(reasoning.extra)
    if extra is None:
        return carry(written, reasoning.extra, losses, path)
    return restore(written, {name: value for name, value in extra.items() if name != "segments"})


def cut(reasoning: Reasoning) -> tuple[str, list[str]]:
    """The field of the item that the text belongs to, and the text cut as it once came; whole if it was changed."""
    text = reasoning.text
    whole = [text] if text else []
    match (ours(reasoning.extra) or {}).get("segments"):
        case {"content": list(lengths)}:
            field = "content"
        case {"summary": list(lengths)}:
            field = "summary"
        case _:
            return "summary", whole
    pieces: list[str] = []
    at = 0
    for length in lengths:
        if not isinstance(length, int):
            return field, whole
        pieces.append(text[at : at + length])
        at += length + len(SEPARATOR)
    return field, pieces if SEPARATOR.join(pieces) == text else whole


def runs(parts: Iterable[Part]) -> Iterator[list[tuple[int, Part]]]:
    """The parts grouped as items, each with its position: neighbours that are said together are one message item."""
    run: list[tuple[int, Part]] = []
    for index, part in enumerate(parts):
        if run and not (isinstance(part, Text | Refusal) and not opens_item(part) and _is_said(run)):
            yield run
            run = []
        run.append((index, part))
    if run:
        yield run


def _is_said(run: list[tuple[int, Part]]) -> bool:
    return isinstance(run[-1][1], Text | Refusal)


def opens_item(part: Said) -> bool:
    """Whether a part says itself that a message item begins with it."""
    fields = ours(part.extra)
    return fields is not None and "item" in fields


def item_fields(part: Said) -> JsonObject:
    """The fields of the message item that begins with this part."""
    fields = ours(part.extra)
    item = fields.get("item") if fields is not None else None
    return item if isinstance(item, dict) else {}


def content_extra(part: Said) -> Said:
    """The part without its item's fields."""
    fields = ours(part.extra)
    if fields is None or "item" not in fields:
        return part
    return msgspec.structs.replace(part, extra=Extra(LANGUAGE, {k: v for k, v in fields.items() if k != "item"}))


def write_message(run: list[tuple[int, Part]], losses: Losses, path: str, status: str = "completed") -> JsonObject:
    """A run of texts and refusals as one message item; without an id unless this protocol gave one."""
    said = [(index, part) for index, part in run if isinstance(part, Text | Refusal)]
    content: list[JsonObject] = []
    for index, part in said:
        where = f"{path}.parts[{index}]"
        content.append(write_said(content_extra(part), losses, where))
    return restore(message_item(content, status), item_fields(said[0][1]))
