"""The loop of a replay: requests come, are decided, tried, answered or not, in the order of time.

    arrival ─▶ decide ─▶ ask ─▶ answered ─▶ (check) ─▶ done
                 ▲        ▲ └─▶ failed ─▶ the next, else wait and go round once more
                 │        └──────────────────┘
                 └── the client asks again, while it has patience

Numbers and arrays only, so that numba can compile it; as plain Python it is the oracle of what was compiled. Its rules
are those of `exchange.road`, `routing.decision` and `routing.health`, and a test plays what it did through them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from freehold.routing.features import COST, DRAW, ERRORS, FIRST_TOKEN, NAMES, ORDER, OUTPUT, SPEED, WEIGHT, chance_of
from freehold.routing.hedges import MOST_SAVED
from freehold.simulation import chance
from freehold.simulation.bills import nano_usd
from freehold.simulation.breakers import (
    CALLER,
    RATE_LIMIT,
    TARGET,
    answered,
    asked,
    closed,
    failed,
    may_be_asked,
    unknown,
)
from freehold.simulation.budgets import full, take
from freehold.simulation.chance import DRAWS, FAILS, FIRST, SETTLES, STALLS, spread, uniform
from freehold.simulation.events import EVENT, pop, push
from freehold.simulation.percentiles import BUCKETS, add, at
from freehold.simulation.trace import Floats, Integers, Item, Records
from freehold.simulation.world import Rules, World

IN_TURN: Final = 0
RACING: Final = 1
CHECKED: Final = 2
"""How those are asked whom a strategy has put in order."""

OPEN: Final = -1
"""A request of which nothing is known yet; none is, after a replay."""
FAILED: Final = 0
ANSWERED: Final = 1

PACE: Final = chance.SPEED

OUTCOME: Final = np.dtype(
    [
        ("end", np.int64),
        ("seconds", np.float64),
        ("nano_usd", np.int64),
        ("attempts", np.int64),
        ("target", np.int64),  # who answered; -1: nobody
    ]
)
"""What became of a request."""

DECIDED: Final = 0
"""Kinds of entries in a diary. Decided: `target` are those to be asked, as digits to the base 64, the first one last,
each plus one; `one` is the exchange's chance."""
ASKED: Final = 1
REPLIED: Final = 2
"""Answered: `one` and `other` are first token and speed."""
BROKE: Final = 3
"""Failed: `one` and `other` are the kind of failure and Retry-After."""
ENTRY: Final = np.dtype(
    [
        ("kind", np.int64),
        ("request", np.int64),
        ("target", np.int64),
        ("time", np.float64),
        ("one", np.float64),
        ("other", np.float64),
    ]
)
"""One thing that happened, in a diary: for tests, and for the curious."""
_DIGIT: Final = 64

_SLOT: Final = np.dtype(
    [
        ("request", np.int64),
        ("serial", np.int64),
        ("prices", np.int64),  # which apply: those of its arrival
        ("may", np.int64),  # how many may be asked
        ("next", np.int64),  # which of them is next
        ("tried", np.int64),  # attempts of this exchange
        ("round", np.int64),  # of the road
        ("anew", np.int64),  # how often the client has asked again
        ("poor", np.int64),  # who gave an answer that did not pass; -1: nobody
        ("first", np.int64),  # whom this exchange asked first
        ("draw", np.float64),
        ("after", np.float64),  # Retry-After of the last failure; negative: none
        ("earned", np.float64),  # what a race expected to cost, what its hedges took, and what losers were billed
        ("taken", np.float64),
        ("lost", np.float64),
    ]
)
"""A request under way."""
_ASKING: Final = np.dtype(
    [
        ("target", np.int64),
        ("score", np.float64),
        ("times", np.int64),  # that this target (by number, not by order) was asked: its chance is another each time
    ]
)
"""Whom it asks, best first."""
_LEG: Final = np.dtype(
    [
        ("state", np.int64),
        ("serial", np.int64),
        ("target", np.int64),
        ("kind", np.int64),  # of failure; -1: it will be answered
        ("began", np.float64),
        ("first", np.float64),  # seconds
        ("whole", np.float64),
        ("after", np.float64),
        ("cached", np.int64),  # tokens
    ]
)
"""An attempt; a request under way has two legs."""
_CACHE: Final = np.dtype([("used", np.float64), ("tokens", np.int64)])
"""What a target keeps of a conversation, and when it was used last."""

_WELL: Final = -1

_IDLE: Final = 0
_RUNNING: Final = 1
_BEGUN: Final = 2

_ENDS: Final = 0
"""Kinds of events: an attempt is over."""
_BEGINS: Final = 1
"""A raced attempt has its first token."""
_SLOW: Final = 2
"""It is time to ask the next one beside it."""
_AGAIN: Final = 3
"""The road goes round once more."""
_ANEW: Final = 4
"""The client asks again."""

_QUEUED: Final = 0
"""Counters: events in the queue, and (1) all that ever were."""
_FREE: Final = 2
"""Rows that nobody uses: the first of `free`."""
_WRITTEN: Final = 3
"""Entries in the diary."""


class Run(NamedTuple):
    """Everything that the loop works on."""

    requests: Records
    places: Records
    domains: Integers
    changes: Floats
    rates: Integers
    first: Integers
    troubles: Records
    weights: Floats
    rules: Rules
    breakers: Records
    standings: Records
    buckets: Records
    counted: Integers
    slots: Records
    asking: Records
    legs: Records
    free: Integers
    events: Records
    counters: Integers
    cache: Records
    times: Floats
    """Of first tokens: a histogram for each target."""
    purse: Floats
    row: Floats
    outcome: Records
    diary: Records


def prepare(world: World, rules: Rules, weights: Floats, diary: Records, room: int) -> Run:
    """The arrays of a replay that has not begun; `room` is how many requests may be under way at once."""
    targets, count = len(world.names), len(world.requests)
    cache = np.zeros((max(world.sessions, 1), targets), _CACHE)
    cache["used"] = -math.inf
    outcome = np.zeros(count, OUTCOME)
    outcome["end"] = OPEN
    standings = unknown(targets)
    standings["step"] = world.troubles.first[:-1]
    return Run(
        requests=world.requests,
        places=world.places,
        domains=world.domains,
        changes=world.bills.starts,
        rates=world.bills.rates,
        first=world.troubles.first,
        troubles=world.troubles.steps,
        weights=weights,
        rules=rules,
        breakers=closed(int(world.domains.max(initial=targets)) + 1),
        standings=standings,
        buckets=full(targets),
        counted=np.zeros((targets, targets), np.int64),
        slots=np.zeros(room, _SLOT),
        asking=np.zeros((room, targets), _ASKING),
        legs=np.zeros(room * 2, _LEG),
        free=np.arange(room - 1, -1, -1),
        events=np.zeros(room * 6, EVENT),
        counters=np.array([0, 0, room, 0]),
        cache=cache,
        times=np.zeros((targets, BUCKETS)),
        purse=np.zeros(1),
        row=np.zeros(len(NAMES)),
        outcome=outcome,
        diary=diary,
    )


def replay(score: Callable[..., float], run: Run) -> None:
    """Let all requests come and all end. Raises RuntimeError if more are under way at once than there is room for."""
    prices = 0
    for request in range(len(run.requests)):
        now = run.requests[request]["arrival"]
        while run.counters[_QUEUED] > 0 and run.events[0]["time"] <= now:
            _happen(score, run)
        while prices + 1 < len(run.changes) and run.changes[prices + 1] <= now:
            prices += 1
        if run.counters[_FREE] == 0:
            raise RuntimeError("more requests under way than the replay has room for")
        run.counters[_FREE] -= 1
        number = int(run.free[run.counters[_FREE]])
        slot = run.slots[number]
        slot["request"] = request
        slot["prices"] = prices
        slot["anew"] = 0
        slot["poor"] = -1
        for target in range(len(run.places)):
            run.asking[number, target]["times"] = 0
        _exchange(score, run, number, now)
    while run.counters[_QUEUED] > 0:
        _happen(score, run)


def _happen(score: Callable[..., float], run: Run) -> None:
    """The next event, unless what it was about is over."""
    now, kind, subject, serial = pop(run.events, run.counters)
    if kind <= _BEGINS:
        if run.legs[subject]["serial"] == serial:
            if kind == _ENDS:
                _ended(run, subject, now)
            else:
                _begun(run, subject, now)
    elif run.slots[subject]["serial"] == serial:
        if kind == _SLOW:
            _hedge(run, subject, now)
        elif kind == _AGAIN:
            run.slots[subject]["round"] = 1
            run.slots[subject]["next"] = 0
            _go_on(run, subject, now, 0)
        else:
            _exchange(score, run, subject, now)


def _exchange(score: Callable[..., float], run: Run, number: int, now: float) -> None:
    """An exchange begins: decide, and ask the first."""
    slot = run.slots[number]
    slot["serial"] += 1
    slot["draw"] = uniform(run.rules.seed, slot["request"], slot["anew"], DRAWS)
    slot["may"] = _decide(score, run, number, now)
    slot["next"] = 0
    slot["tried"] = 0
    slot["round"] = 0
    slot["after"] = -1.0
    slot["taken"] = 0.0
    slot["lost"] = 0.0
    slot["earned"] = 0.0
    if run.rules.conduct == RACING:
        slot["earned"] = _input_cost(run, slot, run.asking[number, 0]["target"])
        run.purse[0] += slot["earned"] * run.rules.hedge_cost
    _go_on(run, number, now, 0)


def _decide(score: Callable[..., float], run: Run, number: int, now: float) -> int:
    """Put the targets that may be asked in order, best first; how many they are. As `routing.decision.decide`."""
    slot, asking = run.slots[number], run.asking[number]
    tokens = run.requests[slot["request"]]["input"]
    found = 0
    for forced in range(2):
        for target in range(len(run.places)):
            if forced == 0 and (
                tokens > run.places[target]["context"]
                or not may_be_asked(run.breakers, run.standings[target], target, run.domains[target], now)
            ):
                continue
            _fill(run, slot, target)
            reached = score(run.row, run.weights)
            place = found
            while place > 0 and asking[place - 1]["score"] > reached:
                asking[place]["score"] = asking[place - 1]["score"]
                asking[place]["target"] = asking[place - 1]["target"]
                place -= 1
            asking[place]["score"] = reached
            asking[place]["target"] = target
            found += 1
        if found > 0:
            break
    if run.counters[_WRITTEN] < len(run.diary):
        order = 0
        for place in range(found - 1, -1, -1):
            order = order * _DIGIT + asking[place]["target"] + 1
        _note(run, DECIDED, slot["request"], order, now, slot["draw"], 0.0)
    return found


def _fill(run: Run, slot: Item, target: int) -> None:
    """The row of a target for a request. As `routing.features.features`."""
    row, standing = run.row, run.standings[target]
    cost = _expected(run, slot, target)
    row[ORDER] = target
    row[WEIGHT] = run.places[target]["weight"]
    row[COST] = math.inf if cost < 0 else cost * 1e-9
    row[FIRST_TOKEN] = standing["first_token"]
    row[SPEED] = standing["speed"]
    row[ERRORS] = standing["errors"]
    row[OUTPUT] = run.rules.expected_output
    row[DRAW] = chance_of(slot["draw"], target)


def _expected(run: Run, slot: Item, target: int) -> int:
    """What an answer is expected to cost, in nano-dollars; -1 where that is not known."""
    tokens = run.requests[slot["request"]]["input"]
    return nano_usd(run.rates[slot["prices"], target], tokens, run.rules.expected_output, 0, 0)


def _input_cost(run: Run, slot: Item, target: int) -> float:
    """What being asked and cut costs: the input, in nano-dollars."""
    tokens = run.requests[slot["request"]]["input"]
    return float(max(nano_usd(run.rates[slot["prices"], target], tokens, 0, 0, 0), 0))


def _may_go(run: Run, slot: Item, now: float) -> bool:
    """Whether somebody is left to be asked, and attempts and time for it."""
    until = run.requests[slot["request"]]["arrival"] + run.rules.deadline
    return slot["next"] < slot["may"] and (slot["tried"] == 0 or (slot["tried"] < run.rules.attempts and now < until))


def _affords(run: Run, number: int, now: float, escalates: int) -> bool:
    """Whether the retry budget of the next one allows to ask it; of the first, and of one that is wanted, always."""
    slot = run.slots[number]
    target = run.asking[number, slot["next"]]["target"]
    if slot["tried"] == 0:
        slot["first"] = target
    elif not escalates:
        return take(run.buckets, run.counted, target, slot["first"], now, run.rules.retry_share)
    run.buckets[target]["firsts"] += 1
    return True


def _go_on(run: Run, number: int, now: float, escalates: int) -> None:
    """Ask the next one, or go round once more, or let the client ask again, or give up. `escalates`: 1 or 0."""
    slot, rules = run.slots[number], run.rules
    until = run.requests[slot["request"]]["arrival"] + rules.deadline
    while _may_go(run, slot, now):
        if not _affords(run, number, now, escalates):
            slot["next"] += 1
            continue
        _ask(run, number, number * 2, now)
        if rules.conduct == RACING and _may_go(run, slot, now):
            patience = at(run.times[run.legs[number * 2]["target"]], rules.hedge_share, rules.hedge_after)
            push(run.events, run.counters, now + patience, _SLOW, number, slot["serial"])
        return
    if slot["poor"] >= 0:
        _close(run, number, ANSWERED, now, slot["poor"])
        return
    after = slot["after"]
    may = slot["tried"] < rules.attempts and now + after < until
    if slot["round"] == 0 and 0.0 <= after <= rules.wait_at_most and may:
        wait = after * (1.0 + rules.jitter * slot["draw"])
        push(run.events, run.counters, now + wait, _AGAIN, number, slot["serial"])
        return
    run.purse[0] += slot["taken"] - slot["lost"] - slot["earned"] * rules.hedge_cost
    wait = rules.backoff * 2.0 ** slot["anew"]
    if slot["anew"] < rules.retries and now + wait < until:
        slot["anew"] += 1
        push(run.events, run.counters, now + wait, _ANEW, number, slot["serial"])
        return
    _close(run, number, FAILED, now, -1)


def _close(run: Run, number: int, end: int, now: float, target: int) -> None:
    """A request has ended, once and for all."""
    slot = run.slots[number]
    slot["serial"] += 1
    outcome = run.outcome[slot["request"]]
    outcome["end"] = end
    outcome["seconds"] = now - run.requests[slot["request"]]["arrival"]
    outcome["target"] = target
    run.free[run.counters[_FREE]] = number
    run.counters[_FREE] += 1


def _ask(run: Run, number: int, leg_number: int, now: float) -> None:
    """Ask the next target."""
    slot, leg = run.slots[number], run.legs[leg_number]
    target = run.asking[number, slot["next"]]["target"]
    slot["next"] += 1
    slot["tried"] += 1
    run.outcome[slot["request"]]["attempts"] += 1
    asked(run.breakers, target, run.domains[target], now)
    _note(run, ASKED, slot["request"], target, now, 0.0, 0.0)
    _settle(run, number, target, leg, now)
    run.standings[target]["flying"] += 1
    leg["state"] = _RUNNING
    leg["serial"] += 1
    leg["target"] = target
    leg["began"] = now
    push(run.events, run.counters, now + leg["whole"], _ENDS, leg_number, leg["serial"])
    if run.rules.conduct == RACING and leg["kind"] == _WELL:
        push(run.events, run.counters, now + leg["first"], _BEGINS, leg_number, leg["serial"])


def _settle(run: Run, number: int, target: int, leg: Item, now: float) -> None:
    """What a target will say to a request, and when."""
    slot, rules = run.slots[number], run.rules
    request, place, standing = run.requests[slot["request"]], run.places[target], run.standings[target]
    while standing["step"] + 1 < run.first[target + 1] and run.troubles[standing["step"] + 1]["start"] <= now:
        standing["step"] += 1
    trouble = run.troubles[standing["step"]]
    failing = 1.0 - (1.0 - rules.failing) * (1.0 - trouble["failing"])
    key = place["key"] * _DIGIT + run.asking[number, target]["times"]
    run.asking[number, target]["times"] += 1
    leg["kind"] = _WELL
    leg["first"] = 0.0
    leg["whole"] = rules.refusal
    leg["after"] = -1.0
    leg["cached"] = _cached(run, request, target, now)
    if request["input"] > place["context"]:
        leg["kind"] = CALLER
    elif standing["flying"] >= place["capacity"]:
        leg["kind"] = RATE_LIMIT
        leg["after"] = rules.comeback
    elif uniform(rules.seed, slot["request"], key, FAILS) < failing:
        leg["kind"] = TARGET
        if uniform(rules.seed, slot["request"], key, STALLS) < rules.stalling:
            leg["whole"] = rules.silence
    else:
        busy = standing["flying"] / place["capacity"]
        slow = (1.0 + busy * busy) * trouble["slow"]
        first = (place["first_token"] + place["prefill"] * (request["input"] - leg["cached"])) * slow
        leg["first"] = first * spread(rules.seed, slot["request"], key, FIRST, rules.sigma)
        pace = spread(rules.seed, slot["request"], key, PACE, rules.sigma) * slow / place["speed"]
        leg["whole"] = leg["first"] + request["output"] * pace
    left = max(request["arrival"] + rules.deadline - now, 0.0)
    if leg["whole"] > left:  # the road's own time limit, which it holds against the target
        leg["whole"] = left
        if leg["kind"] == _WELL:
            leg["kind"] = TARGET


def _cached(run: Run, request: Item, target: int, now: float) -> int:
    """How much of a request a target's cache holds."""
    if request["session"] < 0:
        return 0
    kept = run.cache[request["session"], target]
    return min(request["shared"], kept["tokens"]) if kept["used"] >= now - run.rules.cache else 0


def _hedge(run: Run, number: int, now: float) -> None:
    """Ask the next one beside a slow one, if what hedges may cost allows it."""
    slot = run.slots[number]
    if run.legs[number * 2]["state"] != _RUNNING or run.legs[number * 2 + 1]["state"] != _IDLE:
        return
    if not _may_go(run, slot, now):
        return
    price = _input_cost(run, slot, run.asking[number, slot["next"]]["target"])
    run.purse[0] = min(run.purse[0], MOST_SAVED * price)
    if run.purse[0] < price * (1.0 - 1e-9):
        return
    run.purse[0] -= price
    slot["taken"] += price
    while _may_go(run, slot, now):
        if _affords(run, number, now, 0):
            _ask(run, number, number * 2 + 1, now)
            return
        slot["next"] += 1


def _begun(run: Run, number: int, now: float) -> None:
    """The first token of a race: the other one is cancelled; it has read the request, and that is billed."""
    leg, other = run.legs[number], run.legs[number ^ 1]
    leg["state"] = _BEGUN
    if other["state"] == _IDLE:
        return
    run.slots[number // 2]["lost"] += _bill(run, number // 2, other, 0)
    # It would have taken no less: else only the quick ones would be measured.
    add(run.times[other["target"]], now - other["began"])
    run.standings[other["target"]]["flying"] -= 1
    other["state"] = _IDLE
    other["serial"] += 1


def _ended(run: Run, number: int, now: float) -> None:
    """An attempt is over: the request is answered, or goes on."""
    slot, leg = run.slots[number // 2], run.legs[number]
    target, kind = leg["target"], leg["kind"]
    run.standings[target]["flying"] -= 1
    leg["state"] = _IDLE
    if kind == _WELL:
        _answer(run, number // 2, leg, now)
        return
    failed(run.breakers, run.standings[target], target, run.domains[target], kind, now, leg["after"])
    _note(run, BROKE, slot["request"], target, now, float(kind), leg["after"])
    slot["after"] = leg["after"]
    if run.legs[number ^ 1]["state"] != _IDLE:
        return  # the other one may still answer
    if kind == CALLER:
        # It would be refused anywhere: neither the road nor the client tries again.
        slot["may"] = 0
        slot["anew"] = run.rules.retries
    slot["serial"] += 1
    _go_on(run, number // 2, now, 0)


def _answer(run: Run, number: int, leg: Item, now: float) -> None:
    """A target has answered; under a check that is not always enough."""
    slot, rules = run.slots[number], run.rules
    target = leg["target"]
    request, place = run.requests[slot["request"]], run.places[target]
    first, streamed = leg["first"], leg["whole"] - leg["first"]
    speed = request["output"] / streamed if streamed > 0.0 else 0.0
    answered(run.breakers, run.standings[target], target, run.domains[target], first, speed)
    _note(run, REPLIED, slot["request"], target, now, first, speed)
    cost = _bill(run, number, leg, request["output"])
    if request["session"] >= 0:
        kept = run.cache[request["session"], target]
        kept["used"] = now
        kept["tokens"] = request["input"]
    if rules.conduct == RACING:
        add(run.times[target], first)
        run.purse[0] += (cost - slot["earned"]) * rules.hedge_cost + slot["taken"] - slot["lost"]
    if (
        rules.conduct == CHECKED
        and _may_go(run, slot, now)
        and uniform(rules.seed, slot["request"], place["key"], SETTLES) >= place["passes"]
    ):
        slot["poor"] = target
        _go_on(run, number, now, 1)
        return
    _close(run, number, ANSWERED, now, target)


def _bill(run: Run, number: int, leg: Item, output: int) -> int:
    """Bill an answer of `output` tokens; what it costs, in nano-dollars."""
    slot = run.slots[number]
    request = run.requests[slot["request"]]
    # Conversations are written to the cache whole: the next turn will want them.
    written = request["input"] - leg["cached"] if request["session"] >= 0 else 0
    cost = nano_usd(run.rates[slot["prices"], leg["target"]], request["input"], output, leg["cached"], written)
    run.outcome[slot["request"]]["nano_usd"] += cost
    return cost


def _note(run: Run, kind: int, request: int, target: int, now: float, one: float, other: float) -> None:
    if run.counters[_WRITTEN] < len(run.diary):
        entry = run.diary[run.counters[_WRITTEN]]
        entry["kind"] = kind
        entry["request"] = request
        entry["target"] = target
        entry["time"] = now
        entry["one"] = one
        entry["other"] = other
        run.counters[_WRITTEN] += 1
