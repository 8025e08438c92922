"""A run, from what was wished for to what is kept and shown."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
import typer
import uvloop

from freehold.app import Service, spool_folder
from freehold.cli.bench.cases import Case
from freehold.cli.bench.measuring import Reading, Run
from freehold.cli.bench.mix import traffic
from freehold.cli.bench.plan import Estimate, aims, all_models, estimate, turns
from freehold.cli.bench.progress import Progress
from freehold.cli.bench.report import Report, show
from freehold.cli.bench.results import Problem, keep, measured, problems, score
from freehold.cli.failure import INTERRUPTED, CommandError
from freehold.cli.options import print_json
from freehold.cli.words import counted
from freehold.config import Config
from freehold.errors import ConfigError
from freehold.exchange.record import read_records
from freehold.routing.measured import Measured


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the command was called with."""

    models: tuple[str, ...]
    cases: tuple[Case, ...]
    judge: str | None
    requests: int
    concurrency: int
    most_output: int
    most_usd: float
    seed: int
    dry: bool


def bench(config: Config, wishes: Wishes, file: Path, svg: Path | None, *, as_json: bool) -> None:
    """Measure, keep, show. Raises FreeholdError, BadParameter for a run that is too dear, Exit once interrupted."""
    run = Run()
    began = time.time()
    estimates: list[Estimate] = []
    interrupted = False
    try:
        uvloop.run(_measure(config, wishes, run, estimates.append))
    except KeyboardInterrupt:
        interrupted = True
    if wishes.dry and not interrupted:
        (cost,) = estimates
        if as_json:
            print_json({"requests": cost.requests, "estimated_usd": cost.usd, "unpriced": cost.unpriced})
        return
    rows, problems, spent = _results(config, run, began)
    report = Report(
        targets=rows,
        problems=problems,
        interrupted=interrupted,
        requests=len(run.exchanges),
        estimated_usd=sum(each.usd for each in estimates),
        spent_usd=spent,
        file=str(file),
    )
    if rows:
        try:
            keep(file, rows)
        except OSError as error:
            raise ConfigError(f"{file}: {error.strerror}; the figures could not be kept") from None
    aimed = {reading.turn.aim.target for reading in run.readings}
    silent = sorted(aimed - {reading.turn.aim.target for reading in run.readings if reading.heard.error is None})
    failed = bool(silent) and not interrupted
    # Of a command that fails, one object says both what was found and what went wrong.
    show(report, svg, as_json=as_json and not failed, as_table=not as_json)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if failed:
        message = f"{counted(len(silent), 'target')} gave no answer: {', '.join(silent)}"
        found: dict[str, object] = msgspec.to_builtins(report)
        raise CommandError(message, code="bench_failed", report=found)


async def _measure(config: Config, wishes: Wishes, run: Run, note: Callable[[Estimate], None]) -> None:
    """Ask and judge. Raises CallerError for models that there are not, BadParameter for a run that is too dear."""
    # One try a request: a second one would hide the failure and its time.
    once = msgspec.structs.replace(config, limits=msgspec.structs.replace(config.limits, attempts=1))
    async with Service(once, environ=os.environ) as service:
        models = wishes.models or all_models(service)
        if not models:
            raise ConfigError("[models] names nothing to measure; name a model: `freehold models --all` lists them")
        now = time.time()
        targets = aims(service, models, now)
        judges = [] if wishes.judge is None else aims(service, [wishes.judge], now)
        found = estimate(targets, wishes.cases, requests=wishes.requests, most=wishes.most_output, judges=judges)
        note(found)
        _announce(found, len(targets))
        if wishes.dry:
            return
        if found.usd > wishes.most_usd:
            raise typer.BadParameter(
                f"the run may cost {found.usd:.4f} USD: allow that much, or ask fewer targets, less often or for less",
                param_hint="--max-cost",
            )
        run.own = await asyncio.to_thread(
            traffic, service.spool.folder, service.serving.names, [aim.target for aim in targets], now
        )
        progress = Progress(found.requests)
        plan = turns(targets, wishes.cases, wishes.requests, Random(wishes.seed))  # noqa: S311 -- repeatable on purpose
        await run.measure(
            service, plan, most=wishes.most_output, concurrency=wishes.concurrency, tell=progress.measured
        )
        if wishes.judge is not None:
            await run.judge(service, wishes.judge, concurrency=wishes.concurrency, tell=progress.judged)
        progress.end()


def _announce(found: Estimate, targets: int) -> None:
    unpriced = f", and what {', '.join(found.unpriced)} costs: no price is known" if found.unpriced else ""
    typer.echo(
        f"{counted(targets, 'target')}, {counted(found.requests, 'request')}: "
        f"at most about {found.usd:.4f} USD{unpriced}",
        err=True,
    )


def _results(config: Config, run: Run, began: float) -> tuple[list[Measured], list[Problem], float]:
    """The figures of each target, what went wrong, and what all of it cost in USD."""
    wanted = set(run.exchanges)
    folder = spool_folder(config)
    records = {record.id: record for record in read_records(folder, since=began) if record.id in wanted}
    by_target: dict[str, list[Reading]] = {}
    for reading in run.readings:
        by_target.setdefault(reading.turn.aim.target, []).append(reading)
    scores = {reading.heard.exchange: score(reading, run.verdicts) for reading in run.readings}
    now = time.time()
    rows: list[Measured] = []
    wrong: list[Problem] = []
    for target in sorted(by_target):
        wrong += problems(by_target[target], scores)
        found = measured(by_target[target], records, scores, now=now, own=run.own.get(target, ()))
        if found is not None:
            rows.append(found)
    return rows, wrong, sum(record.cost_nano_usd or 0 for record in records.values()) / 1e9
