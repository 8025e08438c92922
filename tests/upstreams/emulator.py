"""One emulated upstream: checks every request as its vendor would, remembers what was wrong, and plays the scenario."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Protocol

from tests.upstreams.scenarios import FIRST, Break, Fault, Heard, Said, choose, scenario_of
from tests.upstreams.server import Asked, Reply, Server
from tests.upstreams.validation import WrongRequestError

_TRANSPORT_HEADERS = frozenset(
    {"host", "content-type", "content-length", "accept", "accept-encoding", "user-agent", "connection"}
)
_PACKED = re.compile(rb'"bytes": "([^"]+)"')


class Vendor(Protocol):
    """How one vendor reads requests and words its answers."""

    proof: str | None
    key: tuple[str, str]
    own_headers: frozenset[str]

    def read(self, asked: Asked) -> tuple[Heard, bool]:
        """What the request holds and whether it wants a stream. Raises WrongRequestError."""
        ...

    def whole(self, asked: Asked, said: Said) -> Reply: ...

    def pieces(self, asked: Asked, said: Said) -> list[bytes]: ...

    def refuse(self, fault: Fault) -> Reply: ...

    def broken_off(self, asked: Asked, fault: Fault) -> bytes: ...

    @property
    def stream_headers(self) -> tuple[tuple[str, str], ...]: ...


class Emulator:
    """`problems` says what was wrong with requests; `asked` keeps them. `instead` overrules the scenarios."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.server = Server(self.answer)
        self.asked: list[Asked] = []
        self.problems: list[str] = []
        self.instead: Callable[[Asked], Reply | None] | None = None

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        name = scenario_of(asked.body)
        try:
            self._check_headers(asked)
            heard, streamed = self.vendor.read(asked)
            if self.instead is not None and (reply := self.instead(asked)) is not None:
                return reply
            return self._play(asked, choose(name, heard, self.vendor.proof), streamed=streamed)
        except (WrongRequestError, AssertionError) as error:
            self.problems.append(f"{type(self.vendor).__name__}, scenario {name}: {error}")
        except Exception as error:  # noqa: BLE001 -- a request that breaks the emulator is a finding, too
            self.problems.append(f"{type(self.vendor).__name__}, scenario {name}: {error!r}")
        return self.vendor.refuse(Fault(status=400))

    def _check_headers(self, asked: Asked) -> None:
        name, value = self.vendor.key
        if value and asked.header(name) != value:
            raise WrongRequestError(f"{name}: {asked.header(name)!r} is not the account's key")
        allowed = _TRANSPORT_HEADERS | self.vendor.own_headers | {name}
        foreign = [header for header, _ in asked.headers if header not in allowed]
        if foreign:
            raise WrongRequestError(f"headers that should not have crossed: {foreign}")
        if "key=" in asked.query:
            raise WrongRequestError(f"a key in the query: {asked.query}")

    def _play(self, asked: Asked, turn: Said | Fault | Break, *, streamed: bool) -> Reply:
        vendor = self.vendor
        match turn:
            case Said():
                if not streamed:
                    return vendor.whole(asked, turn)
                return Reply(headers=vendor.stream_headers, pieces=vendor.pieces(asked, turn))
            case Fault(after_pieces=None):
                return vendor.refuse(turn)
            case Fault(after_pieces=count):
                if not streamed:
                    return vendor.refuse(turn)
                begun = vendor.pieces(asked, self.text())[: self.lead(asked) + count if count else 0]
                return Reply(headers=vendor.stream_headers, pieces=[*begun, vendor.broken_off(asked, turn)])
            case Break(ending=ending):
                if not streamed:
                    return Reply(pieces=[b'{"id": "cut'], ending="close" if ending == "end" else ending)
                begun = vendor.pieces(asked, self.text())[: self.lead(asked) + 2]
                return Reply(headers=vendor.stream_headers, pieces=begun, ending=ending)

    def text(self) -> Said:
        said = FIRST["text"]
        assert isinstance(said, Said)
        return said

    def lead(self, asked: Asked) -> int:
        """How many pieces of a stream come before its first words."""
        words = self.text().text[0].encode()
        pieces = self.vendor.pieces(asked, self.text())
        return next(index for index, piece in enumerate(pieces) if words in unpacked(piece))


def unpacked(piece: bytes) -> bytes:
    """A piece with what it holds in base64 (InvokeModel's chunks) made readable."""
    return piece + b"".join(base64.b64decode(found) for found in _PACKED.findall(piece))
