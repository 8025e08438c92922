"""A provider's variations on a protocol: edits to an encoded body, listed in its data file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import assert_never, cast

import msgspec

from freehold.ir import JsonObject, JsonValue, Loss
from freehold.providers.catalog import matches
from freehold.providers.schema import (
    Clamp,
    Drop,
    Edit,
    MapRole,
    MapValue,
    Operation,
    Protocol,
    Remove,
    Rename,
    SetField,
    ToolCallIds,
)

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def edits_for(protocol: Protocol, model: str, operation: Operation = "generate") -> tuple[Edit, ...]:
    """The edits that concern a model and an operation, in file order; computed once per target."""
    return tuple(
        edit
        for edit in protocol.edits
        if matches(edit.models, model) and not (isinstance(edit, Remove) and operation not in edit.operations)
    )


def flags_for(protocol: Protocol, model: str) -> frozenset[str]:
    """What the codec must know of this provider and this model."""
    return frozenset((*protocol.flags, *(flag for flag, ids in protocol.model_flags.items() if matches(ids, model))))


def edit_body(body: bytes, edits: Sequence[Edit]) -> tuple[bytes, tuple[Loss, ...]]:
    """An encoded JSON body after the edits, and what they lost. The same bytes come back where nothing applies."""
    due = [edit for edit in edits if _may_concern(edit, body)]
    if not due:
        return body, ()
    decoded: object = msgspec.json.decode(body)
    if not isinstance(decoded, dict):
        return body, ()
    document = cast("JsonObject", decoded)
    losses: list[Loss] = []
    changed = False
    for edit in due:
        changed = _apply(edit, document, losses) or changed
    return (msgspec.json.encode(document), tuple(losses)) if changed else (body, ())


def _may_concern(edit: Edit, body: bytes) -> bool:
    """A cheap look that spares parsing; a false alarm only costs time."""
    match edit:
        case SetField():
            return True
        case ToolCallIds():
            return b'"tool_call' in body
        case MapRole():
            return f'"{edit.role}"'.encode() in body
        case _:
            return f'"{edit.field}"'.encode() in body


def _apply(edit: Edit, document: JsonObject, losses: list[Loss]) -> bool:
    match edit:
        case Rename():
            if edit.field not in document:
                return False
            value = document.pop(edit.field)
            document.setdefault(edit.to, value)
            return True
        case Remove():
            return document.pop(edit.field, _ABSENT) is not _ABSENT
        case SetField():
            if edit.field in document:
                return False
            document[edit.field] = edit.value
            return True
        case Drop():
            return _drop(edit, document, losses)
        case MapValue():
            value = document.get(edit.field)
            if not isinstance(value, str) or value not in edit.values:
                return False
            document[edit.field] = edit.values[value]
            return True
        case Clamp():
            return _clamp(edit, document, losses)
        case MapRole():
            return _map_role(edit, document)
        case ToolCallIds():
            return _map_tool_call_ids(edit, document)
        case _:
            assert_never(edit)


_ABSENT = object()


def _drop(edit: Drop, document: JsonObject, losses: list[Loss]) -> bool:
    value = document.get(edit.field, _ABSENT)
    if value is _ABSENT or (edit.when and value not in edit.when):
        return False
    del document[edit.field]
    if value not in (None, edit.default):
        losses.append(Loss(path=edit.field, kind="dropped", effect=edit.effect, detail=edit.detail))
    return True


def _clamp(edit: Clamp, document: JsonObject, losses: list[Loss]) -> bool:
    value = document.get(edit.field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    low = value if edit.minimum is None else max(value, edit.minimum)
    clamped = low if edit.maximum is None else min(low, edit.maximum)
    if clamped == value:
        return False
    document[edit.field] = int(clamped) if isinstance(value, int) else clamped
    detail = f"{value} is out of range, sent as {clamped:g}"
    losses.append(Loss(path=edit.field, kind="clamped", effect="behaviour", detail=detail))
    return True


def _objects(value: JsonValue | None) -> list[JsonObject]:
    """The JSON objects of a list; anything else is the provider's to refuse."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _map_role(edit: MapRole, document: JsonObject) -> bool:
    changed = False
    for message in (*_objects(document.get("messages")), *_objects(document.get("input"))):
        if message.get("role") == edit.role:
            message["role"] = edit.to
            changed = True
    return changed


def _map_tool_call_ids(edit: ToolCallIds, document: JsonObject) -> bool:
    fits = re.compile(edit.pattern).fullmatch
    changed = False

    def mapped(holder: JsonObject, key: str) -> bool:
        value = holder.get(key)
        if not isinstance(value, str) or fits(value):
            return False
        holder[key] = short_id(value, edit.length)
        return True

    for message in _objects(document.get("messages")):
        changed = mapped(message, "tool_call_id") or changed
        for call in _objects(message.get("tool_calls")):
            changed = mapped(call, "id") or changed
    return changed


def short_id(value: str, length: int) -> str:
    """Letters and digits that stand for `value`, the same ones every time. 9 of them keep 53 bits apart."""
    number = int.from_bytes(sha256(value.encode()).digest()[:16])
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, len(_LETTERS))
        digits.append(_LETTERS[digit])
    return "".join(digits)
