"""How a command fails: prose on standard error, with `--json` one object on standard output, and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import msgspec
import typer

from freehold.errors import FreeholdError

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


class CommandError(FreeholdError):
    """A command that came to a bad end; `report` is what it found nevertheless, shown by `--json` beside the error."""

    def __init__(self, message: str, *, code: str, report: Mapping[str, object] | None = None) -> None:
        super().__init__(message, code=code, kind="invalid_request")
        self.report = report or {}


class _WrongUse(Protocol):
    """What typer's exceptions have in common, which its public base class does not say."""

    def format_message(self) -> str: ...

    def show(self) -> None: ...


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run the command line and say how it failed. Gives the exit status; raises nothing but bugs."""
    try:
        status = app(list(arguments), prog_name="freehold", standalone_mode=False)
    except FreeholdError as error:
        sys.stdout.flush()
        typer.echo(error.message, err=True)
        if wants_json(arguments):
            _print({"error": _said(error), **(error.report if isinstance(error, CommandError) else {})})
        return FAILED
    except typer.TyperException as error:
        wrong = cast("_WrongUse", error)
        wrong.show()
        if wants_json(arguments):
            _print({"error": _said(CommandError(wrong.format_message(), code="wrong_usage"))})
        return WRONG_USE
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return status if isinstance(status, int) else DONE


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether `--json` was said; also of a command line that could not be understood."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    return "--json" in arguments[:end]


def _said(error: FreeholdError) -> dict[str, object]:
    """An error as scripts read it; `problems` are the single mistakes of a configuration."""
    said: dict[str, object] = {"code": error.code, "message": error.message}
    if error.param is not None:
        said["param"] = error.param
    problems = [str(problem) for problem in getattr(error, "problems", ())]
    return {**said, "problems": problems} if problems else said


def _print(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()
