"""`freehold chat`: one question to a model, answered on standard output."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.failure import CommandError
from freehold.cli.options import ConfigOption, JsonOption, print_json

if TYPE_CHECKING:
    from freehold.cli.asking import Answered, Question
    from freehold.config import Config


def command(
    model: Annotated[str, typer.Argument(help="A name of [models], account/model, or a model's own id.")],
    text: Annotated[str, typer.Argument(help="What to ask; - reads it from standard input.")],
    *,
    system: Annotated[str | None, typer.Option(help="Instructions for the model.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The longest answer, in tokens.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say on standard error who answered, what was tried, lost and spent.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a model, by the same road as every client; no server needs to run."""
    import uvloop

    from freehold.cli.asking import Question, explanation
    from freehold.config import load

    loaded = load(config, os.environ)
    question = Question(
        model=model,
        text=sys.stdin.read() if text == "-" else text,
        system=system,
        max_tokens=max_tokens,
        stream=not as_json,
    )
    answered = uvloop.run(_ask(loaded, question, aloud=not as_json))
    record = answered.record
    report = {"text": answered.text, "exchange": record}
    if as_json and answered.error is None:
        print_json(report)
    elif answered.text and not as_json:
        typer.echo("")
    if explain and record is not None:
        for line in explanation(record):
            typer.echo(line, err=True)
    if answered.error is not None:
        code = "upstream_error" if record is None or record.error is None else record.error
        raise CommandError(answered.error, code=code, report=report)


async def _ask(config: Config, question: Question, *, aloud: bool) -> Answered:
    from freehold.app import Service
    from freehold.cli.asking import ask

    def hear(piece: str) -> None:
        if aloud:
            sys.stdout.write(piece)
            sys.stdout.flush()

    async with Service(config, environ=os.environ) as service:
        return await ask(service, question, hear)
