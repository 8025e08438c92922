"""The road: one request from door to door. Read this first.

    glance ─▶ resolve ─▶ decide ─▶ for each place: choose a target ─▶ lane ─▶ losses allowed? ─▶ send
                                        ▲                                                          │
                        the next one, while nothing has reached the client ◀───────────────────────┘ failed, and not
                                                                                                     by the caller
    answer ◀─ encode ◀─ seal proofs ◀─ decode ◀─────────────────────────────────────────── answered
       └─ record

The places are asked in turn (`turns`), two at once where one is slow (`hedging`), or again where an answer is poor
(`cascade`). Everything that asks a model something goes down this road: every protocol, streams, embeddings, counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from freehold.errors import CallerError, FreeholdError, UpstreamError
from freehold.exchange.asking import ask_of, draw_of, no_target
from freehold.exchange.cascade import ascend
from freehold.exchange.conversation import conversation_of
from freehold.exchange.counting import answer_count, counts, may_count
from freehold.exchange.delivery import Delivery
from freehold.exchange.door import Arrival, ClientGone, Door
from freehold.exchange.effects import effects
from freehold.exchange.failures import failure_of, for_caller
from freehold.exchange.headers import said_in_header
from freehold.exchange.hedging import race
from freehold.exchange.joint import resumable
from freehold.exchange.lanes import (
    Glance,
    Prepared,
    encode,
    glance,
    refuse_state,
    take_options,
    tunnel,
    tunnels,
    with_model,
)
from freehold.exchange.leg import Leg, Opened
from freehold.exchange.media import FetchPolicy, fetchable, inline_media
from freehold.exchange.pace import Pace
from freehold.exchange.permission import check_model, refuse_steering, without_other_names
from freehold.exchange.proofs import Sealer, open_proofs
from freehold.exchange.record import MAX_NOTED, ExchangeRecord, Spool, add_up, shortened
from freehold.exchange.target import Found, Place, Resolver, Target
from freehold.exchange.turns import Turns, ask_in_turn
from freehold.ir import Failure, Generate, Language, Loss, Request
from freehold.protocols.codec import Stamp, Unsupported
from freehold.protocols.openai_responses import stateless
from freehold.routing.affinity import Affinity
from freehold.routing.commitments import Fills
from freehold.routing.decision import decide
from freehold.routing.features import COLD, COST, MARGINAL, UNASKED, Ask
from freehold.routing.health import Health, blame
from freehold.routing.hedges import Purses
from freehold.routing.retries import SHARE, Retries
from freehold.telemetry.counters import Counters

if TYPE_CHECKING:
    from freehold.exchange.joint import Joint
    from freehold.transport.client import Upstream

JITTER = 0.2
"""Part of a wait that is added at most, by chance."""

WAIT_AT_MOST = 5.0
"""Seconds that the road waits itself when every target asks to come back later; beyond that the caller is told."""


class Clock(Protocol):
    """The time of day and a clock that never goes back, both in seconds."""

    def time(self) -> float:
        """Unix time."""
        ...

    def monotonic(self) -> float:
        """For measuring; the event loop's clock."""
        ...


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the road needs of one configuration: immutable, numbered, exchanged whole on reload."""

    number: int
    resolver: Resolver
    max_attempts: int
    retry_share: float = SHARE
    fetch: FetchPolicy = FetchPolicy()
    max_answer: int = 256 * 1024 * 1024


class Road:
    """Takes exchanges from door to door."""

    def __init__(
        self,
        *,
        client: Upstream,
        spool: Spool,
        sealer: Sealer,
        languages: Mapping[str, Language],
        clock: Clock,
        new_id: Callable[[], str],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.client = client
        self.spool = spool
        self.sealer = sealer
        self.languages = languages
        self.clock = clock
        self.new_id = new_id
        self.sleep = sleep
        self.health = Health()
        self.retries = Retries()
        self.purses = Purses()
        self.affinity = Affinity()
        self.fills = Fills()
        self.counters = Counters()
        self.open = 0

    async def travel(self, arrival: Arrival, door: Door, snapshot: Snapshot) -> None:
        """Answer one request; whatever happens, the record is written. Raises bugs, ClientGone and CancelledError."""
        self.open += 1
        journey = Journey(self, arrival, door, snapshot)
        try:
            await journey.run()
        finally:
            self.open -= 1
            journey.finish()


class Journey:
    """One exchange under way."""

    __slots__ = (
        "_request",
        "_written",
        "answered",
        "arrival",
        "ask",
        "continues",
        "conversation",
        "door",
        "failed",
        "found",
        "now",
        "record",
        "road",
        "seen",
        "snapshot",
    )

    def __init__(self, road: Road, arrival: Arrival, door: Door, snapshot: Snapshot) -> None:
        self.road = road
        self.arrival = arrival
        self.door = door
        self.snapshot = snapshot
        self.now = road.clock.monotonic
        self.seen = Glance("", stream=False, fields={})
        self.ask = UNASKED
        """The request in numbers, once it has been decided upon; and who may answer it."""
        self.found: Found | None = None
        self.failed: FreeholdError | None = None
        """What the first round ended with, while there is a second one."""
        self._request: Request | None = None
        self._written = False
        self.conversation = b""
        """Its digest, where what providers' caches hold of it matters."""
        self.answered = False
        self.continues: Generate | None = None
        """The request, where another target goes on if the stream of its answer breaks."""
        self.record = ExchangeRecord(
            id=arrival.id,
            started=arrival.started,
            protocol=arrival.codec.name,
            operation=arrival.operation,
            project=arrival.project,
            key=arrival.key,
            snapshot=snapshot.number,
            parent=arrival.parent,
            region=arrival.region,
            tags=arrival.tags,
            attempts=[],
            outcome="client_gone",
        )

    @property
    def stamp(self) -> Stamp:
        """What encoders are given for ids and times."""
        return Stamp(id=self.arrival.id, created=int(self.arrival.started))

    def request(self) -> Request:
        """The request in the canonical language, decoded at the first call. Raises CallerError, Unsupported."""
        if self._request is None:
            self._request = take_options(self.arrival.codec.decode_request(self.arrival.wire))
            refuse_steering(self._request)
        return self._request

    def decoded(self) -> Request | None:
        """The request if somebody had to decode it."""
        return self._request

    def asked(self, prepared: Prepared) -> Request | None:
        """The request as the target was asked, by which its codec reads the answer; None where it needs none."""
        if prepared.request is None and prepared.target.codec.manners.read_by_request:
            return with_model(self.request(), prepared.target.model)
        return prepared.request

    async def run(self) -> None:
        """Answer, with an error in the caller's own protocol where there is no other answer."""
        try:
            await self._ask()
        except Unsupported as error:
            self._refuse(CallerError(str(error), code="unsupported_operation", kind="unsupported"))
        except FreeholdError as error:
            self._refuse(error)
        except ClientGone:
            raise
        except Exception:
            # A bug of ours: it goes on to whoever logs it, but the caller is told in words they understand.
            self.record.outcome, self.record.error = "failed", "internal_error"
            if not self.record.status:
                self.respond_failure(failure_of(_our_fault()))
            raise

    def finish(self) -> None:
        """Write the record, once."""
        if self._written:
            return
        self._written = True
        self.record.finished = self.road.clock.time()
        add_up(self.record)
        record = self.record
        if record.losses:
            # A copy: the answer's header still counts all of them.
            record = msgspec.structs.replace(record, losses=shortened(record.losses))
        self.road.spool.write(record)
        self._count()

    def _count(self) -> None:
        record, counters = self.record, self.road.counters
        counters.add("exchanges_total", (("protocol", record.protocol), ("outcome", record.outcome)))
        for attempt in record.attempts:
            status = "none" if attempt.status is None else str(attempt.status)
            counters.add("attempts_total", (("target", attempt.target), ("status", status)))
        if record.usage is not None and record.operation != "count":
            counters.add("input_tokens_total", (), record.usage.input_tokens or 0)
            counters.add("output_tokens_total", (), record.usage.output_tokens or 0)
        if record.cost_nano_usd is not None:
            counters.add("cost_usd_total", (), record.cost_nano_usd / 1e9)

    def _refuse(self, error: FreeholdError) -> None:
        failure = failure_of(error)
        by_caller = isinstance(error, CallerError) or blame(error.kind) == "caller"
        self.record.outcome = "refused" if by_caller else "failed"
        self.record.error = error.code[:MAX_NOTED]
        self.record.status = failure.status
        self.respond_failure(failure)

    def respond_failure(self, failure: Failure) -> None:
        """An error answer in the caller's protocol."""
        attempts = self.record.attempts
        target = attempts[-1].target if attempts else ""
        id_header = self.arrival.codec.manners.request_id
        wire = self.arrival.codec.encode_error(for_caller(failure, target), self.stamp)
        headers = [
            *(pair for pair in wire.headers if pair[0] != id_header),
            (id_header, self.arrival.id),
            ("freehold-exchange", self.arrival.id),
            ("freehold-attempts", str(len(attempts))),
        ]
        if target:
            headers.append(("freehold-target", said_in_header(target)))
        self.record.status = wire.status
        self.finish()
        self.door.respond(wire.status, headers, wire.body)

    def enter(self) -> Found:
        """Read what has to be known of every request, and find who may answer. Raises CallerError."""
        arrival = self.arrival
        self.seen = seen = glance(arrival.codec.manners, arrival.wire)
        self.record.model = seen.model[:200]
        self.record.stream = seen.stream
        refuse_state(arrival.codec, seen)
        if arrival.models:
            check_model(arrival.models, seen.model)
            self.arrival = arrival = msgspec.structs.replace(
                arrival, wire=without_other_names(arrival.wire, seen.fields)
            )
        found = self.snapshot.resolver.resolve(seen.model)
        return found if arrival.strategy is None else found.by(arrival.strategy)

    async def _ask(self) -> None:
        found = self.enter()
        if self.arrival.operation == "count":
            await self._ask_for_count(found)
            return
        if found.continues and self.seen.stream and self.arrival.operation == "generate":
            self.continues = self._continuable()
        places = self._decide(found)
        failed = await self._try_all(places)
        if failed is None:
            return
        after = failed.retry.after
        if after is not None and after <= WAIT_AT_MOST and self.may_try(after):
            self.failed = failed
            # All who were told the same would come back at once.
            await self.road.sleep(after * (1.0 + JITTER * draw_of(self.arrival.id)))
            failed = await self._try_all(places)
        if failed is not None:
            raise failed

    def _continuable(self) -> Generate | None:
        """The request, if its answer may be put together from several; one that we can not read may not."""
        try:
            request = self.request()
        except (CallerError, Unsupported):
            return None
        if isinstance(request, Generate) and resumable(request) and effects(request) is None:
            return request
        return None

    def pace(self) -> Pace | None:
        """What measures a stream's speed; None where it may be as slow as it likes."""
        found = self.found
        return Pace(found.floor, found.window) if found is not None and found.floor else None

    async def _ask_for_count(self, found: Found) -> None:
        """Whoever would be asked counts; where they can not, or not just now, we do."""
        try:
            places = self._decide(found)
        except FreeholdError:
            # None may be asked now, or what is to be counted is too long for all of them.
            await answer_count(self, found.places[0])
            return
        if counts(places[0]):
            failed = await self._try_all(places)
            if failed is None:
                return
            if not may_count(failed):
                raise failed
        await answer_count(self, places[0])

    def measure(self, found: Found) -> Ask:
        """The request in numbers, with what the candidates' caches and commitments hold for it."""
        seen, arrival = self.seen, self.arrival
        warmth = COLD
        if len(found.places) > 1 and COST in found.rule.strategy.reads:
            self.conversation = conversation_of(arrival, seen)
            if self.conversation:
                warmth = self.road.affinity.expect(self.conversation, found.candidates, self.now())
        free: dict[str, float] = {}
        if MARGINAL in found.rule.strategy.reads:
            covering = [each.commitment for each in found.candidates if each.commitment is not None]
            free = self.road.fills.free(covering, self.now(), arrival.started)
        return ask_of(seen, arrival, found, self.request, warmth=warmth, free=free)

    def _decide(self, found: Found) -> list[Place]:
        """The places to ask, best first; what speaks against the others is on the record. Raises if none is left."""
        record = self.record
        self.found = found
        self.ask = ask = self.measure(found)
        standings = self.road.health.standings(found.candidates, self.now())
        decision = decide(ask, found.candidates, standings, found.rule)
        order = decision.order()
        for rejection in decision.rejections():
            record.rejections[rejection.target] = f"{rejection.reason}: {rejection.evidence}"
        if len(found.places) > 1:
            record.strategy = decision.strategy
            record.scores = decision.scores(found.rule.strategy)
        if not order:
            raise no_target(decision)
        if len(order) == len(found.places) == 1:
            return list(found.places)
        places = {place.name: place for place in found.places}
        return [places[name] for name in order]

    def may_try(self, wait: float = 0.0) -> bool:
        """Whether attempts and time are left, after so many seconds."""
        tried = len(self.record.attempts)
        return tried < self.snapshot.max_attempts and self.now() + wait < self.arrival.deadline

    async def _try_all(self, places: Sequence[Place]) -> FreeholdError | None:
        """Ask as the strategy has it, until one answers (None) or the caller is to blame; else the error to report."""
        found = self.found
        if found is not None and len(places) > 1 and self.arrival.operation != "count":
            match found.rule.strategy.conduct:
                case "in-turn":
                    pass
                case "racing":
                    return await race(self, found, places)
                case "checked":
                    return await ascend(self, found, places)
        return await ask_in_turn(self, Turns(self, places))

    async def fetched_media(self) -> bool:
        """Whether media that the request names by URL have now been put into it, so that more targets can take it."""
        request, policy = self._request, self.snapshot.fetch
        if not isinstance(request, Generate) or not fetchable(request, policy):
            return False
        self._request = await inline_media(request, policy, self.road.client, self.arrival.deadline)
        return True

    def prepare(self, target: Target, joint: Joint | None = None) -> Prepared:
        """The request as a target is asked it, or asked to go on. Raises Unsupported, CallerError."""
        arrival = self.arrival
        seen = self.seen
        # Only Gemini's clients choose a framing; upstream it is always server-sent events.
        varies = seen.stream and arrival.codec.name == "gemini-generate"
        framing = arrival.codec.framing(self.request()) if varies else None
        if joint is None and tunnels(arrival.codec, framing, target, arrival.wire, seen):
            prepared = tunnel(arrival.wire, seen, target, arrival.operation)
            if prepared is not None:
                return prepared
        request = self.request()
        losses: tuple[Loss, ...] = ()
        if isinstance(request, Generate):
            if joint is not None:
                request = joint.resume(request, target).request
            opened = open_proofs(
                request,
                target=target.codec.language,
                maker=target.maker,
                sealer=self.road.sealer,
                project=arrival.project,
                languages=self.road.languages,
            )
            request, losses = opened.request, opened.losses
            if seen.stream and not request.stream_usage:
                request = msgspec.structs.replace(request, stream_usage=True)
            # Azure's codec speaks Responses to those who did.
            spoken = request.origin if target.codec.name == "azure-openai" else target.codec.name
            if spoken == "openai-responses":
                request = stateless(request)
        return encode(request, target, arrival.codec, losses)

    async def deliver(self, leg: Leg, opened: Opened, turns: Turns) -> None:
        """Pass an answer on. Raises UpstreamError while nothing has reached the client.

        Where its stream breaks, the model may have those whose turn would be next go on.
        """
        delivery = Delivery(self, leg, turns)
        try:
            await delivery.deliver(opened)
        except UpstreamError as error:
            await delivery.leg.fail(error)
            raise
        except BaseException:
            await delivery.leg.cut()
            raise
        delivery.leg.release()


def _our_fault() -> FreeholdError:
    return FreeholdError("an internal error; the server's log has it", code="internal_error", kind="internal")
