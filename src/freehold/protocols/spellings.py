"""The closed list of spellings: different bytes that mean the same to every reader of a protocol.

Two texts are *identical* if their bytes are the same (where a recording has no bytes: the same JSON in the same
order), and *equal* if they are the same after the spellings below.  Nothing else is ever treated as equal, and
`docs/reference/spellings.md` is written from this list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from freehold.errors import CallerError
from freehold.ir import JsonValue, parse_json
from freehold.protocols.codec import Frame

Likeness = Literal["identical", "equal", "different"]


class Spelling(msgspec.Struct, frozen=True, kw_only=True):
    """One way of writing the same thing differently. `protocols` is empty where it holds for all."""

    id: str
    says: str
    because: str
    protocols: tuple[str, ...] = ()


SPELLINGS: tuple[Spelling, ...] = (
    Spelling(
        id="key-order",
        says="The members of a JSON object may stand in any order.",
        because="RFC 8259 section 4: an object is an unordered collection.",
    ),
    Spelling(
        id="json-notation",
        says="White space between JSON tokens, the escaping of characters in strings, and the notation of a number "
        "(1.0 and 1, 1e-5 and 0.00001) do not matter.",
        because="RFC 8259 sections 2, 6 and 7: the values are the same.",
    ),
    Spelling(
        id="sse-notation",
        says="In an event stream, line ends (CR, LF, CRLF), comments, blank lines between events and the blank after "
        "a field's colon do not matter.",
        because="The HTML standard's event stream parser ignores them.",
    ),
    Spelling(
        id="array-notation",
        says="In a streamed JSON array, the white space around elements does not matter.",
        because="RFC 8259 section 2.",
    ),
)


def same_json(left: JsonValue, right: JsonValue) -> Likeness:
    """Compare two JSON values; `identical` asks for the same order of members, too."""
    if _canonical(left) != _canonical(right):
        return "different"
    return "identical" if msgspec.json.encode(left) == msgspec.json.encode(right) else "equal"


def same_text(left: bytes, right: bytes) -> Likeness:
    """Compare two bodies: bytes first, then as JSON where both are JSON."""
    if left == right:
        return "identical"
    try:
        values = parse_json(left), parse_json(right)
    except CallerError:
        return "different"
    return "different" if same_json(*values) == "different" else "equal"


def same_frames(left: Sequence[Frame], right: Sequence[Frame]) -> Likeness:
    """Compare two streams frame by frame; never better than `equal`, since frames are not the bytes."""
    if len(left) != len(right):
        return "different"
    for one, other in zip(left, right, strict=True):
        if one.event != other.event or one.kind != other.kind:
            return "different"
        if same_text(one.data, other.data) == "different":
            return "different"
    return "equal"


def _canonical(value: JsonValue) -> JsonValue | tuple[object, ...] | dict[str, object]:
    """The value with numbers in one notation, so that Python's `==` compares meaning; booleans are not numbers."""
    if isinstance(value, dict):
        return {name: _canonical(item) for name, item in value.items()}
    if isinstance(value, list):
        return tuple(_canonical(item) for item in value)
    if isinstance(value, bool):
        return ("bool", value)
    return value


def first_difference(left: JsonValue, right: JsonValue, path: str = "$") -> str | None:
    """Where two JSON values differ, as a path with both sides shortened; None if they are equal."""
    if isinstance(left, dict) and isinstance(right, dict):
        return _first(
            (f"{path}.{name}", left.get(name), right.get(name), name in left, name in right)
            for name in {**left, **right}
        )
    if isinstance(left, list) and isinstance(right, list):
        length = max(len(left), len(right))
        return _first(
            (
                f"{path}[{index}]",
                left[index] if index < len(left) else None,
                right[index] if index < len(right) else None,
                index < len(left),
                index < len(right),
            )
            for index in range(length)
        )
    if _canonical(left) == _canonical(right):
        return None
    return f"{path}: {_short(left)} became {_short(right)}"


def _first(pairs: Iterable[tuple[str, JsonValue, JsonValue, bool, bool]]) -> str | None:
    for path, left, right, in_left, in_right in pairs:
        if not in_right:
            return f"{path}: {_short(left)} is missing"
        if not in_left:
            return f"{path}: {_short(right)} was added"
        found = first_difference(left, right, path)
        if found is not None:
            return found
    return None


def _short(value: JsonValue) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
