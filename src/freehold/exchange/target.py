"""A target, ready to send: everything that can be known before a request comes is filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from freehold.exchange.proofs import Maker
from freehold.ir import Loss
from freehold.protocols.codec import Codec, Dialect, WireRequest
from freehold.providers.auth import Authenticator
from freehold.providers.prices import Row
from freehold.transport.endpoint import Endpoint

Edit = Callable[[bytes], tuple[bytes, tuple[Loss, ...]]]
"""A provider's edits to an encoded body, and what they lost."""


class Target(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One (account, model, protocol), with how to say it, where to send it, and what it costs.

    `locate` gives path and query of an encoded request; `operations` are those it has a path for; `edits` belong to an
    operation. `domains` are the failure domains it shares with others (account, provider, cloud, region).
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
    request_id_headers: tuple[str, ...] = ()


class Place(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One (account, model) and the protocols it may be asked in, in order of fidelity."""

    name: str
    targets: tuple[Target, ...]


class Resolver(Protocol):
    """How the road finds who answers."""

    def resolve(self, model: str, operation: str) -> tuple[Place, ...]:
        """The places for a model name, in order of preference. Raises CallerError (404) naming the nearest names."""
        ...
