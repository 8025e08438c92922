"""Taking what one knows out of a JSON object, and carrying the rest.

A codec wraps each wire object in `Fields`, takes the fields it understands *when they have the type it understands*,
and hands `rest()` to the value it builds.  A null, or a value of another type, is not taken: it rides along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, cast

import msgspec

from freehold.errors import CallerError
from freehold.ir.values import Extra, JsonObject, JsonValue, Language

MAX_JSON_DEPTH = 128
"""Deepest nesting accepted in a body; real requests stay under 40, and whoever walks a value recurses."""

_LONG = 16_384

_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def parse_json(data: bytes | str) -> JsonValue:
    """JSON text as Python values. Raises CallerError for anything else, deep nesting included."""
    try:
        value = cast("JsonValue", msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CallerError(f"the body is not valid JSON: {error}", code="invalid_json") from None
    except RecursionError:
        raise _too_deep() from None
    text = data.encode() if isinstance(data, str) else data
    if _has_many_brackets(text) and _is_deep(text, value):
        raise _too_deep()
    return value


def _has_many_brackets(text: bytes) -> bool:
    """Whether there are enough of them to nest too deeply."""
    if len(text) < 2 * MAX_JSON_DEPTH:
        return False
    if len(text) < _LONG:
        return text.count(b"{") + text.count(b"[") > MAX_JSON_DEPTH
    # Long bodies are long texts, where looking from one bracket to the next is thirty times faster than counting.
    many = 0
    for bracket in (b"{", b"["):
        at = text.find(bracket)
        while at >= 0:
            many += 1
            if many > MAX_JSON_DEPTH:
                return True
            at = text.find(bracket, at + 1)
    return False


def _too_deep() -> CallerError:
    return CallerError(f"the body is nested more than {MAX_JSON_DEPTH} levels deep", code="invalid_json")


def _is_deep(text: bytes, value: JsonValue) -> bool:
    """Whether JSON is nested too deeply.

    Innermost pairs of brackets are struck out level by level, which costs little; only if something is left in the
    end (deep nesting, or brackets inside strings) is the value itself walked.
    """
    brackets = text.translate(None, _NO_BRACKETS)
    for _ in range(MAX_JSON_DEPTH):
        fewer = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if not fewer:
            return False
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    level: list[JsonValue] = [value]
    for _ in range(MAX_JSON_DEPTH):
        inner: list[JsonValue] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = inner
    return any(isinstance(item, dict | list) for item in level)


def parse_object(data: bytes | str) -> JsonObject:
    """A JSON object. Raises CallerError if the text is anything else."""
    value = parse_json(data)
    if not isinstance(value, dict):
        raise CallerError("the body must be a JSON object", code="invalid_json")
    return value


def write_json(value: object) -> bytes:
    """Compact JSON in the order of the value's keys."""
    return msgspec.json.encode(value)


Plain = Mapping[str, tuple[str, frozenset[type]]]
"""Fields that are taken as they are: the canonical name of each, and the types it is understood in."""

STRING = frozenset({str})
BOOLEAN = frozenset({bool})
INTEGER = frozenset({int})
NUMBER = frozenset({int, float})


class Fields:
    """The fields of one wire object, being taken one by one. The object itself is not changed."""

    __slots__ = ("_left", "origin", "path")

    def __init__(self, value: JsonValue, origin: Language, path: str = "") -> None:
        """`path` names the object in the caller's body, for error messages. Raises CallerError if not an object."""
        self.path = path
        self.origin = origin
        if not isinstance(value, dict):
            self.fail("must be an object")
        self._left: JsonObject = value.copy()

    def at(self, name: str) -> str:
        """The path of a field of this object."""
        return f"{self.path}.{name}" if self.path else name

    def fail(self, problem: str, name: str = "") -> NoReturn:
        """Raise the CallerError that says what is wrong with this object, or with its field `name`."""
        where = self.at(name) if name else self.path
        raise CallerError(f"{where or 'the body'} {problem}", param=where or None)

    def peek(self, name: str) -> JsonValue:
        """The field as it is, left in place; None if absent."""
        return self._left.get(name)

    def has(self, name: str) -> bool:
        """Whether the field is still here, null included."""
        return name in self._left

    def take(self, name: str) -> JsonValue:
        """The field, whatever its type; None if absent (a null is taken too)."""
        return self._left.pop(name, None)

    def put_back(self, name: str, value: JsonValue) -> None:
        """Let `value` ride along under `name`: what was left of a field after taking a piece of it."""
        self._left[name] = value

    def put_back_inner(self, prefix: str, inner: Fields) -> None:
        """Let what is left of an inner object ride along here, each name behind `prefix`."""
        for name, value in inner._left.items():
            self._left[prefix + name] = value

    def take_constant(self, name: str, value: JsonValue) -> bool:
        """Take the field if it has exactly this value."""
        if name in self._left and self._left[name] == value:
            del self._left[name]
            return True
        return False

    def take_plain(self, plain: Plain) -> dict[str, Any]:
        """All fields that `plain` knows, by canonical name; those of another type stay."""
        left = self._left
        taken: dict[str, JsonValue] = {}
        for name, (canonical, types) in plain.items():
            value = left.get(name)
            if type(value) in types:
                taken[canonical] = value
                del left[name]
        return taken

    def holds_any(self, names: frozenset[str]) -> bool:
        """Whether one of these fields is still here."""
        return not names.isdisjoint(self._left)

    def says_any(self, names: frozenset[str]) -> bool:
        """Whether one of these fields is still here and holds more than null, zero or nothing."""
        return bool([name for name, value in self._left.items() if value and name in names])

    def take_str(self, name: str) -> str | None:
        """The field if it is a string, else None and the field stays."""
        value = self._left.get(name)
        if isinstance(value, str):
            del self._left[name]
            return value
        return None

    def take_bool(self, name: str) -> bool | None:
        """The field if it is a boolean, else None and the field stays."""
        value = self._left.get(name)
        if isinstance(value, bool):
            del self._left[name]
            return value
        return None

    def take_int(self, name: str) -> int | None:
        """The field if it is an integer, else None and the field stays."""
        value = self._left.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            del self._left[name]
            return value
        return None

    def take_number(self, name: str) -> float | None:
        """An int or float; an int stays one, so that it is written back as it was."""
        value = self._left.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            del self._left[name]
            return value
        return None

    def take_object(self, name: str) -> JsonObject | None:
        """The field if it is an object, else None and the field stays."""
        value = self._left.get(name)
        if isinstance(value, dict):
            del self._left[name]
            return value
        return None

    def take_list(self, name: str) -> list[JsonValue] | None:
        """The field if it is a list, else None and the field stays."""
        value = self._left.get(name)
        if isinstance(value, list):
            del self._left[name]
            return value
        return None

    def need_str(self, name: str) -> str:
        """Raises CallerError if it is not a string."""
        value = self.take_str(name)
        return self.fail("must be a string", name) if value is None else value

    def need_list(self, name: str) -> list[JsonValue]:
        """Raises CallerError if it is not a list."""
        value = self.take_list(name)
        return self.fail("must be a list", name) if value is None else value

    def need_object(self, name: str) -> JsonObject:
        """Raises CallerError if it is not an object."""
        value = self.take_object(name)
        return self.fail("must be an object", name) if value is None else value

    def rest(self) -> Extra | None:
        """What was not taken; None if everything was."""
        return Extra(self.origin, self._left) if self._left else None

    def mark(self) -> Extra:
        """What was not taken, also when it is nothing: says that an object stood where a shorthand exists."""
        return Extra(self.origin, self._left)
