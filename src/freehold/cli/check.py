"""`freehold check`: whether the configuration is right, and with `--live` whether every account answers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from freehold.cli.failure import CommandError
from freehold.cli.options import ConfigOption, JsonOption, print_json

if TYPE_CHECKING:
    from freehold.app import Service
    from freehold.config import Config

_ENOUGH = 16
"""Tokens of a live answer: the least that every provider accepts as a limit (OpenAI Responses refuses fewer)."""

_QUESTION = "Answer with one word: are you there?"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How one account is; `ok` None where there was nothing to ask."""

    account: str
    provider: str
    model: str | None = None
    ok: bool | None = None
    status: int | None = None
    milliseconds: float | None = None
    cost_usd: float | None = None
    problem: str | None = None


def command(
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Ask every account's cheapest model one tiny question; this costs money.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report everything that is wrong with the configuration; exit 1 if anything is."""
    import uvloop

    from freehold.config import load

    loaded = load(config, os.environ)
    accounts, notes = uvloop.run(_examine(loaded, live=live))
    failed = [health for health in accounts if health.ok is False]
    report = {"source": loaded.source, "notes": notes, "accounts": accounts}
    if not as_json:
        _print(loaded, accounts, notes, live=live)
    elif not failed:
        print_json(report)
    if failed:
        message = f"{_counted(len(failed), 'account')} did not answer: {', '.join(each.account for each in failed)}"
        raise CommandError(message, code="check_failed", report=report)


def _print(config: Config, accounts: list[Health], notes: tuple[str, ...], *, live: bool) -> None:
    for note in notes:
        typer.echo(note, err=True)
    for health in accounts:
        word = "configured" if not live else "not asked" if health.ok is None else "ok" if health.ok else "FAILED"
        asked = "" if health.model is None else f" {health.model}"
        took = "" if health.milliseconds is None else f", {health.milliseconds:.0f} ms"
        cost = "" if health.cost_usd is None else f", {health.cost_usd:.6f} USD"
        problem = "" if health.problem is None else f": {health.problem}"
        typer.echo(f"{health.account:<16} {health.provider:<18} {word}{asked}{took}{cost}{problem}")
    where = config.source or "the environment (there is no file)"
    counts = f"{_counted(len(accounts), 'account')}, {_counted(len(config.models), 'model')}"
    typer.echo(f"{where}: {counts}, no mistakes", err=True)
    if not accounts:
        typer.echo("There is no account yet: `freehold init` writes one down, `freehold demo` needs none.", err=True)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


async def _examine(config: Config, *, live: bool) -> tuple[list[Health], tuple[str, ...]]:
    """Start everything but the ports: database, secret, spool and every target are made ready. Raises ConfigError."""
    from freehold.app import Service

    async with Service(config, environ=os.environ) as service:
        accounts = service.config.accounts.values()
        notes = (*service.config.notes, *service.names.notes())
        if not live:
            return [Health(account=account.name, provider=account.provider) for account in accounts], notes
        return [await _ask(service, account.name) for account in accounts], notes


async def _ask(service: Service, account: str) -> Health:
    from freehold.cli.asking import Question, ask

    provider = service.config.accounts[account].provider
    model = cheapest(service, account)
    if model is None:
        return Health(
            account=account,
            provider=provider,
            problem=f"it lists no model; name one in [models], as `{account}/MODEL`, to have it asked",
        )
    question = Question(model=f"{account}/{model}", text=_QUESTION, max_tokens=_ENOUGH)
    answered = await ask(service, question, lambda _: None)
    record = answered.record
    attempt = record.attempts[-1] if record is not None and record.attempts else None
    cost = None if record is None else record.cost_nano_usd
    return Health(
        account=account,
        provider=provider,
        model=model,
        ok=answered.error is None,
        status=None if attempt is None else attempt.status,
        milliseconds=None if attempt is None else attempt.last_byte_ms,
        cost_usd=None if cost is None else cost / 1e9,
        problem=answered.error,
    )


def cheapest(service: Service, account: str) -> str | None:
    """The model of an account that costs least to ask: of those that [models] names, else of those that it lists."""
    from freehold.providers.catalog import providers, rule
    from freehold.providers.price_book import price

    provider = providers()[service.config.accounts[account].provider]
    stated = {text.to for model in service.config.models.values() for text in model.targets}
    targets = [target for target in service.serving.names.targets() if target.account == account]
    named = [target for target in targets if any(text.partition("@")[0] == target.id for text in stated)]
    best: tuple[float, str] | None = None
    for target in named or targets:
        known = rule(provider, target.known_as)
        if known is not None and "generate" not in known.operations:
            continue
        cost = price(provider.name, target.known_as, 0.0)
        if cost is not None and cost.base.output is None:
            continue  # an embedding model
        weight = float("inf") if cost is None else float(cost.base.input + (cost.base.output or 0))
        if best is None or weight < best[0]:
            best = (weight, target.model)
    return None if best is None else best[1]
