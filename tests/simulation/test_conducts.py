"""Those that are asked beside a slow one, and those that are asked after a poor answer."""

import numpy as np
import pytest

from freehold.routing.strategies import STRATEGIES
from freehold.simulation import kernel
from freehold.simulation.kernel import ANSWERED, CHECKED, ENTRY, IN_TURN, RACING, prepare
from freehold.simulation.outages import Incident
from freehold.simulation.replay import WEIGHTS
from freehold.simulation.trace import Records
from freehold.simulation.world import Place, Rules, World, world
from tests.simulation.worlds import START, TROUBLE, places, small, trace

QUIET = Rules(seed=1, failing=0.0, sigma=0.05)


def conducted(happened: World, rules: Rules) -> Records:
    """The outcome of asking in the order written, by the conduct that the rules name."""
    run = prepare(happened, rules, np.array(WEIGHTS), np.zeros(0, ENTRY), 2000)
    kernel.replay(STRATEGIES["failover"].score, run)
    assert np.all(run.standings["flying"] == 0)
    return run.outcome


def one_slow(*, passes: float = 1.0) -> list[Place]:
    """Two places of which the first is slow to begin."""
    return [
        Place(
            candidate=place.candidate,
            price=place.price,
            first_token=20.0 if number == 0 else 0.5,
            prefill=0.0,
            speed=1000.0,
            capacity=10_000,
            passes=passes,
        )
        for number, place in enumerate(places(2))
    ]


def slow_world() -> World:
    return world(trace(200), one_slow(), (), start=START)


def test_a_slow_one_is_overtaken_and_both_are_billed() -> None:
    alone = conducted(slow_world(), QUIET)
    raced = conducted(slow_world(), QUIET._replace(conduct=RACING, hedge_cost=1.0))
    hedged = raced["attempts"] == 2
    assert 0.5 < hedged.mean() <= 1.0
    assert (raced["target"][hedged] == 1).mean() > 0.9
    won = raced["target"] == 1
    assert np.all(raced["seconds"][won] < alone["seconds"][won])
    # The first twenty are hedged after the fixed time, those after them when it is slower than it usually is.
    assert raced["seconds"][hedged].min() > QUIET.hedge_after
    both = conducted(world(trace(200), one_slow()[1:], (), start=START), QUIET)
    assert np.all(raced["nano_usd"][hedged] > both["nano_usd"][hedged] * 0.99)
    assert raced["nano_usd"].sum() > alone["nano_usd"].sum()


def test_hedges_cost_no_more_than_their_share() -> None:
    none = conducted(slow_world(), QUIET._replace(conduct=RACING, hedge_cost=0.0))
    few = conducted(slow_world(), QUIET._replace(conduct=RACING, hedge_cost=0.1))
    many = conducted(slow_world(), QUIET._replace(conduct=RACING, hedge_cost=0.5))
    assert none["attempts"].max() == 1
    assert 0 < (few["attempts"] > 1).sum() < (many["attempts"] > 1).sum() < 200


def test_racing_keeps_what_failing_over_keeps() -> None:
    outcome = conducted(small(count=600), Rules(seed=1, conduct=RACING, hedge_cost=1.0))
    in_turn = conducted(small(count=600), Rules(seed=1, conduct=IN_TURN))
    assert (outcome["end"] == ANSWERED).mean() >= (in_turn["end"] == ANSWERED).mean() - 0.02
    assert outcome["attempts"].sum() >= in_turn["attempts"].sum()


@pytest.mark.parametrize(("passes", "attempts"), [(0.0, 2.0), (1.0, 1.0)])
def test_a_poor_answer_is_asked_again_of_the_next_and_paid_for(passes: float, attempts: float) -> None:
    happened = world(trace(100), one_slow(passes=passes), (), start=START)
    outcome = conducted(happened, QUIET._replace(conduct=CHECKED))
    assert outcome["attempts"].mean() == attempts
    assert np.all(outcome["end"] == ANSWERED)
    assert set(outcome["target"].tolist()) == {int(attempts) - 1}
    once = conducted(happened, QUIET)["nano_usd"].sum()
    assert (outcome["nano_usd"].sum() > once) == (attempts > 1)


def test_a_poor_answer_is_better_than_none() -> None:
    down = (Incident(0.0, 1e6, "provider:provider1", 1.0, 1.0),)
    happened = world(trace(100), one_slow(passes=0.0), down, start=START)
    outcome = conducted(happened, QUIET._replace(conduct=CHECKED))
    assert np.all(outcome["end"] == ANSWERED)
    assert set(outcome["target"].tolist()) == {0}


def test_a_check_keeps_every_request_too() -> None:
    happened = world(trace(400), places(passes=0.6), TROUBLE, start=START)
    outcome = conducted(happened, Rules(seed=1, conduct=CHECKED))
    assert set(outcome["end"].tolist()) <= {0, 1}
    assert np.all(outcome["seconds"] <= Rules().deadline + 1.0)
