"""`freehold bench`: how fast, how reliable, how dear and how good every target of a model is, measured here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from freehold.cli.options import ConfigOption, JsonOption

_REQUESTS: Final = 6
"""Of a target, by default: the fewest that a median has an interval of, for cents."""
_MOST_USD: Final = 1.0
"""What a run may cost without being told: more than a handful of targets do, less than anybody regrets."""
_MOST_OUTPUT: Final = 256


def command(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL", help="Whose targets to measure, as `chat` names models; none: what is known already."
        ),
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Measure the targets of every name in [models].")] = False,
    requests: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Ask each target so often; 6 by default, once a case with --cases."),
    ] = None,
    concurrency: Annotated[int, typer.Option(metavar="N", min=1, help="Requests under way at a time.")] = 1,
    prompt: Annotated[Path | None, typer.Option(metavar="FILE", help="Ask this text, not our own questions.")] = None,
    cases: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Ask these cases and check the answers: a JSON object a line.")
    ] = None,
    judge: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Judges the answers of cases whose check is `judge`.")
    ] = None,
    max_output: Annotated[
        int, typer.Option(metavar="TOKENS", min=16, help="The longest answer, reasoning included.")
    ] = _MOST_OUTPUT,
    max_cost: Annotated[
        float, typer.Option(metavar="USD", min=0, help="Ask nothing if the run may cost more than this.")
    ] = _MOST_USD,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what the run may cost, and ask nothing.")] = False,
    seed: Annotated[int, typer.Option(help="Draws questions and order; the same again for the same.")] = 7,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the figures into this file as well.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure every target of a model: time to first token, speed, cost, errors, quality. This costs money."""
    from freehold.cli.bench.cases import judged, read_cases, read_prompt
    from freehold.cli.bench.report import Report, show
    from freehold.cli.bench.running import Wishes, bench
    from freehold.config import load
    from freehold.routing.measured import FILE, read

    loaded = load(config, os.environ)
    _check_use(models, every=every, prompt=prompt, cases=cases, svg=svg)
    file = Path(loaded.data_directory) / FILE
    known = read(file)  # what can not be added to later is better known before money is spent
    if not models and not every:
        show(Report(targets=tuple(known.values()), file=str(file)), svg, as_json=as_json, as_table=not as_json)
        return
    asked = read_cases(cases) if cases is not None else (read_prompt(prompt),) if prompt is not None else ()
    if judged(asked) and judge is None:
        raise typer.BadParameter("there are cases whose check is `judge`; name the model", param_hint="--judge")
    wishes = Wishes(
        models=tuple(models or ()),
        cases=asked,
        judge=judge if judged(asked) else None,
        requests=requests or (1 if cases is not None else _REQUESTS),
        concurrency=concurrency,
        most_output=max_output,
        most_usd=max_cost,
        seed=seed,
        dry=dry_run,
    )
    bench(loaded, wishes, file, svg, as_json=as_json)


def _check_use(
    models: list[str] | None, *, every: bool, prompt: Path | None, cases: Path | None, svg: Path | None
) -> None:
    """Raises BadParameter for options that contradict each other, and for a picture that could not be written."""
    if models and every:
        raise typer.BadParameter("name models or say --all, not both", param_hint="MODEL")
    if prompt is not None and cases is not None:
        raise typer.BadParameter("the cases say what is asked; leave out one of the two", param_hint="--prompt")
    if svg is not None and (not svg.parent.is_dir() or svg.is_dir()):
        raise typer.BadParameter(f"{svg} can not be written there", param_hint="--svg")
