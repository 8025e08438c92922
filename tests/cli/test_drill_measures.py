"""What a drill finds in exchange records: phases, delays, detection, recovery, cost, and what was not served."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser

import msgspec
import pytest

from freehold.cli.drill.measures import Measure, percentile
from freehold.cli.drill.page import page
from freehold.cli.drill.report import LoadReport, Moments, Reason, Report
from freehold.cli.drill.subject import Domain, domains, find
from freehold.cli.drill.text import lines
from freehold.cli.drill.thresholds import FIGURES, threshold
from freehold.cli.failure import CommandError
from freehold.exchange.record import AttemptRecord, ExchangeRecord, Outcome, SeamRecord
from freehold.server.targets import TargetState

FIRST, SECOND = "one/m", "two/m"
DOMAIN = Domain(domain="provider:one", targets=(FIRST, "one/spare"), models=("m",), stranded=("alone",))
MOMENTS = Moments(began=1000.0, out=1010.0, healed=1020.0, ended=1030.0)
BROKEN = {FIRST: f"broken: the breaker of {FIRST} is open"}


def good(target: str, milliseconds: float) -> AttemptRecord:
    return AttemptRecord(target=target, lane="tunnel", status=200, last_byte_ms=milliseconds)


def bad(target: str, milliseconds: float, error: str = "upstream_connect") -> AttemptRecord:
    return AttemptRecord(target=target, lane="tunnel", error=error, last_byte_ms=milliseconds)


def exchange(
    started: float,
    *attempts: AttemptRecord,
    outcome: Outcome = "ok",
    rejections: dict[str, str] | None = None,
    cost: int | None = 100,
    model: str = "m",
) -> ExchangeRecord:
    spent = sum(each.last_byte_ms or 0.0 for each in attempts) / 1000
    return ExchangeRecord(
        id=f"fx{started}",
        started=started,
        finished=started + spent,
        protocol="openai-chat",
        operation="generate",
        model=model,
        outcome=outcome,
        attempts=list(attempts),
        rejections=rejections or {},
        cost_nano_usd=cost,
    )


def measured(records: Sequence[ExchangeRecord], *, interrupted: bool = False) -> Report:
    measure = Measure(DOMAIN, MOMENTS)
    for record in records:
        measure.add(record)
    return measure.report(models={FIRST: ("m",)}, where="sandbox", how="outage", interrupted=interrupted, load=None)


OUTAGE = [
    exchange(1001.0, good(FIRST, 100.0)),
    exchange(1002.0, good(FIRST, 300.0)),
    exchange(1009.9, bad(FIRST, 200.0), good(SECOND, 100.0), cost=300),
    exchange(1010.5, bad(FIRST, 2.0), good(SECOND, 100.0), cost=300),
    exchange(1011.0, good(SECOND, 100.0), rejections=BROKEN, cost=300),
    exchange(1015.5, bad(FIRST, 4.0), good(SECOND, 100.0), cost=300),
    exchange(1021.0, good(SECOND, 100.0), rejections=BROKEN),
    exchange(1022.5, good(FIRST, 100.0)),
    exchange(1023.0, good(FIRST, 100.0)),
]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_whole_drill(*, backwards: bool) -> None:
    report = measured(OUTAGE[::-1] if backwards else OUTAGE)
    assert (report.exchanges, report.failed, report.delayed, report.in_flight) == (9, 0, 3, 1)
    assert {name: phase.exchanges for name, phase in report.phases.items()} == {"before": 2, "during": 4, "after": 3}
    assert report.phases["before"].p50_ms == pytest.approx(100.0, abs=0.01)
    assert report.phases["before"].p95_ms == pytest.approx(300.0, abs=0.01)
    assert report.added_ms is not None
    assert (report.added_ms.p50, report.added_ms.max) == (4.0, 200.0)
    assert report.first_failure_s == pytest.approx(0.1)
    assert report.detection_s == pytest.approx(0.402), "from 1010.1 to 1010.502; what came later was a probe"
    assert report.recovery_s == pytest.approx(2.5)
    (first, spare) = report.targets
    assert (first.served_before, first.failed_attempts, first.after_notice) == (2, 3, 1)
    assert (spare.served_before, spare.failed_attempts, spare.recovery_s) == (0, 0, None)
    assert report.cost is not None
    assert report.cost.change == pytest.approx(2.0), "three times as dear"
    assert sum(each.served for each in report.timeline) == 6
    assert sum(each.delayed for each in report.timeline) == 3
    assert report.unserved == ()


def test_what_was_not_served_says_why() -> None:
    failing = [
        exchange(1011.0 + each, bad(FIRST, 1.0), outcome="failed", rejections={SECOND: "context: too long"}, cost=None)
        for each in range(3)
    ]
    report = measured([*failing, exchange(1013.5, good(SECOND, 50.0), outcome="broken", model="n", cost=None)])
    assert (report.failed, report.delayed) == (4, 0)
    why = f"{FIRST}: upstream_connect; {SECOND}: context: too long"
    assert [(each.model, each.failed, each.reasons) for each in report.unserved] == [
        ("m", 3, (Reason(reason=why, count=3),)),
        ("n", 1, (Reason(reason=f"{SECOND}: 200", count=1),)),
    ]
    assert report.detection_s is None, "nobody left it alone"
    assert report.recovery_s is None
    assert any("too long" in line for line in lines(report))


def test_races_and_checks_are_no_failures() -> None:
    """A target that was outrun, or whose answer did not please, is not one that is gone."""
    lost = AttemptRecord(target=FIRST, lane="tunnel", last_byte_ms=50.0, lost=True)
    hedge = AttemptRecord(target=SECOND, lane="tunnel", status=200, last_byte_ms=20.0, hedge=True)
    wanting = AttemptRecord(target=FIRST, lane="tunnel", status=200, last_byte_ms=50.0, check="too short")
    report = measured([exchange(1011.0, lost, hedge), exchange(1012.0, wanting, good(SECOND, 10.0))])
    assert (report.delayed, report.failed, report.first_failure_s) == (0, 0, None)
    assert report.phases["during"].served == 2


def test_a_stream_that_another_goes_on_with_lost_only_the_pause() -> None:
    def after(characters: int) -> AttemptRecord:
        seam = SeamRecord(how="prefill" if characters else "afresh", after=characters)
        return AttemptRecord(
            target=SECOND, lane="translate", status=200, first_byte_ms=70.0, last_byte_ms=900.0, seam=seam
        )

    broke = AttemptRecord(target=FIRST, lane="tunnel", status=200, error="upstream_truncated", last_byte_ms=2000.0)
    report = measured([exchange(1011.0, broke, after(300)), exchange(1015.0, broke, after(0))])
    assert (report.delayed, report.failed) == (2, 0)
    assert report.added_ms is not None
    assert (report.added_ms.p50, report.added_ms.max) == (70.0, 2000.0)


def test_clients_that_leave_and_their_mistakes_blame_no_target() -> None:
    report = measured(
        [
            exchange(1011.0, bad(FIRST, 1.0, "client_gone"), outcome="client_gone"),
            exchange(1012.0, bad(FIRST, 1.0, "invalid_request"), outcome="refused"),
        ]
    )
    assert (report.failed, report.first_failure_s) == (0, None)
    assert (report.phases["during"].gone, report.phases["during"].refused) == (1, 1)


def test_the_cost_is_that_of_the_mix_there_was_before() -> None:
    """More requests for the cheap model during the outage are no saving."""
    report = measured(
        [
            exchange(1001.0, good(FIRST, 1.0), cost=1000, model="dear"),
            exchange(1002.0, good(FIRST, 1.0), cost=100, model="cheap"),
            exchange(1011.0, good(SECOND, 1.0), cost=1000, model="dear"),
            *(exchange(1012.0 + each / 10, good(SECOND, 1.0), cost=100, model="cheap") for each in range(9)),
            exchange(1013.0, good(SECOND, 1.0), cost=None, model="cheap"),
        ]
    )
    assert report.cost is not None
    assert report.cost.change == 0.0
    assert report.cost.unpriced == 1


def test_exchanges_of_another_time_do_not_count() -> None:
    report = measured([exchange(999.0, good(FIRST, 100.0)), exchange(1031.0, good(FIRST, 100.0))])
    assert report.exchanges == 0
    assert report.cost is None


@pytest.mark.parametrize(
    ("text", "crossed"),
    [
        ("failed>0", False),
        ("delayed >= 3", True),
        ("recovery_s>2.4", True),
        ("recovery_s>2.6", False),
        ("cost_change>1", True),
        ("added_p99_ms<1", False),
        ("stranded=1", True),
    ],
)
def test_a_threshold_is_crossed_or_not(text: str, crossed: bool) -> None:  # noqa: FBT001 -- a column of the table
    assert threshold(text).crossed(measured(OUTAGE)) is crossed


def test_what_did_not_recover_crosses_every_bound() -> None:
    report = measured(OUTAGE[:5])
    assert threshold("recovery_s>1000000").crossed(report)
    assert "never" in threshold("recovery_s>5").said(report)
    assert not threshold("recovery_s>1").crossed(measured([])), "there was nothing to recover"


@pytest.mark.parametrize("text", ["failed", "failed>", "failed>x", "loss>0", "failed!0", ""])
def test_what_is_no_threshold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=next(iter(FIGURES))):
        threshold(text)


def test_percentiles_are_readings() -> None:
    assert percentile([], 0.5) is None
    assert percentile([5.0, 1.0, 3.0], 0.5) == 3.0
    assert percentile([float(value) for value in range(1, 101)], 0.99) == 99.0


def test_a_domain_knows_whom_nobody_else_answers_for() -> None:
    targets = [
        TargetState(target="a/x", models=("shared", "lone"), state="ready", domains=("account:a", "cloud:c")),
        TargetState(target="b/x", models=("shared",), state="ready", domains=("account:b", "cloud:c")),
        TargetState(target="r/x", models=("own",), state="ready", domains=("account:r",)),
    ]
    stranded = {each.domain: each.stranded for each in domains(targets)}
    assert stranded == {"account:a": ("lone",), "cloud:c": ("shared", "lone"), "account:b": (), "account:r": ("own",)}
    assert find(targets, "cloud:c").accounts() == ("a", "b")
    with pytest.raises(CommandError, match="account:a"):
        find(targets, "acount:a")


class _Tags(HTMLParser):
    """What a page loads, and whether its elements close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in {"meta", "rect", "path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_needs_nothing_and_escapes_what_it_shows() -> None:
    evil = exchange(1011.0, bad(FIRST, 1.0, "<script>alert(1)</script>"), outcome="failed", model="<b>&")
    load = LoadReport(rate=1.0, clients=("openai-chat",), models=("m",), stream=False, asked=1, failed=0, problems=())
    text = page(msgspec.structs.replace(measured([*OUTAGE, evil]), load=load))
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.loads == []
    assert "<script" not in text
    assert "&lt;b&gt;&amp;" in text
    assert "http" not in text
    assert 'class="delayed"' in text
