"""What the emulated upstreams say, vendor by vendor the same, and what they demand of the request before.

A test names a scenario in the text it sends: `scenario=one-call`. It survives every translation, and so does nothing
but the text itself decide what is answered.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import Literal

import msgspec

Stop = Literal["end", "calls", "sequence", "length"]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One tool call; the arguments as the pieces of JSON text in which they are streamed."""

    name: str
    pieces: tuple[str, ...]

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `prompt` counts all input tokens, cached ones included; `output` includes `reasoning`."""

    text: tuple[str, ...] = ()
    thought: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    stop: Stop = "end"
    prompt: int = 20
    cached: int = 0
    output: int = 12
    reasoning: int = 0

    @property
    def whole(self) -> str:
        return "".join(self.text)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One failure: as a status, or inside a stream that began well."""

    status: int
    retry_after: int | None = None
    after_pieces: int | None = None
    """How many events of a stream come first; None: the status itself says it."""


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that ends without its end."""

    ending: Literal["end", "reset", "close"]


class Heard(msgspec.Struct, kw_only=True):
    """What one request holds, read in the vendor's own places."""

    images: list[bytes] = []
    documents: list[bytes] = []
    results: list[tuple[str, str]] = []
    """Tool results: the call they answer (id, or name where the vendor has no ids) and their text."""
    calls: list[tuple[str, str]] = []
    """Calls of earlier turns: id, or name where the vendor has none, and their arguments."""
    proofs: list[str] = []
    stops: list[str] | None = []
    """None where the vendor knows no stop sequences."""
    tools: list[str] = []
    schema: object = None
    systems: list[str] = []
    limit: int | None = None


def _png(size: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\x00" + b"\xff\x00\x00" * size for _ in range(size))
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


IMAGE = _png()
DOCUMENT = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Count 0>>endobj\n%%EOF\n"
IMAGE_TEXT = base64.b64encode(IMAGE).decode()
DOCUMENT_TEXT = base64.b64encode(DOCUMENT).decode()
STOP_SEQUENCE = "###"
SYSTEM = "You are terse."
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
PARAMETERS: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

LISBON = Call(name="get_weather", pieces=('{"city":', ' "Lis', 'bon"}'))
PORTO = Call(name="get_weather", pieces=("", '{"city": "Porto"}'))
CITIES = Call(name="list_cities", pieces=("",))
"""A call without arguments: vendors that stream them as text send an empty one, not `{}`."""

RESULTS = {"Lisbon": "24 degrees in Lisbon", "Porto": "19 degrees in Porto"}

FIRST: dict[str, Said | Fault | Break] = {
    "text": Said(text=("Hello", " from Lisbon", " — já é ver", "ão 🌞", "!")),
    "system": Said(text=("Yes.",)),
    "one-call": Said(text=("Let me", " look."), calls=(LISBON,), stop="calls"),
    "two-calls": Said(calls=(LISBON, PORTO), stop="calls"),
    "bare-call": Said(calls=(CITIES,), stop="calls"),
    "image": Said(text=("A red", " square.")),
    "document": Said(text=("An empty", " document.")),
    "structured": Said(text=('{"city":', '"Lisbon",', '"degrees":24}')),
    "reasoning": Said(thought=("The user", " greets me."), text=("Good", " day."), output=40, reasoning=28),
    "reasoning-call": Said(thought=("I need", " the weather."), calls=(LISBON,), stop="calls", output=40, reasoning=28),
    "stop": Said(text=("one two ",), stop="sequence"),
    "length": Said(text=("one two three",), stop="length"),
    "cached": Said(text=("Cached.",), prompt=1200, cached=1000, output=5),
    "error-400": Fault(status=400),
    "error-401": Fault(status=401),
    "error-403": Fault(status=403),
    "error-404": Fault(status=404),
    "error-429": Fault(status=429),
    "error-429-later": Fault(status=429, retry_after=17),
    "error-500": Fault(status=500),
    "error-503": Fault(status=503),
    "error-529": Fault(status=529),
    "error-at-once": Fault(status=529, after_pieces=0),
    "error-in-stream": Fault(status=529, after_pieces=2),
    "reset": Break(ending="reset"),
    "cut": Break(ending="end"),
}
AFTER_RESULTS: dict[str, Said] = {
    "one-call": Said(text=("It is 24 degrees", " in Lisbon.")),
    "two-calls": Said(text=("24 and", " 19 degrees.")),
    "bare-call": Said(text=("Lisbon and Porto.",)),
    "reasoning-call": Said(text=("Sunny.",)),
}
SECOND_TURN: dict[str, Said] = {"reasoning": Said(text=("Still", " good."))}
"""Where the conversation goes on without tools: the request holds the first answer."""

MESSAGE = "the emulated upstream says no"
"""Part of every error's message."""

_MARK = re.compile(rb"scenario=([a-z0-9-]+)")


def scenario_of(body: bytes) -> str:
    """The scenario that a request names; `text` if none."""
    found = _MARK.search(body)
    return "text" if found is None else found[1].decode()


def choose(name: str, heard: Heard, proof: str | None) -> Said | Fault | Break:
    """What is said to a request. Raises AssertionError where the request lacks what the scenario needs.

    `proof` is what this vendor attaches to its reasoning, which must come back byte for byte.
    """
    if heard.results:
        _demand_results(name, heard)
        if name == "reasoning-call" and proof is not None:
            assert heard.proofs == [proof], f"{name}: the proof came back as {heard.proofs}"
        return AFTER_RESULTS[name]
    if name in SECOND_TURN and heard.proofs:
        assert heard.proofs == [proof], f"{name}: the proof came back as {heard.proofs}"
        return SECOND_TURN[name]
    match name:
        case "one-call" | "two-calls" | "reasoning-call":
            assert "get_weather" in heard.tools, f"{name}: the tools offered are {heard.tools}"
        case "image":
            assert heard.images == [IMAGE], f"{name}: {len(heard.images)} images, or other bytes"
        case "document":
            assert heard.documents == [DOCUMENT], f"{name}: {len(heard.documents)} documents, or other bytes"
        case "structured":
            assert isinstance(heard.schema, dict), f"{name}: no schema"
            assert set(heard.schema["properties"]) == {"city", "degrees"}, f"{name}: schema {heard.schema}"
        case "stop":
            assert heard.stops in (None, [STOP_SEQUENCE]), f"{name}: stop sequences {heard.stops}"
        case "system":
            assert heard.systems == [SYSTEM], f"{name}: system texts {heard.systems}"
        case _:
            pass
    return FIRST[name]


def _demand_results(name: str, heard: Heard) -> None:
    called = [call for call, _ in heard.calls]
    answered = [call for call, _ in heard.results]
    assert called == answered, f"{name}: calls {called} but results for {answered}"
    texts = " ".join(text for _, text in heard.results)
    for city, result in RESULTS.items():
        if any(city in arguments for _, arguments in heard.calls):
            assert result in texts, f"{name}: the result for {city} is missing in {texts!r}"
