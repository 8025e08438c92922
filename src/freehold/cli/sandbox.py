"""`freehold sandbox`: emulated clouds on this machine, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from freehold.cli.failure import CommandError
from freehold.cli.options import JsonOption, print_json
from freehold.errors import ConfigError

if TYPE_CHECKING:
    from freehold.app import Service
    from freehold.sandbox.caller import Keys
    from freehold.sandbox.control import Fail, Heal, Status
    from freehold.sandbox.fleet import Fleet

app = typer.Typer(help="Emulate the clouds on this machine, and make them fail.", invoke_without_command=True)

ConfigOption = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="Accepted for uniformity; the sandbox needs none.")
]
CloudArgument = Annotated[str, typer.Argument(metavar="CLOUD", help="A cloud's name, or all.")]


@app.callback()
def start(
    context: typer.Context,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write the configuration here instead.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answers and keys.")] = 7,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start the emulated clouds in the foreground and print a ready configuration for them."""
    del config
    if context.invoked_subcommand is not None:
        return
    import uvloop

    try:
        uvloop.run(_run(output, seed, as_json=as_json))
    except OSError as error:
        raise CommandError(f"the sandbox could not be started: {error}", code="sandbox_failed") from None


@app.command()
def status(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the clouds of the running sandbox and what is wrong with them."""
    del config
    _tell(None, as_json=as_json)


@app.command()
def fail(
    cloud: CloudArgument,
    fault: Annotated[str, typer.Argument(metavar="FAULT", help="What goes wrong; `freehold sandbox faults` lists it.")],
    *,
    seconds: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", min=0.001, help="Heals by itself after this time.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Break a cloud of the running sandbox."""
    del config
    from freehold.sandbox.control import Fail
    from freehold.sandbox.faults import FAULTS

    if fault not in FAULTS:
        raise typer.BadParameter(f"there is no fault `{fault}`; choose one of {', '.join(FAULTS)}", param_hint="FAULT")
    _tell(Fail(cloud=cloud, fault=fault, seconds=seconds), as_json=as_json)


@app.command()
def heal(
    cloud: Annotated[str, typer.Argument(metavar="[CLOUD]", help="A cloud's name; all by default.")] = "all",
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a cloud of the running sandbox well again."""
    del config
    from freehold.sandbox.control import Heal

    _tell(Heal(cloud=cloud), as_json=as_json)


@app.command()
def faults(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List what can go wrong."""
    del config
    from freehold.sandbox.faults import FAULTS

    if as_json:
        print_json({"faults": FAULTS})
        return
    for name, meaning in FAULTS.items():
        typer.echo(f"{name:<16} {meaning}")


def _tell(wish: Fail | Heal | None, *, as_json: bool) -> None:
    from freehold.sandbox.remote import ask

    _print(ask(_state_file(), wish), as_json=as_json)


def _print(found: Status, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for cloud in found.clouds:
        left = "" if cloud.seconds_left is None else f" for {cloud.seconds_left:.0f} s more"
        health = "well" if cloud.fault is None else f"{cloud.fault}{left}"
        typer.echo(f"{cloud.name:<12} {cloud.address:<24} {cloud.requests:>6} requests  {health}")


def _state_file() -> Path:
    from freehold.config.loading import data_directory
    from freehold.sandbox.remote import state_file

    return state_file(os.environ, data_directory(os.environ))


# --- In the foreground -----------------------------------------------------------------------------------------------


async def _run(output: Path | None, seed: int, *, as_json: bool) -> None:
    from freehold.sandbox.control import status_of
    from freehold.sandbox.fleet import Fleet
    from freehold.store.private_files import write_private

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Fleet(state_file=_state_file(), seed=seed) as fleet:
        text = fleet.configuration()
        if output is not None:
            write_private(output, text.encode())
        if as_json:
            shown = {"control": fleet.control, "configuration": text, "clouds": status_of(fleet.clouds).clouds}
            print_json(shown)
        elif output is None:
            sys.stdout.write(text)
        sys.stdout.flush()
        for cloud in fleet.clouds.values():
            typer.echo(f"{cloud.spec.name:<12} {cloud.address:<24} {cloud.spec.speaks}", err=True)
        where = "as above" if output is None else f"written to {output}"
        typer.echo(f"The configuration for them is {where}. Ctrl-C ends the sandbox.", err=True)
        await stop.wait()


# --- Behind a gateway of this process --------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def sandboxed(
    *,
    listen: str,
    admin_listen: str,
    workers: int = 1,
    state_file: Path | None = None,
    patience: float | None = None,
) -> AsyncGenerator[tuple[Fleet, Service]]:
    """A gateway that listens, in front of emulated clouds of its own; everything it keeps is gone afterwards.

    `patience` are the seconds that the gateway waits for a silent cloud, by default as long as for any. Raises
    ConfigError for an address that can not be had, OSError where the clouds can not listen.
    """
    from freehold.app import Service
    from freehold.config import load
    from freehold.sandbox.fleet import Fleet
    from freehold.store.private_files import write_private

    with tempfile.TemporaryDirectory(prefix="freehold-sandbox-") as folder:
        home = Path(folder)
        async with Fleet(state_file=state_file) as fleet:
            write_private(home / "secret", secrets.token_hex(32).encode())
            text = fleet.configuration(listen=listen, admin_listen=admin_listen, home=home, patience=patience)
            write_private(home / "freehold.toml", text.encode())
            environ = {"FREEHOLD_DATA": folder}
            config = msgspec.structs.replace(load(str(home / "freehold.toml"), environ), notes=())
            async with Service(config, workers=workers, environ=environ) as service:
                await service.listen()
                yield fleet, service


async def mint_keys(service: Service, project: str) -> Keys:
    """A bearer key and a key pair for clients of this process, as `freehold keys create` would mint them."""
    from freehold.sandbox.caller import Keys
    from freehold.signing.sigv4 import Credentials

    now = time.time()
    bearer, _ = await service.keys.create(project=project, name="clients with a bearer key", now=now)
    pair, _ = await service.keys.create(project=project, name="clients that sign", now=now, aws=True)
    return Keys(
        bearer=bearer.bearer or "",
        pair=Credentials(access_key_id=pair.key.access_key_id or "", secret_access_key=pair.secret_access_key or ""),
    )


async def serve_with_sandbox(
    *, listen: str | None, admin_listen: str | None, workers: int, as_json: bool
) -> signal.Signals:
    """Serve emulated clouds until signalled. Raises ConfigError."""
    from freehold.cli.serve import announce
    from freehold.config import Server

    default = Server()
    try:
        async with sandboxed(
            listen=listen or default.listen,
            admin_listen=admin_listen or default.admin_listen,
            workers=workers,
            state_file=_state_file(),
        ) as (_, service):

            def say() -> None:
                announce(service, as_json=as_json)
                names = ", ".join(service.config.models)
                typer.echo(f"models: {names}; `freehold sandbox fail CLOUD FAULT` breaks one", err=True)
                typer.echo(f"configuration: {service.config.source}", err=True)

            return await service.run_until_signalled(say)
    except OSError as error:
        raise ConfigError(f"the sandbox could not be started: {error}") from None
