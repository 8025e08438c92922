"""`freehold chat`: one question to a model, answered on standard output."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.options import ConfigOption, JsonOption, load_or_exit, print_json
from freehold.errors import FreeholdError

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

    loaded = load_or_exit(config)
    question = Question(
        model=model,
        text=sys.stdin.read() if text == "-" else text,
        system=system,
        max_tokens=max_tokens,
        stream=not as_json,
    )
    try:
        answered = uvloop.run(_ask(loaded, question, aloud=not as_json))
    except FreeholdError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from None
    record = answered.record
    if as_json:
        print_json({"text": answered.text, "error": answered.error, "exchange": record})
    elif answered.text:
        typer.echo("")
    if explain and record is not None:
        for line in explanation(record):
            typer.echo(line, err=True)
    if answered.error is not None:
        typer.echo(answered.error, err=True)
        raise typer.Exit(1)


async def _ask(config: Config, question: Question, *, aloud: bool) -> Answered:
    from freehold.app import Service
    from freehold.cli.asking import ask

    def hear(piece: str) -> None:
        if aloud:
            sys.stdout.write(piece)
            sys.stdout.flush()

    async with Service(config, environ=os.environ) as service:
        return await ask(service, question, hear)
