"""`freehold target`: what a running server thinks of its targets, and an operator's word on them."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from freehold.cli.options import ConfigOption, JsonOption, print_json, print_table
from freehold.cli.words import ago

if TYPE_CHECKING:
    from freehold.server.targets import TargetState

app = typer.Typer(help="List, disable and enable the targets of a running server.", no_args_is_help=True)

AdminOption = Annotated[
    str | None,
    typer.Option("--admin", metavar="URL", help="The server's control plane instead of the file's `admin_listen`."),
]


@app.command("list")
def show(*, config: ConfigOption = None, admin: AdminOption = None, as_json: JsonOption = False) -> None:
    """Every target: its state and why, how fast it has been, how often it failed."""
    _print(ask(config, admin, "GET", "/targets", b""), as_json=as_json)


@app.command()
def disable(
    target: Annotated[str, typer.Argument(help="The target, `account/model`.")],
    *,
    reason: Annotated[str, typer.Option(help="Shown to whoever asks why.")] = "disabled by an operator",
    config: ConfigOption = None,
    admin: AdminOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a target out, from the next request to any worker until `enable`; what it is answering goes on."""
    _print(ask(config, admin, "POST", "/targets/disable", _word(target, reason)), as_json=as_json)


@app.command()
def enable(
    target: Annotated[str, typer.Argument(help="The target, `account/model`.")],
    *,
    reason: Annotated[str, typer.Option(help="Written to the server's log.")] = "enabled by an operator",
    config: ConfigOption = None,
    admin: AdminOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a target back, with its breaker closed."""
    _print(ask(config, admin, "POST", "/targets/enable", _word(target, reason)), as_json=as_json)


def _word(target: str, reason: str) -> bytes:
    return msgspec.json.encode({"target": target, "reason": reason})


def ask(config: str | None, admin: str | None, method: str, path: str, body: bytes) -> list[TargetState]:
    """What the control plane answers. Raises CommandError where it does not, or refuses."""
    from freehold.cli.control_plane import ControlPlane
    from freehold.config import load
    from freehold.server.targets import TargetState

    loaded = load(config, os.environ)

    async def ask() -> bytes:
        async with ControlPlane.of(loaded, admin) as plane:
            return await plane.ask(method, path, body)

    return msgspec.json.decode(asyncio.run(ask()), type=dict[str, list[TargetState]])["targets"]


def _print(targets: list[TargetState], *, as_json: bool) -> None:
    if as_json:
        print_json({"targets": targets})
        return
    now = time.time()
    rows = [
        (
            each.target,
            ", ".join(each.models),
            each.state,
            "-" if each.first_token is None else f"{each.first_token * 1000:.0f} ms",
            "-" if each.speed is None else f"{each.speed:.0f}/s",
            f"{each.errors:.0%}",
            "-" if each.measured_at is None else ago(now - each.measured_at),
            each.why,
        )
        for each in targets
    ]
    print_table(("target", "models", "state", "first token", "tokens", "errors", "bench", "why"), rows)
