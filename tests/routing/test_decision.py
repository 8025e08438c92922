"""The laws of a decision: what is rejected is never chosen, the same gives the same, and the explanation adds up."""

from __future__ import annotations

import math
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.config.values import Strategy as StrategyName
from freehold.providers.prices import Period, Price, Rates, Row, Step
from freehold.routing.commitments import Spend, Throughput
from freehold.routing.decision import Accepted, Rejection, Rule, decide
from freehold.routing.features import NAMES, Ask, Candidate, Standing, Warmth
from freehold.routing.strategies import STRATEGIES
from freehold.routing.tariffs import Tariff, tariff_of

MILLION = 1_000_000


def priced(dollars_in: float, dollars_out: float, steps: tuple[Step, ...] = (), read: float | None = None) -> Tariff:
    """A tariff from USD a million tokens; `read` is what one from the cache costs."""
    cached = None if read is None else round(read * MILLION)
    rates = Rates(input=round(dollars_in * MILLION), output=round(dollars_out * MILLION), cache_read=cached)
    return tariff_of(Row(periods=(Period(price=Price(base=rates, steps=steps)),), version="test"))


PRICES = st.none() | st.builds(priced, st.floats(0.01, 100), st.floats(0.01, 100))
NAMED = [f"account{number}/model" for number in range(5)]
KINDS = st.frozensets(st.sampled_from(["image", "pdf", "audio", "video"]))
RULES = st.builds(
    Rule,
    strategy=st.sampled_from(list(STRATEGIES.values())),
    weights=st.tuples(*[st.floats(0, 5)] * 3),
)
ASKS = st.builds(
    Ask,
    text=st.floats(0, 2_000_000),
    media=st.floats(0, 10_000),
    judged=st.booleans(),
    output_tokens=st.floats(0, 5000),
    kinds=KINDS,
    draw=st.floats(0, 1, exclude_max=True),
    warmth=st.builds(
        Warmth,
        cached=st.dictionaries(st.sampled_from(NAMED), st.floats(0, 300_000)),
        again=st.dictionaries(st.sampled_from(NAMED), st.floats(0, 1)),
        ahead=st.floats(1, 10),
    ),
    free=st.dictionaries(st.sampled_from(NAMED), st.floats(-10_000, 10_000)),
)
STANDINGS = st.builds(
    Standing,
    disabled=st.sampled_from(["", "", "maintenance"]),
    broken=st.sampled_from(["", "", "region:bedrock/us-east-1"]),
    cooling=st.booleans(),
    first_token=st.none() | st.floats(0.01, 30),
    speed=st.none() | st.floats(1, 500),
    errors=st.floats(0, 1),
)
MEASURED = st.builds(Standing, first_token=st.floats(0.01, 30), speed=st.floats(1, 500), errors=st.floats(0, 1))


def throughputs(name: str) -> st.SearchStrategy[Throughput]:
    return st.builds(
        Throughput, name=st.just(name), tokens_per_minute=st.floats(1, 1e6), output_weight=st.floats(0.5, 8)
    )


def spends(name: str) -> st.SearchStrategy[Spend]:
    return st.builds(Spend, name=st.just(name), usd=st.floats(1, 1e6), start=st.just(0.0), until=st.just(1e9))


@st.composite
def fields(draw: st.DrawFn, least: int = 1) -> tuple[list[Candidate], dict[str, Standing]]:
    """Candidates of different names, and how some of them are doing."""
    count = draw(st.integers(least, 5))
    candidates = [
        Candidate(
            name=NAMED[number],
            weight=draw(st.floats(0.1, 10)),
            context=draw(st.none() | st.integers(1000, 400_000)),
            takes=draw(st.just(frozenset[str]()) | KINDS.map(lambda kinds: kinds | {"text"})),
            tariff=draw(PRICES),
            commitment=draw(st.none() | throughputs(NAMED[number]) | spends(NAMED[number])),
            per_byte=draw(st.floats(0.2, 0.5)),
        )
        for number in range(count)
    ]
    standings = {candidate.name: draw(STANDINGS) for candidate in candidates if draw(st.booleans())}
    return candidates, standings


def test_every_strategy_can_be_configured_and_none_else() -> None:
    assert set(get_args(StrategyName)) == set(STRATEGIES)


@given(ASKS, fields(), RULES)
def test_everybody_gets_a_verdict_and_what_is_rejected_is_never_chosen(
    ask: Ask, field: tuple[list[Candidate], dict[str, Standing]], rule: Rule
) -> None:
    candidates, standings = field
    decision = decide(ask, candidates, standings, rule)
    assert [verdict.target for verdict in decision.verdicts] == [candidate.name for candidate in candidates]
    assert not set(decision.order()) & {rejection.target for rejection in decision.rejections()}
    assert len(decision.order()) + len(decision.rejections()) == len(candidates)


@given(ASKS, fields(), RULES)
def test_an_operators_word_is_final_and_everything_else_bends_when_nobody_is_left(
    ask: Ask, field: tuple[list[Candidate], dict[str, Standing]], rule: Rule
) -> None:
    candidates, standings = field
    decision = decide(ask, candidates, standings, rule)
    disabled = {name for name, standing in standings.items() if standing.disabled}
    accepted = [verdict for verdict in decision.verdicts if isinstance(verdict, Accepted)]
    assert not disabled & {verdict.target for verdict in accepted}
    if len(disabled) < len(candidates):
        reasons = {verdict.reason for verdict in decision.rejections()}
        assert accepted or "disabled" in reasons
    if any(verdict.forced for verdict in accepted):
        assert all(verdict.forced for verdict in accepted)


@given(ASKS, fields(), RULES)
def test_the_same_gives_the_same(ask: Ask, field: tuple[list[Candidate], dict[str, Standing]], rule: Rule) -> None:
    candidates, standings = field
    assert decide(ask, candidates, standings, rule) == decide(ask, candidates, dict(standings), rule)


@given(ASKS, fields(), RULES)
def test_the_explanation_recomputes_to_the_decision(
    ask: Ask, field: tuple[list[Candidate], dict[str, Standing]], rule: Rule
) -> None:
    candidates, standings = field
    decision = decide(ask, candidates, standings, rule)
    accepted = [verdict for verdict in decision.verdicts if isinstance(verdict, Accepted)]
    again = sorted(
        accepted, key=lambda verdict: (rule.strategy.score(verdict.features, rule.weights), verdict.features[0])
    )
    assert [verdict.target for verdict in again] == decision.order()
    for verdict in accepted:
        said = {"score": verdict.score} | {NAMES[place]: verdict.features[place] for place in rule.strategy.reads}
        assert verdict.terms(rule.strategy) == {name: value for name, value in said.items() if value != math.inf}


def test_rejections_carry_their_evidence() -> None:
    small = Candidate(name="one/small", context=8000, takes=frozenset({"text"}))
    others = [Candidate(name=f"two/{name}", takes=frozenset({"text", "image"})) for name in ("a", "b", "c", "d")]
    standings = {
        "two/a": Standing(disabled="drill"),
        "two/b": Standing(broken="account:two"),
        "two/c": Standing(cooling=True),
    }
    rule = Rule(strategy=STRATEGIES["failover"])
    decision = decide(Ask(text=90_000.0, judged=True), [small, *others], standings, rule)
    assert decision.order() == ["two/d"]
    assert decision.rejections() == [
        Rejection("one/small", "context", "at least 9000 tokens, and a window of 8000"),
        Rejection("two/a", "disabled", "drill"),
        Rejection("two/b", "broken", "the breaker of account:two is open"),
        Rejection("two/c", "cooling", "it asked to be left alone (Retry-After)"),
    ]
    seen = decide(Ask(kinds=frozenset({"image", "pdf"})), [small, others[0], Candidate(name="any/m")], {}, rule)
    assert [(rejection.reason, rejection.evidence) for rejection in seen.rejections()] == [
        ("modality", "does not take image, pdf"),
        ("modality", "does not take pdf"),
    ]


@given(ASKS, fields(least=2), st.sampled_from(["cheapest", "fastest", "balanced", "sticky", "committed"]), st.data())
def test_a_dominated_target_never_changes_the_choice(
    ask: Ask, field: tuple[list[Candidate], dict[str, Standing]], strategy: str, data: st.DataObject
) -> None:
    candidates = field[0]
    standings = {each.name: data.draw(MEASURED) for each in candidates}
    rule = Rule(strategy=STRATEGIES[strategy])
    before = decide(ask, candidates, standings, rule)
    best = next(each for each in candidates if each.name == before.order()[0])
    standing = standings[best.name]
    worse = msgspec.structs.replace(best, name="new/worse", tariff=_times(best.tariff, data.draw(st.floats(1.01, 9))))
    slower = msgspec.structs.replace(
        standing,
        first_token=(standing.first_token or 0) * 1.1,
        speed=(standing.speed or 0) * 0.9,
        errors=min(standing.errors * 1.1, 1.0),
    )
    after = decide(ask, [*candidates, worse], {**standings, worse.name: slower}, rule)
    assert after.order()[0] == before.order()[0]


def _times(tariff: Tariff | None, factor: float) -> Tariff | None:
    """The same tariff, so many times as dear."""
    if tariff is None:
        return None
    return Tariff(
        tuple(
            (period, tuple((above, fresh * factor, read * factor, said * factor) for above, fresh, read, said in rungs))
            for period, rungs in tariff.ladders
        )
    )


@given(
    ASKS, st.floats(0.01, 50), st.floats(1.0, 10.0), st.sampled_from(["cheapest", "balanced", "sticky", "committed"])
)
def test_a_dearer_price_never_makes_a_target_more_wanted(
    ask: Ask, dollars: float, factor: float, strategy: str
) -> None:
    here = Candidate(name="a/m", tariff=priced(dollars, dollars))
    there = Candidate(name="b/m", tariff=priced(dollars * factor, dollars * factor))
    decision = decide(ask, [there, here], {}, Rule(strategy=STRATEGIES[strategy]))
    scores = {verdict.target: verdict.score for verdict in decision.verdicts if isinstance(verdict, Accepted)}
    assert scores["a/m"] <= scores["b/m"]


@given(ASKS, st.floats(0.01, 5), st.floats(1.0, 10.0), st.sampled_from(["fastest", "balanced"]))
def test_a_slower_target_is_never_more_wanted(ask: Ask, seconds: float, factor: float, strategy: str) -> None:
    candidates = [Candidate(name="slow/m"), Candidate(name="quick/m")]
    standings = {
        "slow/m": Standing(first_token=seconds * factor, speed=50.0),
        "quick/m": Standing(first_token=seconds, speed=50.0),
    }
    decision = decide(ask, candidates, standings, Rule(strategy=STRATEGIES[strategy]))
    scores = {verdict.target: verdict.score for verdict in decision.verdicts if isinstance(verdict, Accepted)}
    assert scores["quick/m"] <= scores["slow/m"]


def test_cheapest_knows_the_price_step_of_long_inputs() -> None:
    step = Step(above=272_000, rates=Rates(input=2 * MILLION, output=15 * MILLION))
    stepped = Candidate(name="stepped/m", tariff=priced(1, 10, (step,)))
    flat = Candidate(name="flat/m", tariff=priced(1.5, 10))
    rule = Rule(strategy=STRATEGIES["cheapest"])
    assert decide(Ask(text=4 * 272_000.0), [flat, stepped], {}, rule).order()[0] == "stepped/m"
    assert decide(Ask(text=4 * 272_001.0), [flat, stepped], {}, rule).order()[0] == "flat/m"


def test_weights_are_shares_of_the_traffic() -> None:
    candidates = [Candidate(name="a/m", weight=3.0), Candidate(name="b/m", weight=1.0)]
    rule = Rule(strategy=STRATEGIES["weighted"])
    draws = 4000
    first = [decide(Ask(draw=number / draws), candidates, {}, rule).order()[0] for number in range(draws)]
    assert first.count("a/m") / draws == pytest.approx(0.75, abs=0.03)


def test_fastest_asks_the_unmeasured_now_and_then() -> None:
    candidates = [Candidate(name="known/m"), Candidate(name="new/m")]
    standings = {"known/m": Standing(first_token=0.1, speed=100.0)}
    rule = Rule(strategy=STRATEGIES["fastest"])
    draws = 2000
    first = [decide(Ask(draw=number / draws), candidates, standings, rule).order()[0] for number in range(draws)]
    assert 0.01 < first.count("new/m") / draws < 0.03
