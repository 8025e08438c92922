"""`freehold models`: the names that clients may ask for, who answers, and what that costs."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from freehold.cli.options import ConfigOption, JsonOption, print_json, print_table

if TYPE_CHECKING:
    from freehold.config import Config
    from freehold.routing.names import Names, Target


class TargetRow(msgspec.Struct, frozen=True, kw_only=True):
    """One target of a name. Prices are USD a million tokens at the shortest context; None is not known."""

    target: str
    provider: str
    protocols: tuple[str, ...]
    family: str | None
    lab: str | None
    context: int | None
    max_output: int | None
    input: float | None
    output: float | None


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One name that clients may ask for."""

    name: str
    aliases: tuple[str, ...]
    strategy: str
    targets: tuple[TargetRow, ...]


def command(
    *,
    every: Annotated[bool, typer.Option("--all", help="Also the ids that the accounts' providers list.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List names, aliases and targets, with family, context window and price."""
    from freehold.config import load
    from freehold.routing.names import Names

    loaded = load(config, os.environ)
    names = Names(loaded)
    rows = [_row(name, loaded, names) for name in _shown(loaded, names, every=every)]
    if as_json:
        print_json({"models": rows})
        return
    if not rows:
        typer.echo("There is no account yet: `freehold init` writes one down, `freehold demo` needs none.", err=True)
        return
    columns = ("name", "target", "family", "context", "USD/Mtok in", "out")
    lines: list[tuple[str, ...]] = []
    for row in rows:
        name = ", ".join([row.name, *row.aliases])
        for target in row.targets:
            facts = (target.family, target.context, target.input, target.output)
            lines.append((name, target.target, *(_cell(fact) for fact in facts)))
            name = ""
    print_table(columns, lines)


def _shown(config: Config, names: Names, *, every: bool) -> list[str]:
    """The names of `[models]`, without their aliases; without any, or when asked, the listed ids as well."""
    stated = list(config.models)
    if stated and not every:
        return stated
    known = {alias for model in config.models.values() for alias in model.aliases} | set(stated)
    listed = dict.fromkeys(target.model for target in names.targets() if not target.forced)
    return [*stated, *(name for name in listed if name not in known)]


def _row(name: str, config: Config, names: Names) -> ModelRow:
    resolution = names.resolve(name)
    model = config.models.get(name)
    return ModelRow(
        name=name,
        aliases=() if model is None else model.aliases,
        strategy=resolution.strategy,
        targets=tuple(_target(target, config) for target in resolution.targets),
    )


def _target(target: Target, config: Config) -> TargetRow:
    from freehold.providers.catalog import providers, rule
    from freehold.providers.price_book import price

    provider = providers()[config.accounts[target.account].provider]
    known = rule(provider, target.known_as)
    cost = price(provider.name, target.known_as, time.time())
    return TargetRow(
        target=target.id,
        provider=provider.name,
        protocols=target.protocols,
        family=None if known is None else known.family,
        lab=None if known is None else known.lab,
        context=None if known is None else known.context,
        max_output=None if known is None else known.output,
        input=None if cost is None else cost.base.input / 1e6,
        output=None if cost is None or cost.base.output is None else cost.base.output / 1e6,
    )


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
