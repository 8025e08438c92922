"""`freehold serve`: the gateway, until it is told to stop."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from freehold.cli.failure import INTERRUPTED
from freehold.errors import ConfigError

if TYPE_CHECKING:
    from freehold.app import Service
    from freehold.config import Config

MOST_WORKERS = 256
"""More than any machine has use for; each takes some 60 MiB."""


def command(
    *,
    config: Annotated[str | None, typer.Option("--config", metavar="FILE", help="The configuration file.")] = None,
    listen: Annotated[str | None, typer.Option(help="Address of the data plane instead of the file's.")] = None,
    admin_listen: Annotated[str | None, typer.Option(help="Address of the control plane.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=MOST_WORKERS,
            help="Processes that serve: by default one for each usable core, with --sandbox one.",
        ),
    ] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Answer from emulated clouds on this machine; no account is needed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the addresses as one JSON object.")] = False,
) -> None:
    """Serve every protocol on one port; SIGHUP reloads the configuration, SIGTERM finishes streams and stops.

    Ends with 0 after SIGTERM, with 130 after SIGINT (Ctrl-C); both let streams in flight finish, a second one does not.
    """
    import uvloop

    from freehold.config import load

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    allow_open_files()
    if sandbox:
        from freehold.cli.sandbox import serve_with_sandbox

        ended_by = uvloop.run(
            serve_with_sandbox(listen=listen, admin_listen=admin_listen, workers=workers or 1, as_json=as_json)
        )
    else:
        from freehold.server.cores import usable_cores

        addressed = _addressed(load(config, os.environ), listen, admin_listen)
        ended_by = uvloop.run(_serve(addressed, workers or min(usable_cores(), MOST_WORKERS), as_json=as_json))
    if ended_by is signal.SIGINT:
        raise typer.Exit(INTERRUPTED)


def _addressed(config: Config, listen: str | None, admin_listen: str | None) -> Config:
    server = msgspec.structs.replace(
        config.server,
        listen=listen or config.server.listen,
        admin_listen=admin_listen or config.server.admin_listen,
    )
    return msgspec.structs.replace(config, server=server)


async def _serve(config: Config, workers: int, *, as_json: bool) -> signal.Signals:
    from freehold.app import Service
    from freehold.server.worker import settle_memory

    async with Service(config, workers=workers) as service:
        if not service.config.accounts:
            raise ConfigError(
                "there is no account to send requests to. Write one down with `freehold init`, set a provider's key in "
                "the environment (OPENAI_API_KEY, ANTHROPIC_API_KEY, ...), or try `freehold serve --sandbox`."
            )
        await service.listen()
        settle_memory()
        return await service.run_until_signalled(lambda: announce(service, as_json=as_json))


def allow_open_files() -> None:
    """Raise the limit of open files as far as the system lets us.

    The usual soft limit of 1024 is kept low for programs that use select(); we do not, and each stream takes two.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS calls it unlimited and then refuses
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def announce(service: Service, *, as_json: bool) -> None:
    """Say where the gateway can be reached, and whatever else the operator should know."""
    scheme = "http" if service.config.server.tls_cert is None else "https"
    data = f"{scheme}://{_joined(service.address)}"
    admin = f"http://{_joined(service.admin_address)}"
    for note in (*service.config.notes, *service.names.notes()):
        typer.echo(note, err=True)
    if as_json:
        sys.stdout.write(msgspec.json.encode({"listen": data, "admin": admin}).decode() + "\n")
        sys.stdout.flush()
    by = "" if service.workers == 1 else f" with {service.workers} workers"
    typer.echo(f"serving {', '.join(service.config.accounts)} on {data}{by}, control plane on {admin}", err=True)


def _joined(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
