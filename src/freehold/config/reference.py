"""The settings' reference page, written from their declarations: `python -m freehold.config.reference`."""

from __future__ import annotations

import datetime as dt
import sys
from types import NoneType
from typing import Final, Literal, cast, get_args, get_origin

import msgspec

from freehold.config.secret import Secret
from freehold.config.values import (
    Account,
    Check,
    Commitment,
    Fetch,
    Hedge,
    Ledger,
    Limits,
    Model,
    Server,
    Storage,
    TargetText,
    Timeouts,
    Weights,
)

_SECTIONS: Final[tuple[tuple[str, type[msgspec.Struct]], ...]] = (
    ("[server]", Server),
    ("[storage]", Storage),
    ("[limits]", Limits),
    ("[fetch]", Fetch),
    ("[ledger]", Ledger),
    ("[accounts.NAME]", Account),
    ("[accounts.NAME.timeouts]", Timeouts),
    ("[models.NAME]", Model),
    ("[models.NAME] targets", TargetText),
    ("[models.NAME.weights]", Weights),
    ("[models.NAME.hedge]", Hedge),
    ("[models.NAME.check]", Check),
    ("[commitments.NAME]", Commitment),
)
_DERIVED: Final = frozenset({"name"})

_HEAD: Final = """# Configuration

Freehold reads one TOML file: the one that `--config` names, else `$FREEHOLD_CONFIG`, else `./freehold.toml`. Without
any, it takes the accounts that the environment states (`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, …) and says which.

A string `env:NAME` or `file:/path` is read from the environment or a file when the configuration is loaded; that is
where credentials belong. Sizes are bytes or strings such as `"20 MiB"`, times are seconds or strings such as `"5 min"`.
Unknown settings are mistakes. All mistakes are reported at once, each with its line and what to write instead.
"""


def page() -> str:
    """The whole page, as `docs/reference/configuration.md` holds it."""
    return "\n".join([_HEAD, *(_section(title, kind) for title, kind in _SECTIONS)])


def undocumented() -> list[str]:
    """Settings without a description: none, or the tests fail."""
    return [
        f"{title} {field.name}"
        for title, kind in _SECTIONS
        for field in msgspec.structs.fields(kind)
        if field.name not in _DERIVED and not _is_struct(field.type) and not _description(field.type)
    ]


def _section(title: str, kind: type[msgspec.Struct]) -> str:
    lines = [f"## `{title}`", "", (kind.__doc__ or "").strip(), ""]
    for field in msgspec.structs.fields(kind):
        if field.name in _DERIVED:
            continue
        if _is_struct(field.type):
            lines += [f"`{field.name}` (table): see `{title[:-1]}.{field.name}]`.", ""]
            continue
        default = "required" if field.required else f"default {_shown(_default(field))}"
        lines += [
            f"### `{field.encode_name}`",
            "",
            f"{_type_name(field.type)}, {default}. {_description(field.type)}",
            "",
        ]
    return "\n".join(lines)


def _default(field: msgspec.structs.FieldInfo) -> object:
    factory = cast("object", field.default_factory)
    return field.default if factory is msgspec.NODEFAULT else cast("type[object]", factory)()


def _shown(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case str():
            return f'`"{value}"`'
        case int() | float():
            return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
        case _:
            return "empty"


def _plain(kind: object) -> object:
    return get_args(kind)[0] if hasattr(kind, "__metadata__") else kind


def _is_struct(kind: object) -> bool:
    plain = _plain(kind)
    return isinstance(plain, type) and issubclass(plain, msgspec.Struct)


def _description(kind: object) -> str:
    metadata: tuple[object, ...] = getattr(kind, "__metadata__", ())
    return next((meta.description or "" for meta in metadata if isinstance(meta, msgspec.Meta)), "")


def _type_name(kind: object) -> str:
    plain = _plain(kind)
    arguments = [argument for argument in get_args(plain) if argument is not NoneType]
    if get_origin(plain) is Literal:
        return "One of " + ", ".join(f"`{choice}`" for choice in arguments)
    if get_origin(plain) is tuple:
        return "Array of " + ("targets" if _is_struct(arguments[0]) else "strings")
    if get_origin(plain) is dict:
        return "Table of strings"
    if arguments:
        plain = _plain(arguments[0])
    names: dict[object, str] = {
        str: "String",
        int: "Integer",
        float: "Number",
        bool: "Boolean",
        dt.date: "Date",
        Secret: "Secret string",
    }
    return names[plain]


if __name__ == "__main__":
    sys.stdout.write(page())
