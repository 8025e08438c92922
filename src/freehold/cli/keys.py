"""`freehold keys`: mint, list and revoke the keys that callers authenticate with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar, get_args

import typer

from freehold.cli.failure import CommandError
from freehold.cli.options import ConfigOption, JsonOption, print_json, print_table
from freehold.config import Config, load
from freehold.config.values import Strategy

if TYPE_CHECKING:
    from freehold.governance.keys import Key, Minted
    from freehold.governance.keystore import KeyStore

app = typer.Typer(help="Mint, list and revoke the keys that callers authenticate with.", no_args_is_help=True)

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST_NAME: Final = 128
_LONGEST_LIFE: Final = 100 * 365 * 86400

Result = TypeVar("Result")


def open_keys(config: Config) -> AbstractAsyncContextManager[KeyStore]:
    """The key store that a configuration names."""
    from freehold.governance.keystore import open_keystore

    data_directory = Path(config.data_directory)
    url, secret = config.storage.url, config.server.secret
    return open_keystore(
        storage_url=f"sqlite:///{data_directory.absolute() / 'freehold.db'}" if url is None else url.reveal(),
        configured_secret=None if secret is None else secret.reveal(),
        data_directory=data_directory,
    )


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="What the key is for; shown in lists and records.")],
    project: Annotated[str, typer.Option(help="The project it belongs to; made when it is new.")] = "default",
    aws: Annotated[bool, typer.Option("--aws", help="An AWS access key pair for clients that sign requests.")] = False,
    expires: Annotated[str | None, typer.Option(help="How long it works: 30d, 12h, 90m, 2w.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model it may use, * allowed; repeatable.")] = None,
    network: Annotated[list[str] | None, typer.Option(help="A network it may be used from; repeatable.")] = None,
    strategy: Annotated[
        str | None, typer.Option(help="How its requests choose among a model's targets, instead of the model's own.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mint a key. Its secret is shown once."""
    for option, text in (("--name", name), ("--project", project)):
        if not text.strip() or len(text) > _LONGEST_NAME or not text.isprintable():
            raise typer.BadParameter(f"1 to {_LONGEST_NAME} printable characters", param_hint=option)
    if strategy is not None and strategy not in get_args(Strategy):
        raise typer.BadParameter(f"one of {', '.join(get_args(Strategy))}", param_hint="--strategy")
    life = None if expires is None else _seconds(expires)
    for cidr in network or ():
        _check_network(cidr)
    now = time.time()

    async def make(keys: KeyStore) -> tuple[Minted, bool]:
        return await keys.create(
            project=project,
            name=name,
            now=now,
            aws=aws,
            expires=None if life is None else now + life,
            models=model or (),
            networks=network or (),
            strategy=strategy,
        )

    minted, settled = _run(config, make)
    key = minted.key
    if as_json:
        print_json(
            {
                "id": key.id,
                "key": minted.bearer,
                "access_key_id": key.access_key_id,
                "secret_access_key": minted.secret_access_key,
                "project": key.project,
                "name": key.name,
                "expires": _date(key.expires),
                "strategy": key.strategy,
            }
        )
    else:
        typer.echo(f"Key {key.id} of project {key.project}. It is shown this once:", err=True)
        if minted.bearer is not None:
            typer.echo(minted.bearer)
        else:
            typer.echo(f"AWS_ACCESS_KEY_ID={key.access_key_id}")
            typer.echo(f"AWS_SECRET_ACCESS_KEY={minted.secret_access_key}")
    _say_settled(settled)


@app.command("list")
def list_keys(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every key, revoked and expired ones included; never a secret."""

    async def read(keys: KeyStore) -> tuple[Key, ...]:
        return (await keys.table()).keys

    rows = [_row(key, time.time()) for key in _run(config, read)]
    if as_json:
        print_json({"keys": rows})
        return
    if not rows:
        typer.echo("There are no keys yet: make one with `freehold keys create --name NAME`.", err=True)
        return
    columns = ("id", "project", "name", "kind", "state", "strategy", "created", "expires")
    print_table(columns, [[str(row[column] or "-") for column in columns] for row in rows])


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, its access key id, or the key itself.")],
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a key for good, on running servers too."""

    async def stop(keys: KeyStore) -> bool | None:
        return await keys.revoke(key_id, time.time())

    settled = _run(config, stop)
    if settled is None:
        raise CommandError("There is no such key: `freehold keys list` shows those there are.", code="key_not_found")
    if as_json:
        print_json({"revoked": True})
    else:
        typer.echo("The key is revoked.", err=True)
    _say_settled(settled)


def _run(config: str | None, work: Callable[[KeyStore], Coroutine[None, None, Result]]) -> Result:
    """Do something with the key store. Raises FreeholdError."""

    async def inside() -> Result:
        async with open_keys(load(config, os.environ)) as keys:
            return await work(keys)

    return asyncio.run(inside())


def _say_settled(settled: bool) -> None:
    if not settled:
        typer.echo("A running server has not confirmed the change yet: see whether it is well.", err=True)


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,9})([smhdw])", text.strip())
    seconds = 0 if found is None else int(found[1]) * _SECONDS[found[2]]
    if not 0 < seconds <= _LONGEST_LIFE:
        raise typer.BadParameter("a number and one of s, m, h, d, w, such as 30d", param_hint="--expires")
    return seconds


def _check_network(cidr: str) -> None:
    with contextlib.suppress(ValueError):
        ip_network(cidr, strict=False)
        return
    raise typer.BadParameter("an address or a network, such as 10.0.0.0/8", param_hint="--network")


def _row(key: Key, now: float) -> dict[str, object]:
    expired = key.expires is not None and now >= key.expires
    return {
        "id": key.id,
        "project": key.project,
        "name": key.name,
        "kind": "bearer" if key.access_key_id is None else "aws",
        "state": "revoked" if key.revoked is not None else "expired" if expired else "active",
        "access_key_id": key.access_key_id,
        "created": _date(key.created),
        "expires": _date(key.expires),
        "revoked": _date(key.revoked),
        "models": key.models,
        "networks": key.networks,
        "strategy": key.strategy,
    }


def _date(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
