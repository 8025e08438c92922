"""The translation matrix: recorded exchanges in every protocol, and what that lost."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from freehold.exchange.recordings import find_recordings, read_recording
from freehold.exchange.translate import Row, Side, Status, translate
from freehold.ir import Loss
from freehold.protocols.registry import CODECS, codec_of_recording
from freehold.reference.markdown import code, table

MOST_FREQUENT: Final = 6
"""Losses that a pair's list shows for each side; what is rarer says little about the pair."""

LONGEST_REASON: Final = 80
"""Characters of a reason; some quote what was sent."""

_COUNTED: Final[tuple[Status, ...]] = ("identical", "equal", "lossy", "refused", "unsupported", "error")
_SIDES: Final[tuple[Side, ...]] = ("request", "response")
_INDEX = re.compile(r"\[\d+\]")

Kind: TypeAlias = tuple[str, str, str]
"""Losses that are counted as one: path without indices, kind and effect."""

_HEAD: Final = """# Translation matrix

What became of the {recordings} recorded exchanges under `tests/exchanges` when each was decoded and encoded in every
protocol, by full decoding and encoding, never by the tunnel. `make docs-reference` writes this page from the rows of

```text
freehold translate tests/exchanges --json
```

*Identical* and *equal* compare with the recording, up to the [spellings](spellings.md); between two protocols *equal*
means that nothing was lost. *Lossy*: something was, and is [reported](losses.md). *Refused*: content would be lost,
which the default [strictness](losses.md#strictness) does not allow. *Unsupported*: the operation has no counterpart
there (embeddings at a chat protocol). *Error* would be a bug.

*Unknown* is the share of losses whose [effect](losses.md#unknown) nobody has classified.
"""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One side of all exchanges from one protocol to another."""

    source: str
    target: str
    side: Side
    statuses: Mapping[Status, int]
    losses: Mapping[Kind, int]
    """How often each occurred, counted once an exchange."""
    reasons: Mapping[Kind, str]
    """The most frequent detail of each."""

    @property
    def total(self) -> int:
        """How many there were."""
        return sum(self.statuses.values())

    @property
    def unknown(self) -> float | None:
        """The share of unknown losses; None where nothing was lost."""
        lost = sum(self.losses.values())
        return (
            sum(count for (_, _, effect), count in self.losses.items() if effect == "unknown") / lost if lost else None
        )


def read_rows(exchanges: Path) -> tuple[int, list[Row]]:
    """How many recordings the folder holds, and every row of their translation."""
    rows: list[Row] = []
    files = list(find_recordings([exchanges]))
    for file in files:
        recording = read_recording(file.read_bytes(), str(file))
        rows.extend(translate(recording, codec_of_recording(recording.protocol, recording.wire), CODECS))
    return len(files), rows


def tally(rows: Iterable[Row]) -> list[Pair]:
    """The rows counted by pair and side, in the order of the codecs."""
    statuses: dict[tuple[str, str, Side], Counter[Status]] = {}
    losses: dict[tuple[str, str, Side], Counter[Kind]] = {}
    details: dict[tuple[str, str, Side], dict[Kind, Counter[str]]] = {}
    for row in rows:
        key = (row.source, row.target, row.part)
        statuses.setdefault(key, Counter())[row.status] += 1
        losses.setdefault(key, Counter()).update({_normal(loss) for loss in row.losses})
        known = details.setdefault(key, {})
        for loss in row.losses:
            known.setdefault(_normal(loss), Counter())[loss.detail] += 1
    return [
        Pair(
            source=source,
            target=target,
            side=side,
            statuses=statuses[key],
            losses=losses[key],
            reasons={kind: _most(counted) for kind, counted in details[key].items()},
        )
        for source in CODECS
        for target in CODECS
        for side in _SIDES
        if (key := (source, target, side)) in statuses
    ]


def page(exchanges: Path) -> str:
    """The whole page."""
    count, rows = read_rows(exchanges)
    pairs = tally(rows)
    own = [pair for pair in pairs if pair.source == pair.target]
    speak = {(pair.source, pair.target) for pair in pairs if pair.side == "request" and _has_words(pair)}
    foreign = [pair for pair in pairs if pair.source != pair.target and (pair.source, pair.target) in speak]
    mute = sorted(
        {(pair.source, pair.target) for pair in pairs} - {(pair.source, pair.target) for pair in (*own, *foreign)}
    )
    lines = [_HEAD.format(recordings=f"{count:,}"), "## Within one protocol", "", *_counts(own), ""]
    lines += ["## Between protocols", "", *_counts(foreign), ""]
    if mute:
        lines += [
            "No operation in common: " + ", ".join(f"{source} → {target}" for source, target in mute) + ".",
            "",
        ]
    lines += ["## Unclassified", "", *_unclassified(foreign), ""]
    lines += [
        "## What is lost most often",
        "",
        (
            f"The {MOST_FREQUENT} most frequent losses of each pair and side, with the number of exchanges in which "
            "each occurred. Indices are left out of the paths."
        ),
        "",
    ]
    for source in CODECS:
        lost = [pair for pair in foreign if pair.source == source and pair.losses]
        if lost:
            lines += [f"### From {source}", "", *_frequent(lost), ""]
    return "\n".join(lines)


def _has_words(pair: Pair) -> bool:
    """Whether anything at all can be said; error answers, which every protocol has, are the other side."""
    return pair.total > pair.statuses.get("unsupported", 0)


def _counts(pairs: Iterable[Pair]) -> list[str]:
    head = ("From", "To", "Part", *(status.capitalize() for status in _COUNTED), "Unknown")
    return table(
        head,
        (
            (
                pair.source,
                pair.target,
                pair.side,
                *(str(pair.statuses.get(status, 0) or "") for status in _COUNTED),
                "" if pair.unknown is None else f"{pair.unknown:.1%}",
            )
            for pair in pairs
        ),
    )


def _frequent(pairs: Iterable[Pair]) -> list[str]:
    rows: list[tuple[str, ...]] = []
    for pair in pairs:
        ranked = sorted(pair.losses.items(), key=lambda item: (-item[1], item[0]))
        for (path, kind, effect), count in ranked[:MOST_FREQUENT]:
            reason = pair.reasons[path, kind, effect]
            rows.append((pair.target, pair.side, code(path), kind, effect, str(count), reason))
    return table(("To", "Part", "What", "Kind", "Effect", "Exchanges", "Reason given most often"), rows)


def _normal(loss: Loss) -> tuple[str, str, str]:
    return _INDEX.sub("[]", loss.path).replace("`", ""), loss.kind, loss.effect


def _unclassified(pairs: Iterable[Pair]) -> list[str]:
    """The fields behind the share of unknown losses, each with the most exchanges that it occurred in."""
    found: dict[tuple[str, str, str], int] = {}
    for pair in pairs:
        for (path, _, effect), count in pair.losses.items():
            if effect == "unknown":
                key = (pair.source, pair.side, code(path))
                found[key] = max(found.get(key, 0), count)
    if not found:
        return ["Every loss has its effect."]
    return table(("From", "Part", "What", "Exchanges"), ((*key, str(count)) for key, count in sorted(found.items())))


def _most(details: Counter[str]) -> str:
    """The most frequent detail, the first in the alphabet among equals; shortened and without marks of Markdown."""
    text = min(details, key=lambda detail: (-details[detail], detail))
    plain = "".join(letter for letter in text if letter not in "`*[]<>")
    return plain if len(plain) <= LONGEST_REASON else plain[: LONGEST_REASON - 1] + "…"
