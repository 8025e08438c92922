"""JSON held against the types of a vendor's own package: TypedDicts, pydantic models, literals, unions.

Stricter than pydantic where that matters here: members that the type does not name are refused at every depth, lists
are looked into even where the type says `Iterable`, and nothing is converted on the way.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import enum
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, Union, cast, get_args, get_origin

import typing_extensions
from pydantic import BaseModel


class Problem(NamedTuple):
    """What is wrong, and where."""

    path: str
    says: str

    @property
    def depth(self) -> int:
        """How deep it lies: the alternative of a union that goes wrong deepest is the one that was meant."""
        return self.path.count(".") + self.path.count("[")


class _Members(NamedTuple):
    types: Mapping[str, object]
    required: frozenset[str]


_QUALIFIERS = (typing_extensions.Required, typing_extensions.NotRequired, typing_extensions.ReadOnly)
_SCALARS: dict[object, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float), bool: (bool,)}
_TIMES = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)


def problems(value: object, kind: object, path: str = "$") -> list[Problem]:
    """Everything in which the JSON value is not of this type."""
    kind = _plain(kind)
    if kind is Any or kind is object or isinstance(kind, typing.TypeVar):
        return []
    origin = get_origin(kind)
    if origin in {Union, types.UnionType}:
        return _of_union(value, get_args(kind), path)
    if origin is Literal:
        wanted = get_args(kind)
        fits = any(value == one and type(value) is type(one) for one in wanted)
        return [] if fits else [Problem(path, f"{value!r:.60} is none of {wanted!r:.200}")]
    if kind is None or kind is type(None):
        return [] if value is None else [Problem(path, f"{value!r:.60} is not null")]
    if kind in _SCALARS:
        return _of_scalar(value, kind, path)
    if isinstance(origin or kind, type):
        return _of_class(value, cast("type", origin or kind), get_args(kind), kind, path)
    return [Problem(path, f"{kind!r:.60} has no JSON form")]


def _of_class(value: object, holder: type, arguments: tuple[object, ...], kind: object, path: str) -> list[Problem]:
    if typing_extensions.is_typeddict(kind) or issubclass(holder, BaseModel):
        return _of_members(value, cast("type", kind), path)
    if issubclass(holder, enum.Enum):
        names = {member.value for member in holder}
        return [] if value in names else [Problem(path, f"{value!r:.60} is no {holder.__name__}")]
    if issubclass(holder, bytes):
        return [] if _is_base64(value) else [Problem(path, f"{value!r:.60} is not base64")]
    if issubclass(holder, _TIMES):
        return [] if isinstance(value, str) else [Problem(path, f"{value!r:.60} is no time")]
    if issubclass(holder, Mapping):
        if not isinstance(value, dict):
            return [Problem(path, f"{value!r:.60} is no object")]
        of = arguments[1] if len(arguments) == 2 else object
        return [found for name, item in value.items() for found in problems(item, of, f"{path}.{name}")]
    if holder in {list, Iterable, Iterator, Sequence, set, tuple} or holder.__name__ == "SequenceNotStr":
        if not isinstance(value, list):
            return [Problem(path, f"{value!r:.60} is no list")]
        of = arguments[0] if arguments else object
        return [found for index, item in enumerate(value) for found in problems(item, of, f"{path}[{index}]")]
    return [Problem(path, f"{holder.__name__} has no JSON form")]


def _of_scalar(value: object, kind: object, path: str) -> list[Problem]:
    fits = isinstance(value, _SCALARS[kind]) and (kind is bool or not isinstance(value, bool))
    return [] if fits else [Problem(path, f"{value!r:.60} is no {cast('type', kind).__name__}")]


def _of_union(value: object, alternatives: Sequence[object], path: str) -> list[Problem]:
    """No problem if one alternative has none; else those of the alternative that was most likely meant."""
    nearest: list[Problem] | None = None
    for alternative in alternatives:
        found = problems(value, alternative, path)
        if not found:
            return []
        if nearest is None or _nearness(found) > _nearness(nearest):
            nearest = found
    return nearest or [Problem(path, "there is no such value")]


def _nearness(found: list[Problem]) -> tuple[bool, int, int]:
    meant = not any(problem.says.endswith("(the tag)") for problem in found)
    return meant, min(problem.depth for problem in found), -len(found)


def _of_members(value: object, kind: type, path: str) -> list[Problem]:
    if not isinstance(value, dict):
        return [Problem(path, f"{value!r:.60} is no {kind.__name__}")]
    members = _members(kind)
    for tag in ("type", "role", "object"):
        if tag in members.types and tag in value:
            wrong = problems(value[tag], members.types[tag], f"{path}.{tag}")
            if wrong:
                return [Problem(wrong[0].path, f"{value[tag]!r:.60} is no {kind.__name__} (the tag)")]
    found = [
        Problem(f"{path}.{name}", f"required by {kind.__name__}") for name in members.required if name not in value
    ]
    for name, item in value.items():
        if name in members.types:
            found += problems(item, members.types[name], f"{path}.{name}")
        else:
            found.append(Problem(f"{path}.{name}", f"{kind.__name__} has no such member"))
    return found


@cache
def _members(kind: type) -> _Members:
    if issubclass(kind, BaseModel):
        kind.model_rebuild()
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        return _Members(
            {name: field.annotation for name, field in fields.items()},
            frozenset(name for name, field in fields.items() if field.is_required()),
        )
    hints = typing_extensions.get_type_hints(kind, include_extras=True)
    required = frozenset(name for name, hint in hints.items() if _is_required(kind, name, hint))
    return _Members(hints, required)


def _is_required(kind: type, name: str, hint: object) -> bool:
    """Written as text, `Required[…]` is not seen when the class is made; so it is looked for here."""
    if get_origin(hint) is typing_extensions.Required:
        return True
    return get_origin(hint) is not typing_extensions.NotRequired and name in kind.__required_keys__


def _plain(kind: object) -> object:
    """The type without what only type checkers and libraries read."""
    while True:
        origin = get_origin(kind)
        if origin is typing_extensions.Annotated or origin in _QUALIFIERS:
            kind = get_args(kind)[0]
        elif isinstance(kind, typing_extensions.TypeAliasType):
            kind = kind.__value__
        else:
            return kind


def _is_base64(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        return False
    return True
