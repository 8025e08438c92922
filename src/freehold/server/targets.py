"""Targets as operators see them, in one worker and in all together."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from typing import Final, Literal, TypeAlias

import msgspec

from freehold.errors import CallerError
from freehold.exchange.target import Resolver
from freehold.routing.features import WELL, Candidate, Standing
from freehold.routing.health import Health
from freehold.routing.names import Names

State: TypeAlias = Literal["ready", "cooling", "broken", "disabled"]

_WORSE: Final[tuple[State, ...]] = ("ready", "cooling", "broken", "disabled")


class TargetState(msgspec.Struct, frozen=True, kw_only=True):
    """One target as operators see it, and why it is in this state.

    `breaker` is the target or failure domain whose breaker is open. `first_token` is seconds, `speed` tokens a second,
    `errors` the recent share of failures; None: not measured yet. `measured_at` is the Unix time of the bench that they
    rest on; None: they rest on live traffic.
    `domains` are what it is lost together with, each as `kind:name`. `taken_out` is the one that a drill has taken out:
    whoever asks the target is refused, and its state says when that has been noticed.
    """

    target: str
    models: tuple[str, ...]
    state: State
    why: str = ""
    breaker: str = ""
    first_token: float | None = None
    speed: float | None = None
    errors: float = 0.0
    measured_at: float | None = None
    domains: tuple[str, ...] = ()
    taken_out: str = ""


def target_states(names: Names, resolver: Resolver, health: Health, now: float) -> tuple[TargetState, ...]:
    """Every target that the configuration states, in its order, with the models that it answers for."""
    models: dict[str, list[str]] = {}
    candidates: dict[str, Candidate] = {}
    for name in names.listed():
        with contextlib.suppress(CallerError):  # a model whose accounts can not be spoken to
            for candidate in resolver.resolve(name).candidates:
                models.setdefault(candidate.name, []).append(name)
                candidates[candidate.name] = candidate
    standings = health.standings(list(candidates.values()), now)
    out = health.outages(now)
    return tuple(
        _state(candidate, tuple(models[name]), standings.get(name, WELL), out) for name, candidate in candidates.items()
    )


def worst(seen: Iterable[tuple[TargetState, ...]]) -> list[TargetState]:
    """Of what each worker sees of a target, the worst: whoever asks wants to know what is wrong somewhere."""
    found: dict[str, TargetState] = {}
    for states in seen:
        for state in states:
            known = found.get(state.target)
            if known is None or _WORSE.index(state.state) > _WORSE.index(known.state):
                found[state.target] = state
    return list(found.values())


def _state(candidate: Candidate, models: tuple[str, ...], standing: Standing, out: Collection[str]) -> TargetState:
    state: State = "ready"
    why = ""
    if standing.disabled:
        state, why = "disabled", standing.disabled
    elif standing.broken:
        state, why = "broken", f"the breaker of {standing.broken} is open"
    elif standing.cooling:
        state, why = "cooling", "it asked to be left alone (Retry-After)"
    return TargetState(
        target=candidate.name,
        models=models,
        state=state,
        why=why,
        breaker=standing.broken,
        first_token=standing.first_token,
        speed=standing.speed,
        errors=standing.errors,
        measured_at=standing.measured_at or None,
        domains=candidate.domains,
        taken_out=next((domain for domain in candidate.domains if domain in out), ""),
    )
