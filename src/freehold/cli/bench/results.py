"""From readings to figures, and the file that keeps them."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import msgspec

from freehold.cli.asking import Pace
from freehold.cli.bench import statistics
from freehold.cli.bench.checks import Judge
from freehold.cli.bench.measuring import Reading
from freehold.cli.bench.mix import bills
from freehold.exchange.record import ExchangeRecord, UsageRecord
from freehold.ir import Usage
from freehold.routing.measured import Measured, Measurements, Quality, read
from freehold.store.private_files import write_private


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong with a target, and how often."""

    target: str
    message: str
    times: int


def measured(
    readings: Sequence[Reading],
    records: Mapping[str, ExchangeRecord],
    scores: Mapping[str, float | None],
    *,
    now: float,
    own: Sequence[Usage] = (),
) -> Measured | None:
    """The figures of one target; None where nothing was sent to it. `own` are the usages of the user's own traffic."""
    sent = [reading for reading in readings if was_sent(reading, records)]
    failed = sum(reading.heard.error is not None for reading in sent)
    error_rate = statistics.share(failed, len(sent))
    if error_rate is None:
        return None
    answered = [reading for reading in sent if reading.heard.error is None]
    firsts = [reading.heard.pace.first for reading in answered]
    speeds = [speed(reading.heard.pace, _usage(reading, records)) for reading in answered]
    price = sent[0].turn.aim.price
    mix = bills(own, price) if price is not None else []
    return Measured(
        target=sent[0].turn.aim.target,
        measured_at=now,
        requests=len(sent),
        ttft_ms=statistics.median([first * 1000 for first in firsts if first is not None]),
        tokens_per_second=statistics.median([each for each in speeds if each is not None]),
        error_rate=error_rate,
        usd_per_million=statistics.ratio(mix or [pair for each in sent if (pair := _bill(each, records))]),
        own_exchanges=len(mix),
        quality=_quality(answered, scores, now),
    )


def was_sent(reading: Reading, records: Mapping[str, ExchangeRecord]) -> bool:
    """Whether the target was asked at all; what was refused before says nothing about it."""
    record = records.get(reading.heard.exchange)
    return record is None or bool(record.attempts)


def speed(pace: Pace, usage: UsageRecord | None) -> float | None:
    """Output tokens a second after the first; None where all words came at once, or nobody counted them.

    Reasoning that was not shown was over before the first token came, so it does not count.
    """
    if pace.first is None or pace.last is None or usage is None or usage.output_tokens is None:
        return None
    seconds = pace.last - pace.first
    tokens = usage.output_tokens - 1 - (0 if pace.reasoned else usage.reasoning or 0)
    return tokens / seconds if seconds > 0 and tokens > 0 else None


def score(reading: Reading, verdicts: Mapping[str, float | None]) -> float | None:
    """How good an answer is, 0 to 1; None where there is no answer, no check, or no verdict."""
    if reading.heard.error is not None:
        return None
    match reading.turn.case.check:
        case None:
            return None
        case Judge():
            return verdicts.get(reading.heard.exchange)
        case check:
            return check.score(reading.heard.text)


def problems(readings: Sequence[Reading], scores: Mapping[str, float | None]) -> list[Problem]:
    """What went wrong with these readings of one target, the most frequent first."""
    said = Counter(reading.heard.error for reading in readings if reading.heard.error is not None)
    unscored = sum(
        reading.heard.error is None
        and reading.turn.case.check is not None
        and scores.get(reading.heard.exchange) is None
        for reading in readings
    )
    if unscored:
        said["an answer could not be scored: the judge gave no verdict, or the schema refers to another"] = unscored
    return [
        Problem(target=readings[0].turn.aim.target, message=message, times=times)
        for message, times in said.most_common()
    ]


def told(rows: Sequence[Measured]) -> list[Measured]:
    """Those that gave an answer."""
    return [each for each in rows if each.error_rate.value < 1]


def keep(file: Path, new: Sequence[Measured]) -> None:
    """Put new figures in the place of the same targets' old ones. Raises ConfigError, OSError.

    Quality is measured less often than speed: a target that was asked without checks keeps what was known. So does one
    that gave no answer at all: a wrong key or an outage tells nothing of how it answers.
    """
    if not told(new):
        return
    with _alone(file):
        known = read(file)
        for each in told(new):
            before = known.get(each.target)
            if each.quality is None and before is not None:
                known[each.target] = msgspec.structs.replace(each, quality=before.quality)
            else:
                known[each.target] = each
        found = Measurements(targets=tuple(known[target] for target in sorted(known)))
        write_private(file, msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


@contextlib.contextmanager
def _alone(file: Path) -> Generator[None]:
    """Nobody else adds to the file meanwhile: of two runs that end together, both are kept. Raises OSError."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _usage(reading: Reading, records: Mapping[str, ExchangeRecord]) -> UsageRecord | None:
    record = records.get(reading.heard.exchange)
    return None if record is None else record.usage


def _bill(reading: Reading, records: Mapping[str, ExchangeRecord]) -> tuple[float, float] | None:
    """USD, and the millions of tokens that they bought; None where either is not known."""
    record = records.get(reading.heard.exchange)
    if record is None or record.cost_nano_usd is None or record.usage is None:
        return None
    tokens = (record.usage.input_tokens or 0) + (record.usage.output_tokens or 0)
    return record.cost_nano_usd / 1e9, tokens / 1e6


def _quality(answered: Sequence[Reading], scores: Mapping[str, float | None], now: float) -> Quality | None:
    """The mean over cases, each by its own mean: asking one case twice does not make two cases."""
    by_case: dict[int, list[float]] = {}
    for reading in answered:
        found = scores.get(reading.heard.exchange)
        if found is not None:
            by_case.setdefault(reading.turn.number, []).append(found)
    means = [sum(each) / len(each) for each in by_case.values()]
    mean = statistics.share(sum(means), len(means))
    if mean is None:
        return None
    return Quality(value=mean.value, low=mean.low, high=mean.high, cases=len(means), measured_at=now)
