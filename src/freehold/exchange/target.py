"""A target, ready to send: everything that can be known before a request comes is filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from freehold.config import Hedge
from freehold.exchange.checks import Check
from freehold.exchange.proofs import Maker
from freehold.ir import Loss
from freehold.protocols.codec import Codec, Dialect, WireRequest
from freehold.providers.auth import Authenticator
from freehold.providers.prices import Row
from freehold.routing.decision import Rule
from freehold.routing.features import Candidate
from freehold.routing.strategies import STRATEGIES
from freehold.routing.tokenizers import Tokenizer
from freehold.transport.endpoint import Endpoint

Edit = Callable[[bytes], tuple[bytes, tuple[Loss, ...]]]
"""A provider's edits to an encoded body, and what they lost."""


class Target(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One (account, model, protocol), with how to say it, where to send it, and what it costs.

    `locate` gives path and query of an encoded request; `operations` are those it has a path for; `edits` belong to an
    operation.
    """

    name: str
    account: str
    provider: str
    model: str
    maker: Maker
    codec: Codec
    dialect: Dialect
    endpoint: Endpoint
    operations: frozenset[str]
    locate: Callable[[WireRequest], tuple[str, str]]
    headers: tuple[tuple[str, str], ...]
    edits: Mapping[str, Edit]
    authenticator: Authenticator
    price: Row | None
    tokenizer: Tokenizer
    request_id_headers: tuple[str, ...] = ()


class Place(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One (account, model) and the protocols it may be asked in, in order of fidelity.

    `candidate` is what a decision judges it by.
    """

    name: str
    targets: tuple[Target, ...]
    candidate: Candidate


class Found(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a model's name means: the places, the rule to choose among them, and how some strategies ask.

    `name` is the model's own, whatever alias it was asked by. `smallest` is the smallest context window in tokens; a
    body of fewer bytes fits everywhere.
    """

    name: str
    places: tuple[Place, ...]
    rule: Rule
    hedge: Hedge
    check: Check
    candidates: tuple[Candidate, ...] = ()
    smallest: int = 0
    restricts: bool = False
    """Whether a candidate is known not to take every medium."""
    continues: bool = False
    """Whether another target goes on with a stream that breaks."""
    floor: float = 0.0
    """Tokens a second that a stream has to have at least, measured over `window` seconds; 0: as slow as it likes."""
    window: float = 10.0

    def by(self, strategy: str) -> Found:
        """The same with another strategy, which has to exist."""
        rule = msgspec.structs.replace(self.rule, strategy=STRATEGIES[strategy])
        return msgspec.structs.replace(self, rule=rule)


class Resolver(Protocol):
    """How the road finds who answers."""

    def resolve(self, model: str) -> Found:
        """The places for a model name, in the order written. Raises CallerError (404) naming the nearest names."""
        ...
