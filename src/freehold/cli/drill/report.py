"""What a drill found, as a value: what `--json` prints and the page shows."""

from __future__ import annotations

import msgspec


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """When what happened, in Unix seconds: watched from, taken out, healed, watched until."""

    began: float
    out: float
    healed: float
    ended: float


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """The exchanges of one phase. `delayed` were answered after an attempt that failed; `gone` are clients that left.

    `p50_ms` and `p95_ms` are from door to door, of those that were answered; None where none was.
    """

    exchanges: int
    served: int
    delayed: int
    failed: int
    refused: int
    gone: int
    p50_ms: float | None = None
    p95_ms: float | None = None


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds that delayed exchanges lost with attempts that failed."""

    p50: float
    p90: float
    p99: float
    max: float


class TargetReport(msgspec.Struct, frozen=True, kw_only=True):
    """One target of the domain.

    `served_before` counts its answers before the outage, `failed_attempts` those in vain afterwards, `after_notice` of
    them when that was known. `detection_s`: from the first of them to the one after which it was left alone; None: it
    was not noticed, or never asked. `recovery_s`: from the healing to the sending of what it answered first.
    """

    target: str
    models: tuple[str, ...]
    served_before: int = 0
    failed_attempts: int = 0
    after_notice: int = 0
    detection_s: float | None = None
    recovery_s: float | None = None


class ModelCost(msgspec.Struct, frozen=True, kw_only=True):
    """The mean cost of an answer of one model, in US dollars, before and during the outage, and of how many."""

    model: str
    before_usd: float
    during_usd: float
    before: int
    during: int


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """The mean cost of an answer in US dollars, for the mix of models there was before the outage.

    `change` is the relative difference, 0.1 for a tenth more; `unpriced` counts answers whose price is not known.
    """

    before_usd: float
    during_usd: float
    change: float | None
    unpriced: int
    models: tuple[ModelCost, ...]


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why exchanges were not served, and how many."""

    reason: str
    count: int


class Unserved(msgspec.Struct, frozen=True, kw_only=True):
    """A model of which exchanges failed since the outage began."""

    model: str
    failed: int
    reasons: tuple[Reason, ...]


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """The exchanges that ended in one piece of the time; `at` is its beginning, in seconds since the drill began."""

    at: float
    served: int
    delayed: int
    failed: int


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """The drill's own requests: how many a second, by whose clients, and what those saw."""

    rate: float
    clients: tuple[str, ...]
    models: tuple[str, ...]
    stream: bool
    asked: int
    failed: int
    problems: tuple[Reason, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A drill. `delayed`, `failed` and `added_ms` are of the exchanges that ended since the outage began.

    `in_flight` were under way at that moment. `detection_s` and `recovery_s` are those of the slowest target that
    served before; None: not noticed, not recovered, or none did. `stranded` are models without a target elsewhere.
    """

    domain: str
    where: str
    how: str
    seconds: float
    interrupted: bool
    moments: Moments
    exchanges: int
    in_flight: int
    delayed: int
    failed: int
    added_ms: Added | None
    first_failure_s: float | None
    detection_s: float | None
    recovery_s: float | None
    targets: tuple[TargetReport, ...]
    phases: dict[str, Phase]
    cost: Cost | None
    unserved: tuple[Unserved, ...]
    stranded: tuple[str, ...]
    bin_s: float
    timeline: tuple[Bin, ...]
    load: LoadReport | None = None
