"""What a drill takes out: the failure domains of a gateway, the targets that lie in them, the models that need them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from freehold.cli.failure import CommandError
from freehold.server.targets import TargetState

if TYPE_CHECKING:
    from freehold.cli.control_plane import ControlPlane


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """One failure domain: the targets in it, the models that some of them answer for, and those that nobody else does.

    `stranded` are models that have no target outside: while the domain is out, they can not be answered.
    """

    domain: str
    targets: tuple[str, ...]
    models: tuple[str, ...]
    stranded: tuple[str, ...]

    def accounts(self) -> tuple[str, ...]:
        """The accounts of its targets, each once."""
        return tuple(dict.fromkeys(target.partition("/")[0] for target in self.targets))


async def read_targets(plane: ControlPlane) -> list[TargetState]:
    """Every target of a running server. Raises CommandError."""
    return msgspec.json.decode(await plane.ask("GET", "/targets"), type=dict[str, list[TargetState]])["targets"]


def domains(targets: Sequence[TargetState]) -> list[Domain]:
    """Every domain that a target lies in, in the order of the targets."""
    inside: dict[str, list[TargetState]] = {}
    for target in targets:
        for domain in target.domains:
            inside.setdefault(domain, []).append(target)
    return [_domain(domain, found, targets) for domain, found in inside.items()]


def find(targets: Sequence[TargetState], name: str) -> Domain:
    """The domain of that name. Raises CommandError naming the nearest."""
    known = {each.domain: each for each in domains(targets)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or list(known)
        message = f"no target lies in {name[:100]!r}; there are {', '.join(near)}. `freehold drill` lists them"
        raise CommandError(message, code="domain_not_found")
    return known[name]


def _domain(name: str, inside: Sequence[TargetState], targets: Sequence[TargetState]) -> Domain:
    models = tuple(dict.fromkeys(model for target in inside for model in target.models))
    elsewhere = {model for target in targets if name not in target.domains for model in target.models}
    return Domain(
        domain=name,
        targets=tuple(target.target for target in inside),
        models=models,
        stranded=tuple(model for model in models if model not in elsewhere),
    )
