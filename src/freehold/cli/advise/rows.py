"""What advice is made from: exchange records, or a trace as CSV or JSON lines."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, cast

import msgspec

from freehold.cli.failure import CommandError
from freehold.exchange.record import ExchangeRecord

Key = tuple[str, ...]
"""What a workload is told apart by, as `name=value`."""

SESSION_TAGS: Final = ("session", "conversation", "thread")
"""Tags of `Freehold-Tags` that say which exchanges belong together."""

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("time", "timestamp", "ts", "t_ms"),
    "input": ("input_tokens", "in_tokens", "contexttokens", "input_length"),
    "output": ("output_tokens", "out_tokens", "generatedtokens", "output_length"),
    "cached": ("cache_read", "cached_tokens"),
    "workload": ("workload",),
    "model": ("model",),
    "session": ("session", "session_id", "conversation"),
    "blocks": ("hash_ids",),
    "stream": ("stream",),
}
"""What a trace may have, and what it may be called there; capitals do not matter. The public Azure and Mooncake traces
are read as they are published."""

_NEEDED: Final = ("time", "input", "output")
_SHAPES: Final = ((1000, "under 1k"), (8000, "1k to 8k"), (32000, "8k to 32k"))


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One request in numbers. `source` is who sent it; `blocks` are hashes of the input's pieces, in order.

    None is not known.
    """

    at: float
    input: int
    output: int
    key: Key
    model: str = ""
    cached: int | None = None
    source: str = ""
    session: str | None = None
    blocks: tuple[object, ...] | None = None
    stream: bool | None = None
    cost_nano_usd: int | None = None


class Skipped(msgspec.Struct):
    """Rows that say nothing: `unread` could not be understood, `unanswered` have no usage or no answer."""

    unread: int = 0
    unanswered: int = 0


def of_record(record: ExchangeRecord, by: tuple[str, ...]) -> Use | None:
    """What a record says; None for one without an answer and its usage."""
    usage = record.usage
    if record.operation != "generate" or usage is None or usage.source != "provider" or usage.input_tokens is None:
        return None
    session = next((record.tags[tag] for tag in SESSION_TAGS if tag in record.tags), None)
    return Use(
        at=record.started,
        input=usage.input_tokens,
        output=usage.output_tokens or 0,
        key=tuple(f"{name}={_named(record, name)}" for name in by),
        model=record.model,
        cached=usage.cache_read,
        source=record.key or record.project or "",
        session=session,
        stream=record.stream,
        cost_nano_usd=record.cost_nano_usd,
    )


def _named(record: ExchangeRecord, name: str) -> str:
    if name.startswith("tag:"):
        return record.tags.get(name[4:], "-")
    values = {"project": record.project, "key": record.key, "model": record.model}
    return values[name] or "-"


def read_trace(file: Path, by: tuple[str, ...] | None, skipped: Skipped) -> Iterator[Use]:
    """The requests of a trace, one at a time. Raises CommandError for what is no trace, OSError."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        if file.suffix.lower() in {".jsonl", ".ndjson", ".json"}:
            yield from _read(_json_rows(lines, skipped), by, skipped, file)
        else:
            yield from _read(csv.DictReader(lines), by, skipped, file)


def _json_rows(lines: IO[str], skipped: Skipped) -> Iterator[Mapping[str, object]]:
    for line in lines:
        if line.strip():
            try:
                yield msgspec.json.decode(line, type=dict[str, object])
            except msgspec.DecodeError:
                skipped.unread += 1


def _read(
    rows: Iterator[Mapping[str, object]] | csv.DictReader[str],
    by: tuple[str, ...] | None,
    skipped: Skipped,
    file: Path,
) -> Iterator[Use]:
    places: dict[str, str] | None = None
    try:
        for row in rows:
            if places is None:
                places = _places(row, file)
            try:
                yield _use({name: row.get(place) for name, place in places.items()}, by, places)
            except (ValueError, TypeError, OverflowError):
                skipped.unread += 1
    except (csv.Error, UnicodeDecodeError) as error:
        raise CommandError(f"{file} can not be read as a trace: {error}", code="trace_unreadable") from None


def _places(row: Mapping[str, object], file: Path) -> dict[str, str]:
    """Which column holds what. Raises CommandError where one that is needed is missing."""
    known = {str(name).strip().lower(): str(name) for name in row}
    places: dict[str, str] = {}
    for meaning, names in COLUMNS.items():
        found = next((known[name] for name in names if name in known), None)
        if found is not None:
            places[meaning] = found
        elif meaning in _NEEDED:
            message = f"{file} has no column for the {meaning} of a request; call it {' or '.join(names)}"
            raise CommandError(message, code="trace_unreadable")
    return places


def _use(said: Mapping[str, object], by: tuple[str, ...] | None, places: Mapping[str, str]) -> Use:
    tokens = _whole(said["input"])
    model, workload = str(said.get("model") or ""), str(said.get("workload") or "")
    values: dict[str, Callable[[], str]] = {
        "workload": lambda: workload or "-",
        "model": lambda: model or "-",
        "shape": lambda: shape(tokens),
    }
    wanted = by or tuple(name for name in ("workload", "model") if name in places) or ("shape",)
    session = said.get("session")
    cached = said.get("cached")
    return Use(
        at=_moment(said["time"], milliseconds=places["time"].lower() == "t_ms" or places["input"] == "input_length"),
        input=tokens,
        output=_whole(said["output"]),
        key=tuple(f"{name}={values[name]()}" for name in wanted),
        model=model,
        cached=None if cached in {None, ""} else _whole(cached),
        session=None if session in {None, ""} else str(session),
        blocks=_blocks(said.get("blocks")),
        stream=_truth(said.get("stream")),
    )


def shape(tokens: int) -> str:
    """The class of a request by the length of its input, for traces that name nothing."""
    return next((name for bound, name in _SHAPES if tokens < bound), "32k and more")


def _whole(value: object) -> int:
    number = float(cast("str | float", value))
    if number < 0 or not math.isfinite(number):
        raise ValueError("tokens can be counted")
    return int(number)


def _moment(value: object, *, milliseconds: bool) -> float:
    """Unix seconds of a number, or of a date (UTC where it says none). Mooncake's and `t_ms` are milliseconds."""
    try:
        number = float(cast("str | float", value))
    except ValueError:
        # Seven digits of a second, as Azure writes them, are one more than Python takes.
        said = datetime.fromisoformat(str(value).strip()[:26])
        return (said if said.tzinfo is not None else said.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(number):
        raise ValueError("time goes on, but not for ever")
    # No date in seconds is as large as 10¹¹ (the year 5138).
    return number / 1000 if milliseconds or number > 1e11 else number


def _blocks(value: object) -> tuple[object, ...] | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return tuple(value.replace("[", " ").replace("]", " ").replace(",", " ").split())
    return tuple(cast("list[object]", value)) if isinstance(value, list) else None


def _truth(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return None if value in {None, ""} else str(value).lower() in {"1", "true", "yes"}
