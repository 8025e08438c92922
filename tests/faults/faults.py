"""What can go wrong at a target: every fault as it looks in every vendor's own words, whole and streamed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from tests.upstreams import scenarios
from tests.upstreams.emulator import Emulator
from tests.upstreams.server import SILENT, Asked, Reply

Where = Literal["sick", "hasty", "dead", "plain", "stranger"]
"""The account that is asked: one at an upstream that can be made to fail, the same with little patience, one where
nobody listens, one that speaks no TLS, and one whose certificate nobody knows."""

LATER = 17
"""Seconds that a provider asks for; longer than the road itself waits."""


class Scene:
    """One request at one emulated vendor, and the answer that it would have given."""

    def __init__(self, emulator: Emulator, asked: Asked, *, streamed: bool) -> None:
        self.vendor = emulator.vendor
        self.asked = asked
        self.streamed = streamed
        said = emulator.text()
        self.pieces = self.vendor.pieces(asked, said) if streamed else [self.vendor.whole(asked, said).body]
        self.lead = emulator.lead(asked) if streamed else 0
        """Pieces before the first words."""
        self.headers = self.vendor.stream_headers if streamed else self.vendor.whole(asked, said).headers

    def refuse(self, status: int, retry_after: int | None = None) -> Reply:
        return self.vendor.refuse(scenarios.Fault(status=status, retry_after=retry_after))

    def begin(self, *more: bytes, ending: Literal["end", "reset", "close", "silence"] = "end") -> Reply:
        """Some words and a part of the next event (of a whole answer: its first half), then what is given."""
        if not self.streamed:
            half = self.pieces[0][: len(self.pieces[0]) // 2]
            return Reply(headers=self.headers, pieces=[half, *more], ending=ending)
        return Reply(headers=self.headers, pieces=[*self.pieces[: self.lead + 2], *more], ending=ending)

    @property
    def next_event(self) -> bytes:
        """What would have come after `begin`; nothing in a whole answer."""
        return self.pieces[self.lead + 2] if self.streamed else b""

    def instead(self, body: bytes, *headers: tuple[str, str], status: int = 200) -> Reply:
        """Something else, whole."""
        return Reply(status=status, headers=headers or self.headers, body=body)


Play = Callable[[Scene], Reply]
Blame = Literal["target", "account", "model", "caller", "nobody"]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: where and how it happens, the status for a caller who has no other target, and whose it is.

    `status` is None where it depends on the vendor (only Anthropic says 529) or on what its error says: some 5xx.
    `breaks`: a client that streams has seen words before; it is told of a break instead. `later`: the target asks to be
    left alone, so that nothing counts against it.
    """

    where: Where = "sick"
    play: Play | None = None
    status: int | None = 502
    blame: Blame = "target"
    breaks: bool = False
    later: bool = False


def _refusal(status: int, blame: Blame = "target") -> Fault:
    return Fault(play=lambda scene: scene.refuse(status), status=status, blame=blame)


def _garbled(piece: bytes) -> bytes:
    """One event that keeps its frame and makes no sense; one of Amazon's fails its checksum."""
    return piece.replace(b"{", b"}", 1) if b"data:" in piece else piece[:-1] + bytes([piece[-1] ^ 1])


def _garbled_at_once(scene: Scene) -> Reply:
    if not scene.streamed:
        return scene.instead(b"}" + scene.pieces[0][1:])
    return Reply(headers=scene.headers, pieces=[_garbled(scene.pieces[0]), *scene.pieces[1:]])


def _error_at_once(scene: Scene) -> Reply:
    if not scene.streamed:
        return scene.instead(scene.refuse(500).body)
    return Reply(headers=scene.headers, pieces=[scene.vendor.broken_off(scene.asked, scenarios.Fault(status=500))])


def _error_in_stream(scene: Scene) -> Reply:
    if not scene.streamed:
        return scene.instead(scene.refuse(500).body)
    return scene.begin(scene.vendor.broken_off(scene.asked, scenarios.Fault(status=500)))


def _in_bits(scene: Scene) -> Reply:
    """Slow tokens: every byte travels alone, so that characters and frames arrive in parts."""
    return Reply(headers=scene.headers, pieces=[bytes([each]) for piece in scene.pieces for each in piece])


HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"
_TYPED_HTML = ("content-type", "text/html")

FAULTS: dict[str, Fault] = {
    "refused": Fault(where="dead", status=503),
    "no-tls": Fault(where="plain", status=503),
    "stranger": Fault(where="stranger", status=503),
    "silent": Fault(where="hasty", play=lambda _: SILENT, status=504),
    "silent-after-head": Fault(
        where="hasty", play=lambda scene: Reply(headers=scene.headers, pieces=[], ending="silence"), status=504
    ),
    "silent-in-mid-answer": Fault(
        where="hasty", play=lambda scene: scene.begin(ending="silence"), status=504, breaks=True
    ),
    "hangs-up": Fault(play=lambda _: Reply(ending="close"), status=503),
    "reset": Fault(play=lambda _: Reply(ending="reset"), status=503),
    "reset-in-mid-event": Fault(
        play=lambda scene: (
            scene.begin(scene.next_event[:20], ending="reset") if scene.streamed else scene.begin(ending="reset")
        ),
        breaks=True,
    ),
    "closed-in-mid-event": Fault(
        play=lambda scene: (
            scene.begin(scene.next_event[:20], ending="close") if scene.streamed else scene.begin(ending="close")
        ),
        breaks=True,
    ),
    "ends-too-soon": Fault(play=lambda scene: scene.begin(), breaks=True),
    "429": _refusal(429, "model"),
    "429-later": Fault(play=lambda scene: scene.refuse(429, LATER), status=429, blame="model", later=True),
    "500": _refusal(500),
    "503": _refusal(503),
    "529": Fault(play=lambda scene: scene.refuse(529), status=None),
    "400": _refusal(400, "caller"),
    "401": _refusal(401, "account"),
    "403": _refusal(403, "account"),
    "404": _refusal(404, "model"),
    "error-inside-200": Fault(play=_error_at_once, status=None),
    "error-in-mid-stream": Fault(play=_error_in_stream, status=None, breaks=True),
    "garbled": Fault(play=_garbled_at_once),
    "garbled-in-mid-stream": Fault(
        play=lambda scene: scene.begin(_garbled(scene.next_event)) if scene.streamed else _garbled_at_once(scene),
        breaks=True,
    ),
    "null": Fault(play=lambda scene: scene.instead(b"null", ("content-type", "application/json"))),
    "nothing": Fault(play=lambda scene: scene.instead(b"")),
    "no-content": Fault(play=lambda scene: Reply(status=204, headers=scene.headers)),
    "page": Fault(play=lambda scene: scene.instead(HTML, _TYPED_HTML)),
    "page-of-502": Fault(play=lambda scene: scene.instead(HTML, _TYPED_HTML, status=502)),
    "redirect": Fault(play=lambda scene: scene.instead(HTML, ("location", "http://127.0.0.1:1/"), status=302)),
    "large-head": Fault(play=lambda scene: scene.instead(b"", *scene.headers, ("x-large", "a" * 1_000_000))),
    "no-http": Fault(play=lambda scene: scene.instead(b"", *scene.headers, ("not a\x01header", "a"))),
    "not-gzip": Fault(
        play=lambda scene: Reply(headers=(*scene.headers, ("content-encoding", "gzip")), pieces=scene.pieces)
    ),
    "slow": Fault(play=_in_bits, status=200, blame="nobody"),
}
