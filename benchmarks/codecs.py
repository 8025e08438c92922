"""`python -m benchmarks.codecs`: what reading and writing costs in each codec, without sockets.

Microseconds of this process's own CPU time, the least of many rounds: for a request and its answer in each of three
sizes, and for one text delta of a stream.  What is written came from another protocol, as it does in translation.  The
first line times a fixed piece of work that has nothing to do with Freehold: dividing by it compares runs on a machine
that is not always equally fast.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import upstream
from benchmarks.__main__ import QUESTION
from freehold.exchange.proofs import Maker, SealedStream
from freehold.ir import Choice, Event, Finish, Response, Text, ToolCall, Usage
from freehold.protocols.codec import Codec, Frame, Stamp, WireRequest, WireResponse
from freehold.protocols.registry import CODECS
from freehold.transport.framing import frame_parser, frame_writer

NAMES = ("openai-chat", "anthropic-messages", "openai-responses")
STAMP = Stamp(id="0199aa00bb11cc22", created=1_760_000_000)
SIZES = ("chat", "tools", "long")
WAYS = ("request read", "request written", "answer read", "answer written")
DELTAS = 100

Work = Callable[[], object]


# --- What is measured ------------------------------------------------------------------------------------------------


def _tool(name: str) -> dict[str, object]:
    place = {"type": "string", "description": "City and country, for example Bogotá, Colombia"}
    unit = {"type": "string", "enum": ["celsius", "fahrenheit"]}
    schema = {"type": "object", "properties": {"place": place, "unit": unit}, "required": ["place"]}
    return {
        "type": "function",
        "function": {"name": name, "description": f"Says {name} of a place", "parameters": schema},
    }


def _call(number: int) -> dict[str, object]:
    function = {"name": "weather", "arguments": '{"place":"Bogotá, Colombia","unit":"celsius"}'}
    return {"id": f"call_{number}", "type": "function", "function": function}


def _bodies() -> dict[str, dict[str, object]]:
    """Requests as Chat Completions says them: one question, an agent's turn with tools, and 110 KB."""
    chat: list[dict[str, object]] = [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": QUESTION},
    ]
    agent = [*chat]
    for number in range(4):
        agent += [
            {"role": "assistant", "content": "Let me look.", "tool_calls": [_call(number)]},
            {"role": "tool", "tool_call_id": f"call_{number}", "content": '{"temperature":21,"sky":"cloudy"}'},
        ]
    long: list[dict[str, object]] = [{"role": "user", "content": QUESTION * 150}]
    settings: dict[str, object] = {"model": "small", "max_tokens": 256, "temperature": 0.7}
    return {
        "chat": {**settings, "messages": chat},
        "tools": {**settings, "messages": agent, "tools": [_tool("weather"), _tool("time"), _tool("population")]},
        "long": {**settings, "messages": long},
    }


def _answers() -> dict[str, Response]:
    """Answers to them."""
    usage = Usage(input_tokens=57, output_tokens=92, cache_read=0, reasoning=0)
    text = Text(text=upstream.TEXT)
    call = ToolCall(id="call_9", name="weather", arguments='{"place":"Lima, Peru"}')
    stop, wait = Finish(kind="stop"), Finish(kind="tool_calls")
    said = {
        "chat": Choice(parts=(text,), finish=stop),
        "tools": Choice(parts=(text, call), finish=wait),
        "long": Choice(parts=(Text(text=upstream.TEXT * 20),), finish=stop),
    }
    return {
        name: Response(origin="", choices=(choice,), id="answer-1", model="small-2025", usage=usage)
        for name, choice in said.items()
    }


def _other(name: str) -> Codec:
    """The protocol that `name` is translated from here."""
    return CODECS["anthropic-messages" if name == "openai-chat" else "openai-chat"]


def wire_requests(codec: Codec) -> dict[str, WireRequest]:
    """The requests in a codec's own protocol."""
    chat = CODECS["openai-chat"]
    wires = {
        name: WireRequest(path="/v1/chat/completions", body=json.dumps(body, ensure_ascii=False).encode())
        for name, body in _bodies().items()
    }
    if codec is chat:
        return wires
    return {name: codec.encode_request(chat.decode_request(wire)).value for name, wire in wires.items()}


def wire_answers(codec: Codec) -> dict[str, WireResponse]:
    """The answers in a codec's own protocol; the plain ones are what the emulated provider sends."""
    wires = {name: codec.encode_response(answer, STAMP).value for name, answer in _answers().items()}
    plain = {"openai-chat": upstream.CHAT, "anthropic-messages": upstream.MESSAGE}.get(codec.name)
    if plain is not None:
        wires["chat"] = WireResponse(status=200, body=plain)
    return wires


def wire_stream(codec: Codec) -> list[Frame]:
    """A streamed answer of `DELTAS` pieces of text."""
    match codec.name:
        case "openai-chat":
            sent = upstream.CHAT_HEAD + upstream.CHAT_CHUNK * DELTAS + upstream.CHAT_TAIL
        case "anthropic-messages":
            sent = upstream.MESSAGE_HEAD + upstream.MESSAGE_CHUNK * DELTAS + upstream.MESSAGE_TAIL
        case _:
            batches = decoded(CODECS["openai-chat"])
            encoder = codec.encoder(STAMP)
            return [frame for batch in batches for frame in encoder.feed(batch)]
    parser = frame_parser("sse")
    return [*parser.feed(sent), *parser.close()]


def decoded(codec: Codec) -> list[list[Event]]:
    """The events of that stream, a batch for each frame."""
    decoder = codec.decoder()
    return [decoder.feed(frame) for frame in wire_stream(codec)]


def _read_stream(codec: Codec, frames: list[Frame]) -> None:
    feed = codec.decoder().feed
    for frame in frames:
        feed(frame)


def _write_stream(codec: Codec, batches: list[list[Event]]) -> None:
    feed = codec.encoder(STAMP).feed
    for batch in batches:
        feed(batch)


class _NoSealer:
    """Nothing in these streams has to be sealed."""

    def seal(self, payload: bytes, *, project: str) -> str:
        raise AssertionError(payload, project)

    def unseal(self, text: str, *, project: str) -> bytes | None:
        raise AssertionError(text, project)


def _seal_stream(codec: Codec, batches: list[list[Event]]) -> None:
    feed = SealedStream(codec.language, Maker("provider", "family"), _NoSealer(), "local").feed
    for batch in batches:
        feed(batch)


def _frame_stream(frames: list[Frame], data: list[bytes]) -> None:
    write, read = frame_writer("sse").write, frame_parser("sse").feed
    for frame in frames:
        write(frame)
    for piece in data:
        read(piece)


def works() -> dict[str, tuple[Work, int]]:
    """Everything that is measured, and how many units of it one call does."""
    found: dict[str, tuple[Work, int]] = {}
    for name in NAMES:
        codec, other = CODECS[name], CODECS[_other(name).name]
        requests, foreign = wire_requests(codec), wire_requests(other)
        answers, foreign_answers = wire_answers(codec), wire_answers(other)
        for size in requests:
            asked, answer = other.decode_request(foreign[size]), other.decode_response(foreign_answers[size])
            found[f"{name} {size} request read"] = partial(codec.decode_request, requests[size]), 1
            found[f"{name} {size} request written"] = partial(codec.encode_request, asked), 1
            found[f"{name} {size} answer read"] = partial(codec.decode_response, answers[size], asked), 1
            found[f"{name} {size} answer written"] = partial(codec.encode_response, answer, STAMP, asked), 1
        batches = decoded(other)
        found[f"{name} delta read"] = partial(_read_stream, codec, wire_stream(codec)), DELTAS
        found[f"{name} delta written"] = partial(_write_stream, codec, batches), DELTAS
        found[f"{name} delta sealed"] = partial(_seal_stream, codec, batches), DELTAS
    frames = wire_stream(CODECS["anthropic-messages"])
    pieces = [frame_writer("sse").write(frame) for frame in frames]
    found["server-sent event"] = partial(_frame_stream, frames, pieces), DELTAS
    return found


# --- Measuring -------------------------------------------------------------------------------------------------------


def _yardstick() -> None:
    """Work of the same kind that is always the same: small objects, dictionary look-ups, JSON."""
    counts: dict[str, int] = {}
    for number in range(200):
        key = str(number % 17)
        counts[key] = counts.get(key, 0) + number
    json.dumps(counts)


def measure(wanted: dict[str, tuple[Work, int]], rounds: int) -> dict[str, float]:
    """Microseconds for a unit of each work: the least of the rounds, which visit every work in turn.

    A visit is half a millisecond long, so that some of them fall between what others do on the machine.
    """
    now = time.process_time
    calls: dict[str, int] = {}
    least: dict[str, float] = {}
    for name, (work, _) in wanted.items():
        work()
        began = now()
        work()
        calls[name] = max(1, int(0.0005 / max(now() - began, 1e-6)))
        least[name] = float("inf")
    for _ in range(rounds):
        for name, (work, units) in wanted.items():
            count = calls[name]
            began = now()
            for _ in range(count):
                work()
            least[name] = min(least[name], (now() - began) / (count * units) * 1e6)
    return least


def _print(least: dict[str, float]) -> None:
    say = sys.stdout.write

    def row(head: str, figures: list[str], decimals: int) -> None:
        say(f"{head:<42}" + "".join(f"{least[name]:>17.{decimals}f}" for name in figures) + "\n")

    say(f"yardstick {least['yardstick']:.1f} µs\n\n{'µs':<42}{''.join(f'{way:>17}' for way in WAYS)}\n")
    for name in NAMES:
        for size in SIZES:
            row(f"{name} {size}", [f"{name} {size} {way}" for way in WAYS], 1)
    say(f"\n{'µs per text delta':<42}{'read':>17}{'written':>17}{'sealed':>17}\n")
    for name in NAMES:
        row(name, [f"{name} delta {way}" for way in ("read", "written", "sealed")], 2)
    row("server-sent event, read and written", ["server-sent event"], 2)
    say(f"\n{'translated, client → upstream':<42}{'exchange':>17}{'delta':>17}\n")
    for client, target in itertools.permutations(NAMES, 2):
        speakers = (client, target, target, client)
        whole = sum(least[f"{who} chat {way}"] for who, way in zip(speakers, WAYS, strict=True))
        delta = least[f"{target} delta read"] + least[f"{client} delta sealed"] + least[f"{client} delta written"]
        say(f"{client + ' → ' + target:<42}{whole:>17.1f}{delta:>17.2f}\n")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codecs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="visits of each piece of work")
    parser.add_argument("--only", default="", help="measure only what has this in its name, and list it plainly")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    wanted: dict[str, tuple[Work, int]] = {"yardstick": (_yardstick, 1), **works()}
    if options.only:
        wanted = {name: work for name, work in wanted.items() if options.only in name or name == "yardstick"}
    least = measure(wanted, options.rounds)
    if options.only:
        for name, figure in least.items():
            sys.stdout.write(f"{name:<50}{figure:>9.2f}\n")
    else:
        _print(least)
    if options.json is not None:
        options.json.write_text(json.dumps(least, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
