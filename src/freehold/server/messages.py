"""What the supervisor and its workers say to each other: few, typed messages, each with one answer, in order.

A message on the socket pair is its length in four bytes and msgpack. Credentials cross it in the clear, which is why
they do not stand on a command line; nobody but the two processes holds an end.
"""

from __future__ import annotations

from asyncio import IncompleteReadError, StreamReader
from typing import Final, TypeAlias, TypeVar

import msgspec

from freehold.config import Config, Secret
from freehold.governance.secret import ServerSecret
from freehold.providers.prices import Listed
from freehold.routing.affinity import Lesson
from freehold.routing.commitments import Use
from freehold.routing.measured import Measured
from freehold.routing.words import Word
from freehold.server.targets import TargetState
from freehold.telemetry.counters import Sum

LARGEST: Final = 1 << 30
"""Bytes of one message. A table of a million keys has some 200 MB."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration snapshot as workers get it, with the prices of its accounts' providers and what a bench found."""

    number: int
    config: Config
    prices: dict[str, tuple[Listed, ...]]
    measured: tuple[Measured, ...] = ()


# --- From the supervisor ---------------------------------------------------------------------------------------------


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first message: all that a worker needs before it listens. `slot` counts from 0, `keys` is a key table."""

    slot: int
    secret: ServerSecret
    settings: Settings
    keys: bytes
    words: tuple[Word, ...]
    uses: tuple[Use, ...] = ()


class Listen(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Accept connections at these of the inherited sockets, and at no others."""

    sockets: tuple[int, ...]


class Prepare(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Make a snapshot ready. Nothing changes before `Take`; another `Prepare` puts it aside."""

    settings: Settings


class Take(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Serve by the snapshot that was made ready."""

    number: int


class Keys(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Serve by this key table; the answer says that it is in use."""

    table: bytes


class Hear(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What operators and other workers say of targets, what others have learned of caches, and used of commitments."""

    words: tuple[Word, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    uses: tuple[Use, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Tell how things are and what is new."""


class List(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Tell how every target is doing."""


class Drain(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Accept nothing more, let what is in flight end for so many seconds, then end. Answered at once."""

    seconds: float


Order: TypeAlias = Begin | Listen | Prepare | Take | Keys | Hear | Report | List | Drain


# --- From a worker ---------------------------------------------------------------------------------------------------


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """As ordered; also the first word of a worker that is awake."""


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It can not be done, and nothing has changed."""

    reason: str


class Reported(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How a worker is, and what is new since it was last asked.

    `counters` are what was added; `words`, `lessons` and `uses` are for the other workers; `gauges` add up over
    workers, `states` are the same everywhere or soon will be. `unrecorded` says why the exchange record can not be
    written.
    """

    counters: tuple[Sum, ...]
    words: tuple[Word, ...]
    lessons: tuple[Lesson, ...]
    uses: tuple[Use, ...]
    gauges: dict[str, float]
    states: dict[str, float]
    unrecorded: str | None


class Standings(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Every target that the configuration states, in its order."""

    targets: tuple[TargetState, ...]


Reply: TypeAlias = Done | Refused | Reported | Standings

M = TypeVar("M")


def _reveal(value: object) -> object:
    if isinstance(value, Secret | ServerSecret):
        return value.reveal()
    raise NotImplementedError(f"{type(value).__name__} is not sent to workers")


def _conceal(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    if kind is ServerSecret and isinstance(value, bytes):
        return ServerSecret(value)
    raise NotImplementedError(f"{kind.__name__} is not sent to workers")


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_reveal)
ORDERS: Final = msgspec.msgpack.Decoder[Order](Order, dec_hook=_conceal)
REPLIES: Final = msgspec.msgpack.Decoder[Reply](Reply)


def frame(message: Order | Reply) -> bytes:
    """A message as it goes over the socket."""
    body = _ENCODER.encode(message)
    return len(body).to_bytes(4, "big") + body


async def read_message(reader: StreamReader, decoder: msgspec.msgpack.Decoder[M]) -> M | None:
    """The next message; None when the other end is gone. Raises msgspec.DecodeError for what is none."""
    try:
        size = int.from_bytes(await reader.readexactly(4), "big")
        if size > LARGEST:
            raise msgspec.DecodeError(f"a message of {size} bytes")
        return decoder.decode(await reader.readexactly(size))
    except (IncompleteReadError, ConnectionError):
        return None
