"""`freehold translate`: recorded exchanges decoded and re-encoded, with an honest account of the losses."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from freehold.cli.failure import CommandError
from freehold.cli.options import ConfigOption
from freehold.errors import CallerError
from freehold.exchange.recordings import find_recordings, read_recording
from freehold.exchange.translate import Row, translate
from freehold.protocols.codec import Codec
from freehold.protocols.registry import CODECS, codec_of_recording


def command(
    paths: Annotated[list[Path], typer.Argument(help="Recorded exchanges: files, or folders to search.")],
    *,
    to: Annotated[str, typer.Option(help="A protocol, or all.", metavar="PROTOCOL")] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per exchange, part and target.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write every translated body below this folder.")] = None,
    config: ConfigOption = None,
) -> None:
    """Decode recorded exchanges and write them in other protocols, event by event."""
    del config  # translating needs no account
    if to != "all" and to not in CODECS:
        raise typer.BadParameter(f"no such protocol; choose one of all, {', '.join(CODECS)}", param_hint="--to")
    try:
        files = list(find_recordings(paths))
    except CallerError as error:
        raise typer.BadParameter(str(error), param_hint="PATHS") from None
    tally: Counter[tuple[str, str, str]] = Counter()
    failed: list[Row] = []
    for file in files:
        for row in _rows(file, to):
            tally[row.source, row.target, row.status] += 1
            if row.status == "error":
                failed.append(row)
            if as_json:
                sys.stdout.write(msgspec.json.encode(row.line()).decode() + "\n")
            if output is not None and row.body is not None:
                _write(output, row)
    if not files:
        typer.echo("no recorded exchange was found: folders are searched for `*.json`", err=True)
    if not as_json:
        _print_tally(tally, failed)
    if failed:
        raise CommandError(f"{len(failed)} could not be translated", code="translation_failed")


def _rows(file: Path, to: str) -> list[Row]:
    try:
        recording = read_recording(file.read_bytes(), str(file))
    except CallerError as error:
        # Not an exchange at all: there is nothing to translate, and the user must hear of it.
        return [Row(id=file.stem, part="request", source="", target=to, status="error", message=str(error))]
    source = codec_of_recording(recording.protocol, recording.wire)
    targets: dict[str, Codec] = dict(CODECS) if to == "all" else {to: CODECS[to]}
    return list(translate(recording, source, targets))


def _write(output: Path, row: Row) -> None:
    folder = output / row.target
    folder.mkdir(parents=True, exist_ok=True)
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in row.id)
    (folder / f"{safe}.{row.part}").write_bytes(row.body or b"")


def _print_tally(tally: Counter[tuple[str, str, str]], failed: list[Row]) -> None:
    for (source, target, status), count in sorted(tally.items()):
        typer.echo(f"{source:<20} {target:<20} {status:<12} {count:>6}")
    for row in failed:
        typer.echo(f"error: {row.id} {row.part} to {row.target}: {row.message}", err=True)
