"""Where proofs of another language travel: in the id of the turn's next tool call, the one slot that clients echo.

`call_1~fh1.AAA~~fh1.BBB` is the call `call_1`, before it a sealed proof of reasoning (`fh1.AAA`), and after the double
tilde the sealed proof of the call itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from freehold.ir import SEALED, Proof, Reasoning

_ID = re.compile(r"(?s)(?P<id>.*?)(?P<before>(?:~fh1\.[\w.\-]+)*)(?:~~(?P<own>fh1\.[\w.\-]+))?")


class SealedId(msgspec.Struct, frozen=True):
    """A tool call's id, freed of the seals that rode in it."""

    id: str
    before: tuple[Reasoning, ...] = ()
    own: Proof | None = None


def split_id(text: str) -> SealedId:
    """The id as the tool's caller made it, and the proofs that travelled with it."""
    if "~fh1." not in text:
        return SealedId(text)
    match = _ID.fullmatch(text)
    if match is None:
        return SealedId(text)
    values = [value for value in match["before"].split("~") if value]
    before = tuple(Reasoning(text="", proof=Proof(origin=SEALED, value=value)) for value in values)
    own = match["own"]
    return SealedId(match["id"], before, None if own is None else Proof(origin=SEALED, value=own))


def join_id(identity: str, before: Sequence[str], own: Proof | None) -> str:
    """The id with the sealed values of the reasoning before the call, and of the call itself."""
    seals = "".join(f"~{value}" for value in before)
    return f"{identity}{seals}~~{own.value}" if own is not None and own.origin == SEALED else identity + seals
