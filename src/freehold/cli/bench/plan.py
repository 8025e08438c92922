"""Who is asked what, in which order, and what that may cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Final

import msgspec

from freehold.cli.bench.cases import Case, longest_own, own_case
from freehold.cli.bench.checks import Judge
from freehold.cli.bench.checks.judge import MOST_TOKENS
from freehold.errors import CallerError
from freehold.ir import Usage, write_json
from freehold.providers.catalog import providers, rule
from freehold.providers.price_book import price
from freehold.providers.prices import Price, cost

if TYPE_CHECKING:
    from freehold.app import Service
    from freehold.routing.names import Target

_BYTES_A_TOKEN: Final = 3
"""English has four or more, so an estimate errs on the dear side."""
_FRAME: Final = 200
"""Tokens that roles, and instructions to a judge, add at most."""


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """A target that is measured: its `account/model`, how it is asked for, and its price where it is known."""

    target: str
    name: str
    price: Price | None


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One request: a case, with its number, put to a target."""

    aim: Aim
    case: Case
    number: int


def aims(service: Service, models: Iterable[str], now: float) -> list[Aim]:
    """The targets of these models, each once, in the order written.

    Raises CallerError for a model that there is not, and for one none of whose targets writes text.
    """
    found: dict[str, Aim] = {}
    for model in models:
        targets = [each for each in service.serving.names.resolve(model).targets if _writes(service, each)]
        if not targets:
            raise CallerError(
                f"no target of `{model}` answers questions with text: there is nothing to measure",
                code="model_not_found",
                kind="not_found",
                param="model",
            )
        for target in targets:
            found.setdefault(target.id, _aim(service, target, now))
    return list(found.values())


def all_models(service: Service) -> list[str]:
    """Every name of `[models]` with a target that writes text."""
    names = service.serving.names
    return [
        model
        for model in service.config.models
        if any(_writes(service, target) for target in names.resolve(model).targets)
    ]


def _writes(service: Service, target: Target) -> bool:
    """Whether it answers questions; models of which nothing is known are taken at their word."""
    provider = providers()[service.config.accounts[target.account].provider]
    known = rule(provider, target.known_as)
    return known is None or "generate" in known.operations


def _aim(service: Service, target: Target, now: float) -> Aim:
    provider = service.config.accounts[target.account].provider
    forced = f"@{target.protocols[0]}" if target.forced else ""
    return Aim(target=target.id, name=target.id + forced, price=price(provider, target.known_as, now))


def turns(aims: Sequence[Aim], cases: Sequence[Case], requests: int, random: Random) -> Iterator[Turn]:
    """The requests in blocks: each asks every target the same, in an order drawn anew, so that drift hits all alike."""
    for _ in range(requests):
        for number, case in enumerate(cases or (own_case(random),)):
            for aim in random.sample(aims, len(aims)):
                yield Turn(aim=aim, case=case, number=number)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may cost: USD at most, so far as prices are known, and the targets whose price is not."""

    requests: int
    usd: float
    unpriced: tuple[str, ...]


def estimate(
    aims: Sequence[Aim], cases: Sequence[Case], *, requests: int, most: int, judges: Sequence[Aim]
) -> Estimate:
    """The cost if every answer is as long as it may be, and every judge the dearest that the name may lead to."""
    asked = cases or (longest_own(),)
    nano = 0
    for case in asked:
        for aim in aims:
            nano += _most(aim.price, _tokens(case), most)
            if isinstance(case.check, Judge):
                plea = _tokens(case) + _length(case.check.reference) + most
                nano += 2 * max((_most(judge.price, plea, MOST_TOKENS) for judge in judges), default=0)
    pleas = 2 * sum(isinstance(case.check, Judge) for case in asked)
    unpriced = dict.fromkeys(aim.target for aim in (*aims, *judges) if aim.price is None)
    return Estimate(
        requests=requests * len(aims) * (len(asked) + pleas), usd=requests * nano / 1e9, unpriced=tuple(unpriced)
    )


def _most(price: Price | None, before: int, after: int) -> int:
    if price is None:
        return 0
    return cost(Usage(input_tokens=before, output_tokens=after), price) or 0


def _tokens(case: Case) -> int:
    asked = write_json([*case.messages]).decode() if case.messages else case.prompt
    return _length(asked) + _length(case.system or "") + _FRAME


def _length(text: str) -> int:
    return len(text.encode()) // _BYTES_A_TOKEN + 1
