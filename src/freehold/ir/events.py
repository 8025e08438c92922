"""A response as it arrives: events, in batches of one wire frame each.

A decoder turns each frame into one batch (a list of events); an encoder turns each batch into frames.  Batches keep
frame boundaries, so a stream re-encoded to its own language has the frames it came with.

Every event may carry `rest`: what was left of its frame, for the same language only.  It belongs to the frame, not to
the answer: `fold` ignores it.  What belongs to the answer stands in the parts and responses inside the events.

Grammar (see `grammar.py`):

    ResponseStart (PartStart Delta* PartEnd | UsageDelta | Pulse | ChoiceEnd)* ResponseEnd
    ErrorEnd may come anywhere and is the last.  Parts may overlap; `index` is unique within a choice.
"""

from __future__ import annotations

import msgspec

from freehold.ir.values import Extra, Failure, Finish, Part, Proof, Response, Usage


class ResponseStart(msgspec.Struct, frozen=True, kw_only=True):
    """The answer begins. `response` has no choices yet; id, model, created and first usage where known."""

    response: Response
    rest: Extra | None = None


class PartStart(msgspec.Struct, frozen=True, kw_only=True):
    """A part begins: `part` with empty text or arguments, or complete where the protocol gives it whole."""

    index: int
    part: Part
    choice: int = 0
    rest: Extra | None = None


class TextDelta(msgspec.Struct, frozen=True, kw_only=True):
    """More words of a Text, Refusal or Reasoning part."""

    index: int
    text: str
    choice: int = 0
    rest: Extra | None = None


class ArgumentsDelta(msgspec.Struct, frozen=True, kw_only=True):
    """More JSON text of a ToolCall's arguments; fragments are not JSON by themselves."""

    index: int
    text: str
    choice: int = 0
    rest: Extra | None = None


class ProofDelta(msgspec.Struct, frozen=True, kw_only=True):
    """The proof of a part; several are joined."""

    index: int
    proof: Proof
    choice: int = 0
    rest: Extra | None = None


class ExtraDelta(msgspec.Struct, frozen=True, kw_only=True):
    """Fields that join a part's extra: lists are appended to, objects merged, anything else replaced."""

    index: int
    extra: Extra
    choice: int = 0
    rest: Extra | None = None


class PartEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A part is complete. `part`, where given, is its final form and replaces what the deltas made."""

    index: int
    part: Part | None = None
    choice: int = 0
    rest: Extra | None = None


class ChoiceEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate is complete. `extra` becomes the choice's."""

    finish: Finish | None
    choice: int = 0
    extra: Extra | None = None
    rest: Extra | None = None


class UsageDelta(msgspec.Struct, frozen=True, kw_only=True):
    """Usage so far: a later figure replaces an earlier one key by key."""

    usage: Usage
    rest: Extra | None = None


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """A frame that says nothing to another language: a keep-alive, an empty delta, a progress note."""

    rest: Extra | None = None


class ResponseEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The answer is complete and the stream ended as its protocol says it must. `extra` joins the response's."""

    extra: Extra | None = None
    rest: Extra | None = None


class ErrorEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The answer broke off; nothing follows."""

    failure: Failure
    rest: Extra | None = None


Event = (
    ResponseStart
    | PartStart
    | TextDelta
    | ArgumentsDelta
    | ProofDelta
    | ExtraDelta
    | PartEnd
    | ChoiceEnd
    | UsageDelta
    | Pulse
    | ResponseEnd
    | ErrorEnd
)
