"""The command line: one module per command, imported only when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated

import typer

from freehold import __version__
from freehold.cli.failure import run

COMMANDS: tuple[str, ...] = (
    "demo",
    "serve",
    "init",
    "check",
    "chat",
    "keys",
    "translate",
    "record",
    "bench",
    "ledger",
    "sandbox",
    "providers",
    "models",
    "target",
    "route",
    "drill",
    "advise",
)
"""Every command, in the order of the help. `freehold.cli.<name>` holds a function `command` or a Typer named `app`."""


def build(names: tuple[str, ...]) -> typer.Typer:
    """The application with these commands."""
    app = typer.Typer(
        name="freehold",
        help="Reach any model at any provider with the client you have, on one road that you own.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    for name in names:
        module = import_module(f"freehold.cli.{name}")
        sub = getattr(module, "app", None)
        if isinstance(sub, typer.Typer):
            app.add_typer(sub, name=name)
        else:
            app.command(name)(module.command)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"freehold {__version__}")
        raise typer.Exit


def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Nothing to do before a command."""


def main() -> None:
    """Run the command that was asked for. Exits 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    app = build((asked,) if asked in COMMANDS else COMMANDS)
    sys.exit(run(app, sys.argv[1:]))
