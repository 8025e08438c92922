"""An answer spoken token by token: the batches of a stream and the pauses before them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from freehold.ir import ArgumentsDelta, Event, Response, TextDelta
from freehold.ir.fold import unfold
from freehold.sandbox.tokens import pieces


def spoken(response: Response) -> Iterator[tuple[list[Event], int]]:
    """Each batch of the answer with the tokens that it took to say; whatever is text comes a word at a time."""
    for batch in unfold(response):
        match batch:
            case [TextDelta() | ArgumentsDelta() as delta]:
                for piece in pieces(delta.text):
                    yield [msgspec.structs.replace(delta, text=piece)], 1
            case _:
                yield batch, 0
