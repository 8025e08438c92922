"""Every command with its arguments and options."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from typer.core import TyperArgument, TyperGroup, TyperOption
from typer.main import get_command

from freehold.cli import COMMANDS, build
from freehold.reference.markdown import code, table

_HEAD: Final = """# Commands

Data goes to standard output, everything else to standard error. Exit status: 0 done, 1 failed, 2 wrong use, 130
interrupted. `python -m freehold` is the same as `freehold`.

With `--json` a command that ends with 1 or 2 prints one object with an [error](errors.md) in it, the last line of its
standard output: `{"error": {"code": "no_sandbox", "message": "…"}}`. The mistakes of a configuration stand in
`error.problems`, each by itself; what a command found before it failed stands beside `error`. The message is on
standard error as well.
"""


def page() -> str:
    """The whole page."""
    names = tuple(name for name in COMMANDS if find_spec(f"freehold.cli.{name}") is not None)
    root = get_command(build(names))
    return "\n".join(
        [_HEAD, *(line for name, command in _inside(root) for line in _section(command, f"freehold {name}"))]
    )


def _inside(command: object) -> Iterator[tuple[str, object]]:
    if isinstance(command, TyperGroup):
        yield from command.commands.items()


def _section(command: object, name: str) -> Iterator[str]:
    level = "#" * (name.count(" ") + 1)
    yield from (f"{level} `{name}`", "", str(getattr(command, "help", "") or ""), "")
    rows: list[tuple[str, str]] = []
    for parameter in getattr(command, "params", ()):
        match parameter:
            case TyperArgument():
                rows.append((code(parameter.metavar or (parameter.name or "").upper()), parameter.help or ""))
            case TyperOption() if not parameter.hidden and parameter.name != "help":
                rows.append((", ".join(map(code, parameter.opts)), parameter.help or ""))
            case _:
                pass
    if rows:
        yield from (*table(("Argument or option", "Meaning"), rows), "")
    for inner, each in _inside(command):
        yield from _section(each, f"{name} {inner}")
