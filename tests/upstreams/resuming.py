"""Upstreams that break off in the middle, and upstreams that go on where another stopped, character by character."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

from tests.upstreams.emulator import Emulator, unpacked
from tests.upstreams.scenarios import Said
from tests.upstreams.server import Asked, Reply

Ending = Literal["end", "reset", "close", "silence"]


def shown(body: bytes) -> str:
    """The text of the last assistant turn of a request, in whatever vendor's words."""
    request = json.loads(body)
    for name in ("messages", "input", "contents"):
        turns = [turn for turn in request.get(name) or [] if turn.get("role") in ("assistant", "model")]
        if turns:
            content = turns[-1].get("content", turns[-1].get("parts"))
            return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return ""


def last_role(body: bytes) -> str:
    """Whose turn ends the conversation."""
    request = json.loads(body)
    return next(request[name][-1]["role"] for name in ("messages", "input", "contents") if name in request)


def breaking(
    emulator: Emulator, said: Said, after: str, ending: Ending = "reset", last: bytes = b""
) -> Callable[[Asked], Reply]:
    """Says so much that `after` is told, then `last`, and breaks off."""

    def reply(asked: Asked) -> Reply:
        pieces: list[bytes] = []
        told = b""
        for piece in emulator.vendor.pieces(asked, said):
            pieces.append(piece)
            told += unpacked(piece)
            if json.dumps(after)[1:-1].encode() in told or after.encode() in told:
                break
        return Reply(headers=emulator.vendor.stream_headers, pieces=[*pieces, last] if last else pieces, ending=ending)

    return reply


def honouring(emulator: Emulator, whole: Said, repeated: int = 0) -> Callable[[Asked], Reply]:
    """Goes on with `whole` where the shown text stops, or some characters before."""

    def reply(asked: Asked) -> Reply:
        begun = shown(asked.body)
        assert whole.whole.startswith(begun), f"{begun!r} was never said"
        rest = whole.whole[max(len(begun) - repeated, 0) :]
        pieces = tuple(rest[at : at + 7] for at in range(0, len(rest), 7))
        said = Said(text=pieces, calls=whole.calls, stop=whole.stop, prompt=whole.prompt, output=whole.output)
        return Reply(headers=emulator.vendor.stream_headers, pieces=emulator.vendor.pieces(asked, said))

    return reply


def bodies(emulator: Emulator) -> list[Any]:
    """What it was asked."""
    return [json.loads(asked.body) for asked in emulator.asked]
