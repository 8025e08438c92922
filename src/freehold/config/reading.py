"""Reading tables into values, collecting every mistake instead of stopping at the first."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args, get_origin

import msgspec

from freehold.config.lines import Lines
from freehold.config.lines import Path as KeyPath
from freehold.config.secret import Secret

T = TypeVar("T", bound=msgspec.Struct)

_UNITS: Mapping[str, Mapping[str, float]] = {
    "bytes": {"B": 1, "KB": 1000, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
    "seconds": {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400},
}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")

_MEANT: Mapping[str, str] = {
    "key": "api_key",
    "apikey": "api_key",
    "token": "api_key",
    "endpoint": "base_url",
    "url": "base_url",
    "host": "base_url",
    "type": "provider",
    "kind": "provider",
    "target": "targets",
    "alias": "aliases",
    "timeout": "timeouts",
    "aws_region": "region",
    "port": "listen",
    "bind": "listen",
}


_WRITE = {
    "str": "; write text in quotes",
    "int": "; write a whole number without quotes",
    "float": "; write a number without quotes",
    "bool": "; write `true` or `false`, without quotes",
    "array": "; write a list: `[…]`",
    "object": "; write a table: `{ … }`",
}
"""What to write where a value has the wrong type, by msgspec's word for the right one."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake: the key path (empty for the file as a whole), its line where known, what is wrong and the remedy."""

    path: str
    line: int | None
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else ""
        return f"{where}{self.path}: {self.message}" if self.path else f"{where}{self.message}"


class Problems:
    """The mistakes found so far in one text."""

    def __init__(self, lines: Lines) -> None:
        self.found: list[Problem] = []
        self._lines = lines

    def add(self, path: KeyPath, message: str) -> None:
        """Note a mistake at a key path."""
        self.found.append(Problem(path=dotted(path), line=self._lines.find(path), message=message))

    def has(self, path: KeyPath) -> bool:
        """Whether a mistake at this very key path is known."""
        return any(problem.path == dotted(path) for problem in self.found)


class Resolver:
    """Values that stand elsewhere: `env:NAME` in the environment, `file:/path` in a file.

    `seen` collects what was read, so that a digest can tell when one of them changed; `files` which files were wanted.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.seen: list[str] = []
        self.files: list[str] = []
        self.literals: list[str] = []

    def resolve(self, text: str, path: KeyPath, problems: Problems) -> str | None:
        """The value meant, None (and a problem) where it is not to be had."""
        if text.startswith("env:"):
            name = text[4:].strip()
            value = self._environ.get(name, "")
            if not value:
                problems.add(path, f"the environment variable {name} is not set; export it, or name another one")
                return None
            self.seen.append(value)
            return value
        if text.startswith("file:"):
            return self._file(text[5:], path, problems)
        return text

    def secret(self, text: str, path: KeyPath, problems: Problems) -> Secret | None:
        """As `resolve`, for a credential. One that stands in the file itself is noted."""
        value = self.resolve(text, path, problems)
        if value is None:
            return None
        # An address is a secret only where it holds a password (`user:word@`, `?password=`).
        if not text.startswith(("env:", "file:")) and ("://" not in text or "@" in text or "?" in text):
            self.literals.append(dotted(path))
        return Secret(value)

    def _file(self, name: str, path: KeyPath, problems: Problems) -> str | None:
        name = name.removeprefix("//")
        self.files.append(str(Path(name).expanduser()))
        try:
            value = Path(name).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            problems.add(path, f"can not read {name}: {reason}")
            return None
        if not value:
            problems.add(path, f"{name} is empty; write the value into it")
            return None
        self.seen.append(value)
        return value


def dotted(path: KeyPath) -> str:
    """A key path as TOML writes it."""
    return ".".join(key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"' for key in path)


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?` for the nearest known words, else a list of what there is."""
    names = list(known)
    meant = _MEANT.get(word.lower().replace("-", "_"))
    near = [meant] if meant in names else difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    if near:
        return "; did you mean " + " or ".join(f"`{name}`" for name in near if name) + "?"
    if not names:
        return ""
    return "; there are " + ", ".join(f"`{name}`" for name in names)


def read_table(
    kind: type[T], table: object, path: KeyPath, problems: Problems, resolver: Resolver, *, derived: frozenset[str]
) -> T | None:
    """One table as a value of `kind`. `derived` fields are not settings.

    A setting with a mistake counts as absent, so that the rest can still be checked; None where a required one is.
    """
    if not isinstance(table, dict):
        problems.add(path, f"expected a table, got {_kind_of(table)}; write `[{dotted(path)}]` above its settings")
        return None
    settings = cast("dict[str, object]", table)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind) if field.name not in derived}
    for key in settings:
        if key not in fields:
            problems.add((*path, key), f"unknown setting{suggestion(key, fields)}")
    values: dict[str, object] = {}
    for name, field in fields.items():
        if name in settings:
            before = len(problems.found)
            value = _read_value(field.type, settings[name], (*path, name), problems, resolver)
            if len(problems.found) == before:
                values[field.name] = value
        elif field.required:
            problems.add((*path, name), f"is missing; add `{name} = …` to `[{dotted(path)}]`")
    if any(field.required and field.name not in values for field in fields.values()):
        return None
    return kind(**values)


def _read_value(kind: object, value: object, path: KeyPath, problems: Problems, resolver: Resolver) -> object:
    plain, meta = _unwrap(kind)
    if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
        return read_table(plain, value, path, problems, resolver, derived=frozenset())
    if get_origin(plain) is tuple and isinstance(value, list):
        item = get_args(plain)[0]
        return tuple(_read_value(item, entry, path, problems, resolver) for entry in cast("list[object]", value))
    if plain is Secret or Secret in get_args(plain):
        return _read_secrets(value, path, problems, resolver, table=get_origin(plain) is dict)
    if isinstance(value, str):
        unit = meta.extra.get("unit") if meta is not None and meta.extra else None
        if unit is not None:
            return _quantity(value, str(unit), kind, path, problems)
        value = resolver.resolve(value, path, problems)
        if value is None:
            return None
    if isinstance(value, str) and get_origin(plain) is Literal and value not in get_args(plain):
        problems.add(path, f"`{value}` is not known{suggestion(value, get_args(plain))}")
        return None
    return _convert(value, kind, path, problems)


def _read_secrets(value: object, path: KeyPath, problems: Problems, resolver: Resolver, *, table: bool) -> object:
    if isinstance(value, str) and not table:
        return resolver.secret(value, path, problems)
    if table and isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return {
            name: _read_secrets(entry, (*path, name), problems, resolver, table=False)
            for name, entry in entries.items()
        }
    what = "a table of strings" if table else "a string"
    problems.add(path, f'expected {what}, got {_kind_of(cast("object", value))}; write `"env:NAME"` or `"file:/path"`')
    return None


def _convert(value: object, kind: object, path: KeyPath, problems: Problems) -> object:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text = str(error)
        text = text[:1].lower() + text[1:].replace("`", "")
        problems.add(path, text + next((hint for word, hint in _WRITE.items() if f"expected {word}" in text), ""))
        return None


def _quantity(text: str, unit: str, kind: object, path: KeyPath, problems: Problems) -> object:
    found = _QUANTITY.fullmatch(text)
    factors = _UNITS[unit]
    if found is None or found[2] not in factors:
        problems.add(
            path,
            f'"{text}" is no number of {unit}; write e.g. `{"20971520" if unit == "bytes" else "30"}` or '
            f'`"{"20 MiB" if unit == "bytes" else "30 s"}"` (units: {", ".join(factors)})',
        )
        return None
    amount = float(found[1]) * factors[found[2]]
    return _convert(int(amount) if unit == "bytes" else amount, kind, path, problems)


def _unwrap(kind: object) -> tuple[object, msgspec.Meta | None]:
    """A type without its `Annotated`, and its description."""
    metadata = getattr(kind, "__metadata__", None)
    if metadata is None:
        return kind, None
    first = metadata[0]
    return get_args(kind)[0], first if isinstance(first, msgspec.Meta) else None


def _kind_of(value: object) -> str:
    match value:
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "an array"
        case dict():
            return "a table"
        case _:
            return "a date"
