"""A request's way up to the moment of sending, for every place that could answer; nothing is sent or recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

import msgspec

from freehold.errors import CallerError
from freehold.exchange.lanes import Lane, choose_target, refused_losses
from freehold.exchange.media import fetchable
from freehold.exchange.road import Journey, Road, Snapshot
from freehold.ir import Generate, Loss
from freehold.protocols.codec import Operation, Unsupported
from freehold.routing.decision import Accepted, decide
from freehold.routing.features import COST, WELL, Ask, Candidate, Standing, features

if TYPE_CHECKING:
    from freehold.exchange.door import Arrival, Sink
    from freehold.exchange.target import Place


class Prospect(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of the request at one target.

    `rank` is its turn, from 1; None: it would not be asked, for the decision's `reason`, or for an `obstacle` to saying
    the request there. `forced`: asked only because nobody else could be. `score` has the numbers of the decision,
    `expected_usd` is the cost of the answer that it expects. `fetches`: media would be fetched and put into the request
    first, so that fewer losses are left. `protocol` and `lane` are None where it can not be said.
    """

    target: str
    rank: int | None = None
    reason: str | None = None
    evidence: str = ""
    forced: bool = False
    score: dict[str, float] = {}
    expected_usd: float | None = None
    protocol: str | None = None
    lane: Lane | None = None
    losses: tuple[Loss, ...] = ()
    fetches: bool = False
    obstacle: str = ""


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of a request. `chosen` is who would be asked first, None if nobody; `ask` is how it was judged.

    `counted_here`: it asks for a count of tokens that no target counts, so that Freehold would.
    """

    model: str
    protocol: str
    operation: Operation
    stream: bool
    strategy: str
    weights: tuple[float, float, float]
    ask: Ask
    targets: tuple[Prospect, ...]
    chosen: str | None
    counted_here: bool = False


def rehearse(
    road: Road, arrival: Arrival, snapshot: Snapshot, standings: Mapping[str, Standing] | None = None
) -> Rehearsal:
    """Every place's prospect, the first asked first; `standings` are a running server's, else this process's own.

    Raises CallerError and Unsupported for a request that nobody would be asked with.
    """
    journey = Journey(road, arrival, _Shut(), snapshot)
    found = journey.enter()
    ask = journey.measure(found)
    if standings is None:
        standings = road.health.standings(found.candidates, journey.now())
    decision = decide(ask, found.candidates, standings, found.rule)
    scores = decision.scores(found.rule.strategy)
    places = {place.name: place for place in found.places}
    order = decision.order()
    rejected = {each.target: each for each in decision.rejections()}
    forced = {each.target for each in decision.verdicts if isinstance(each, Accepted) and each.forced}
    prospects: list[Prospect] = []
    rank = 0
    for name in (*order, *rejected):
        # On the road the caller's mistake ends everything, unless somebody was asked before it was seen.
        place, first = places[name], rank == 0 and name not in rejected
        prospect = _prospect(journey, place, scores.get(name, {}), _expected(place.candidate, ask), first=first)
        if (against := rejected.get(name)) is not None:
            prospect = msgspec.structs.replace(prospect, reason=against.reason, evidence=against.evidence)
        elif not prospect.obstacle:
            rank += 1
            prospect = msgspec.structs.replace(prospect, rank=rank, forced=name in forced)
        prospects.append(prospect)
    chosen = next((each.target for each in prospects if each.rank == 1), None)
    return Rehearsal(
        model=journey.seen.model,
        protocol=arrival.codec.name,
        operation=arrival.operation,
        stream=journey.seen.stream,
        strategy=decision.strategy,
        weights=found.rule.weights,
        ask=ask,
        targets=tuple(prospects),
        chosen=chosen,
        counted_here=arrival.operation == "count" and chosen is None,
    )


def _prospect(
    journey: Journey, place: Place, score: dict[str, float], expected: float | None, *, first: bool
) -> Prospect:
    """How the request would be said at a place, and what is in the way of it. Raises CallerError for the first."""
    arrival = journey.arrival
    try:
        target = choose_target(place, arrival.codec, journey.request, arrival.operation)
        prepared = journey.prepare(target)
    except (Unsupported, CallerError) as error:
        if first and isinstance(error, CallerError):
            raise
        return Prospect(target=place.name, score=score, expected_usd=expected, obstacle=str(error))
    lost = refused_losses(prepared.losses, arrival.strictness)
    fetches = bool(lost) and _fetches(journey)
    obstacle = "" if fetches or not lost else f"would lose {lost[0].path} ({lost[0].effect})"
    return Prospect(
        target=place.name,
        score=score,
        expected_usd=expected,
        protocol=prepared.target.codec.name,
        lane=prepared.lane,
        losses=prepared.losses,
        fetches=fetches,
        obstacle=obstacle,
    )


def _fetches(journey: Journey) -> bool:
    request = journey.decoded()
    return isinstance(request, Generate) and fetchable(request, journey.snapshot.fetch)


def _expected(candidate: Candidate, ask: Ask) -> float | None:
    """USD that the decision would expect, whether its strategy minds or not."""
    usd = features(0, candidate, WELL, ask, (COST,))[COST]
    return usd if math.isfinite(usd) else None


class _Shut:
    """A door that nothing may leave by."""

    def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> NoReturn:
        """Never called."""
        del status, headers, body
        raise RuntimeError("a rehearsal answered somebody")

    async def start(self, status: int, headers: Sequence[tuple[str, str]]) -> Sink:
        """Never called."""
        del status, headers
        raise RuntimeError("a rehearsal answered somebody")
