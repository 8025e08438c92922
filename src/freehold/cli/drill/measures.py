"""From exchange records to what a drill found: one pass, flat in memory but for the figures that percentiles need."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from freehold.cli.drill.report import (
    Added,
    Bin,
    Cost,
    LoadReport,
    ModelCost,
    Moments,
    Phase,
    Reason,
    Report,
    TargetReport,
    Unserved,
)
from freehold.cli.drill.subject import Domain
from freehold.exchange.record import AttemptRecord, ExchangeRecord

BINS: Final = 80
"""Pieces of the timeline: as many as a page shows apart."""
MOST_REASONS: Final = 5
"""Reasons of a model that are told apart; the others are counted together."""
_NOTICED: Final = ("broken", "cooling")
"""How a rejection begins by which a target is left alone."""
_UNSERVED: Final = frozenset({"failed", "broken"})
_SERVED_OR_NOT: Final = _UNSERVED | {"ok"}


class Attempt(msgspec.Struct, frozen=True):
    """One attempt with its times in Unix seconds, and whether it led to an answer."""

    target: str
    began: float
    ended: float
    good: bool


class _Phase:
    """The exchanges of one phase, being counted."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.delayed = 0
        self.times = array("d")
        self.costs: dict[str, tuple[int, int]] = {}
        self.unpriced = 0

    def add(self, record: ExchangeRecord) -> None:
        """One exchange that ended in this phase."""
        self.outcomes[record.outcome] += 1
        if record.outcome != "ok":
            return
        self.delayed += _wasted(record) is not None
        self.times.append(((record.finished or record.started) - record.started) * 1000)
        if record.cost_nano_usd is None:
            self.unpriced += 1
        else:
            count, total = self.costs.get(record.model, (0, 0))
            self.costs[record.model] = (count + 1, total + record.cost_nano_usd)

    def report(self) -> Phase:
        """The phase as a value."""
        return Phase(
            exchanges=self.outcomes.total(),
            served=self.outcomes["ok"],
            delayed=self.delayed,
            failed=sum(self.outcomes[each] for each in _UNSERVED),
            refused=self.outcomes["refused"],
            gone=self.outcomes["client_gone"],
            p50_ms=percentile(self.times, 0.5),
            p95_ms=percentile(self.times, 0.95),
        )


class _Target:
    """One target of the domain, being watched."""

    def __init__(self) -> None:
        self.served_before = 0
        self.failures: list[Attempt] = []
        self.noticed = math.inf
        """When the first exchange began that left it alone."""
        self.back = math.inf
        """When the first attempt began that led to an answer after the healing."""


class Measure:
    """Takes the records of a drill in any order."""

    def __init__(self, domain: Domain, moments: Moments) -> None:
        self._domain = domain
        self._moments = moments
        self._targets = {target: _Target() for target in domain.targets}
        self._phases = {name: _Phase() for name in ("before", "during", "after")}
        self._in_flight = 0
        self._added = array("d")
        self._reasons: dict[str, Counter[str]] = {}
        self._bin = max(moments.ended - moments.began, 0.001) / BINS
        self._bins = [[0, 0, 0] for _ in range(BINS)]

    def add(self, record: ExchangeRecord) -> None:
        """One exchange; what began before the drill, or is no request for an answer, does not count."""
        moments = self._moments
        finished = record.finished
        if finished is None or record.started < moments.began or record.started > moments.ended:
            return
        phase = "before" if finished < moments.out else "during" if record.started < moments.healed else "after"
        self._phases[phase].add(record)
        self._in_flight += record.started < moments.out <= finished
        for attempt in attempts(record):
            if attempt.target in self._targets:
                self._watch(self._targets[attempt.target], attempt)
        if phase != "before":
            self._notice(record)
        self._place(record, finished)

    def _watch(self, target: _Target, attempt: Attempt) -> None:
        moments = self._moments
        if not attempt.good:
            if attempt.ended >= moments.out:
                target.failures.append(attempt)
        elif attempt.ended < moments.out:
            target.served_before += 1
        elif attempt.began >= moments.healed:
            target.back = min(target.back, attempt.began)

    def _notice(self, record: ExchangeRecord) -> None:
        if record.started >= self._moments.out:
            for name, why in record.rejections.items():
                if name in self._targets and why.startswith(_NOTICED):
                    target = self._targets[name]
                    target.noticed = min(target.noticed, record.started)
        wasted = _wasted(record)
        if wasted is not None:
            self._added.append(wasted)
        elif record.outcome in _UNSERVED:
            reasons = self._reasons.setdefault(record.model, Counter())
            reasons[_why(record)] += 1

    def _place(self, record: ExchangeRecord, finished: float) -> None:
        place = min(BINS - 1, int((finished - self._moments.began) / self._bin))
        kind = 2 if record.outcome in _UNSERVED else 1 if _wasted(record) is not None else 0
        if record.outcome == "ok" or kind == 2:
            self._bins[place][kind] += 1

    def report(
        self, *, models: dict[str, tuple[str, ...]], where: str, how: str, interrupted: bool, load: LoadReport | None
    ) -> Report:
        """What was found; `models` are those that each target answers for."""
        moments = self._moments
        targets = tuple(self._target(name, watched, models) for name, watched in self._targets.items())
        failures = [failure.ended for watched in self._targets.values() for failure in watched.failures]
        used = [target for target in targets if target.served_before or target.failed_attempts]
        phases = {name: phase.report() for name, phase in self._phases.items()}
        since = (phases["during"], phases["after"])
        return Report(
            domain=self._domain.domain,
            where=where,
            how=how,
            seconds=round(moments.healed - moments.out, 3),
            interrupted=interrupted,
            moments=moments,
            exchanges=sum(phase.exchanges for phase in phases.values()),
            in_flight=self._in_flight,
            delayed=sum(phase.delayed for phase in since),
            failed=sum(phase.failed for phase in since),
            added_ms=_added(self._added),
            first_failure_s=round(min(failures) - moments.out, 3) if failures else None,
            detection_s=_slowest([target.detection_s for target in used if target.failed_attempts]),
            recovery_s=_slowest([target.recovery_s for target in used if target.served_before]),
            targets=targets,
            phases=phases,
            cost=self._cost(),
            unserved=tuple(
                Unserved(model=model, failed=reasons.total(), reasons=counted(reasons))
                for model, reasons in self._reasons.items()
            ),
            stranded=self._domain.stranded,
            bin_s=round(self._bin, 4),
            timeline=tuple(
                Bin(at=round(place * self._bin, 3), served=served, delayed=delayed, failed=failed)
                for place, (served, delayed, failed) in enumerate(self._bins)
            ),
            load=load,
        )

    def _target(self, name: str, watched: _Target, models: dict[str, tuple[str, ...]]) -> TargetReport:
        failures = sorted(watched.failures, key=lambda failure: failure.ended)
        until = [failure for failure in failures if failure.began < watched.noticed]
        noticed = math.isfinite(watched.noticed) and bool(until)
        return TargetReport(
            target=name,
            models=models.get(name, ()),
            served_before=watched.served_before,
            failed_attempts=len(failures),
            after_notice=len(failures) - len(until) if noticed else 0,
            detection_s=round(until[-1].ended - until[0].ended, 3) if noticed else None,
            recovery_s=round(watched.back - self._moments.healed, 3) if math.isfinite(watched.back) else None,
        )

    def _cost(self) -> Cost | None:
        before, during = self._phases["before"].costs, self._phases["during"].costs
        models = tuple(
            ModelCost(
                model=model,
                before_usd=before[model][1] / before[model][0] / 1e9,
                during_usd=during[model][1] / during[model][0] / 1e9,
                before=before[model][0],
                during=during[model][0],
            )
            for model in before
            if model in during
        )
        if not models:
            return None
        weight = sum(each.before for each in models)
        was = sum(each.before_usd * each.before for each in models) / weight
        became = sum(each.during_usd * each.before for each in models) / weight
        return Cost(
            before_usd=was,
            during_usd=became,
            change=round(became / was - 1.0, 6) if was else None,
            unpriced=self._phases["before"].unpriced + self._phases["during"].unpriced,
            models=models,
        )


def attempts(record: ExchangeRecord) -> Iterator[Attempt]:
    """The attempts of an exchange with their times: each began when the one before it had ended, a hedge beside it.

    One that was cut since another was faster says nothing of its target, nor does the last one where the client left
    or was to blame.
    """
    began = ended = record.started
    last = len(record.attempts) - 1
    for place, each in enumerate(record.attempts):
        began = began if each.hedge else ended
        ended = max(ended, began + (each.last_byte_ms or 0.0) / 1000)
        if each.lost or (place == last and record.outcome not in _SERVED_OR_NOT):
            continue
        good = not _failed(each) and (place < last or record.outcome == "ok")
        yield Attempt(each.target, began, began + (each.last_byte_ms or 0.0) / 1000, good=good)


def _failed(attempt: AttemptRecord) -> bool:
    """Whether its target gave no answer: one that a check found wanting is one, and a lost race proves nothing."""
    if attempt.lost or attempt.check is not None:
        return False
    return attempt.error is not None or attempt.status is None or attempt.status >= 400


def _wasted(record: ExchangeRecord) -> float | None:
    """Milliseconds that an answered exchange lost with attempts that failed; None where none did.

    What was said before a stream broke is not lost where another went on with it: the client waited until that began.
    """
    if record.outcome != "ok":
        return None
    lost: list[float] = []
    for place, each in enumerate(record.attempts):
        if _failed(each):
            following = record.attempts[place + 1] if place + 1 < len(record.attempts) else None
            went_on = following is not None and following.seam is not None and following.seam.after > 0
            lost.append((following.first_byte_ms if following and went_on else each.last_byte_ms) or 0.0)
    return sum(lost) if lost else None


def _why(record: ExchangeRecord) -> str:
    """Why an exchange was not served: what each attempt met, and why others were not made."""
    tried = [f"{each.target}: {each.error or each.status or 'no answer'}" for each in record.attempts]
    spared = [f"{name}: {why}" for name, why in record.rejections.items()]
    return "; ".join(dict.fromkeys([*tried, *spared])) or record.error or record.outcome


def counted(reasons: Counter[str]) -> tuple[Reason, ...]:
    """The most frequent reasons, and the others together."""
    common = reasons.most_common(MOST_REASONS)
    others = reasons.total() - sum(count for _, count in common)
    shown = [Reason(reason=reason, count=count) for reason, count in common]
    return (*shown, Reason(reason="other reasons", count=others)) if others else tuple(shown)


def percentile(values: Iterable[float], share: float) -> float | None:
    """The value that this share of the others does not exceed (nearest rank); None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 3)


def _added(values: Sequence[float]) -> Added | None:
    found = [percentile(values, share) for share in (0.5, 0.9, 0.99, 1.0)]
    p50, p90, p99, most = found
    if p50 is None or p90 is None or p99 is None or most is None:
        return None
    return Added(p50=p50, p90=p90, p99=p99, max=most)


def _slowest(values: Sequence[float | None]) -> float | None:
    """The largest; None where there is none, or one is not known."""
    known = [value for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None
