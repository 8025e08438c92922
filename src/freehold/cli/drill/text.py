"""A drill's report in words, for a terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator

from freehold.cli.drill.report import Report, TargetReport


def facts(report: Report) -> Iterator[tuple[str, str]]:
    """The figures that decide, each with its name."""
    yield "failed", f"{report.failed} of {_since(report)} exchanges since the outage began"
    yield "delayed", _delayed(report)
    yield "noticed", _noticed(report)
    yield "recovered", _recovered(report)
    if report.cost is None:
        yield "cost", "not known: no model was answered at a known price both before and during the outage"
    else:
        cost = report.cost
        change = "" if cost.change is None else f", {cost.change:+.1%}"
        yield "cost", f"{cost.before_usd:.6f} USD an answer before, {cost.during_usd:.6f} during{change}"
    if report.load is not None:
        load = report.load
        seen = f"{load.asked} asked at {load.rate:g}/s by {', '.join(load.clients)}; {load.failed} saw an error"
        yield "own clients", seen


def unserved(report: Report) -> Iterator[tuple[str, str]]:
    """What could not be served, and why: a model and a sentence each."""
    for each in report.unserved:
        for reason in each.reasons:
            yield each.model, f"{reason.count} failed: {reason.reason}"
    for model in report.stranded:
        yield model, "has no target outside of the domain"


def lines(report: Report) -> Iterator[str]:
    """The whole report."""
    early = ", ended early" if report.interrupted else ""
    yield f"{report.domain}, {report.how} for {report.seconds:.1f} s ({report.where}{early})"
    for name, said in facts(report):
        yield f"  {name:<12} {said}"
    yield "targets"
    for target in report.targets:
        yield f"  {target.target}: {in_words(target)}"
    found = list(unserved(report))
    if found:
        yield "not served"
        for model, why in found:
            yield f"  {model}: {why}"


def in_words(target: TargetReport) -> str:
    """What became of one target."""
    if not target.served_before and not target.failed_attempts:
        return "was not in use"
    said = [f"{target.served_before} answers before"]
    if target.failed_attempts:
        late = f", {target.after_notice} of them once that was known" if target.after_notice else ""
        said.append(f"{target.failed_attempts} attempts failed{late}")
    if target.detection_s is not None:
        said.append(f"left alone {_milliseconds(target.detection_s)} after the first")
    if target.recovery_s is not None:
        said.append(f"back {target.recovery_s:.2f} s after the healing")
    return ", ".join(said)


def _since(report: Report) -> int:
    return sum(report.phases[name].exchanges for name in ("during", "after"))


def _delayed(report: Report) -> str:
    said = f"{report.delayed}, with {report.in_flight} in flight when it began"
    added = report.added_ms
    if added is None:
        return said
    return f"{said}; {added.p50:.0f} ms more at the median, {added.p99:.0f} at 99 %, {added.max:.0f} at most"


def _noticed(report: Report) -> str:
    if report.first_failure_s is None:
        return "nothing failed"
    first = f"the first attempt failed after {_milliseconds(report.first_failure_s)}"
    if report.detection_s is None:
        return f"{first}; not every target was left alone"
    return f"{first}, {_milliseconds(report.detection_s)} later nobody was sent there any more"


def _recovered(report: Report) -> str:
    if report.recovery_s is not None:
        return f"{report.recovery_s:.2f} s after the healing"
    if any(target.served_before for target in report.targets):
        return "not while it was watched"
    return "nothing to recover: the domain was not in use"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
