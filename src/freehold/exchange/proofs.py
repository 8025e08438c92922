"""Reasoning proofs on their way through foreign protocols: sealed towards the client, opened towards the provider.

A proof must return byte for byte to the provider that made it.  Where the client speaks another protocol, the whole
signed thought travels as one sealed string in the slot that this protocol echoes, and is restored from it on the next
turn.  Where client and provider speak the same protocol, the native proof passes as it is, so that one can leave.

A seal holds: the language, provider and model family that made the proof, what it was attached to, the text it vouches
for, the proof, and the fields that rode along.  It is bound to the project; a seal of another project, of another
provider, or one that was tampered with is dropped, reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from freehold.ir import (
    SEALED,
    Choice,
    Event,
    Extra,
    Generate,
    Language,
    Loss,
    Media,
    Message,
    Part,
    PartEnd,
    PartStart,
    Proof,
    ProofDelta,
    Reasoning,
    Response,
    Text,
    TextDelta,
    ToolCall,
    parse_object,
    write_json,
)

SEAL_PREFIX = "fh1."
"""How every seal begins, whatever slot it travels in."""


class Sealer(Protocol):
    """Authenticated encryption of small payloads into URL-safe text that begins with `SEAL_PREFIX`."""

    def seal(self, payload: bytes, *, project: str) -> str:
        """The same payload and project always give the same text."""
        ...

    def unseal(self, text: str, *, project: str) -> bytes | None:
        """None for a seal that was not made for this project, or was tampered with."""
        ...


class Maker(msgspec.Struct, frozen=True):
    """Who made a proof: the provider and the model's family (`claude`, `gemini`, `gpt`)."""

    provider: str
    family: str


class _Payload(msgspec.Struct, frozen=True, array_like=True):
    """What a seal holds."""

    language: str
    provider: str
    family: str
    kind: Literal["reasoning", "redacted", "text", "call", "media"]
    text: str
    proof: str
    extra: bytes
    """The fields that rode along, as JSON; empty for none."""


_DECODER = msgspec.msgpack.Decoder(_Payload)

_Seal = Callable[[_Payload], Proof]


def _sealing(sealer: Sealer, project: str) -> _Seal:
    def seal(payload: _Payload) -> Proof:
        return Proof(origin=SEALED, value=sealer.seal(msgspec.msgpack.encode(payload), project=project))

    return seal


def _payload(part: Text | Reasoning | ToolCall | Media, proof: Proof, maker: Maker) -> _Payload:
    extra = write_json(part.extra.fields) if isinstance(part, Reasoning) and part.extra is not None else b""
    match part:
        case Reasoning():
            kind = "redacted" if part.redacted else "reasoning"
            return _Payload(proof.origin, maker.provider, maker.family, kind, part.text, proof.value, extra)
        case Text():
            return _Payload(proof.origin, maker.provider, maker.family, "text", "", proof.value, b"")
        case ToolCall():
            return _Payload(proof.origin, maker.provider, maker.family, "call", "", proof.value, b"")
        case Media():
            return _Payload(proof.origin, maker.provider, maker.family, "media", "", proof.value, b"")


def seal_response(response: Response, client: Language, maker: Maker, sealer: Sealer, project: str) -> Response:
    """The answer with every proof that the client's protocol has no native word for sealed."""
    if not any(_foreign(part, client) for choice in response.choices for part in choice.parts):
        return response
    seal = _sealing(sealer, project)
    choices = tuple(_seal_choice(choice, client, maker, seal) for choice in response.choices)
    return msgspec.structs.replace(response, choices=choices)


def _foreign(part: Part, client: Language) -> bool:
    return (
        isinstance(part, Reasoning | Text | ToolCall | Media)
        and part.proof is not None
        and part.proof.origin != client.name
    )


def _seal_choice(choice: Choice, client: Language, maker: Maker, seal: _Seal) -> Choice:
    parts: list[Part] = []
    for part in choice.parts:
        if _foreign(part, client):
            parts.extend(_seal_part(part, maker, seal))
        else:
            parts.append(part)
    return msgspec.structs.replace(choice, parts=tuple(parts))


def _seal_part(part: Part, maker: Maker, seal: _Seal) -> tuple[Part, ...]:
    """A signed thought keeps its place; other signed parts get an empty thought that carries the seal.

    It stands before a tool call (Chat Completions puts it into that call's id) and after anything else.
    """
    if not isinstance(part, Text | Reasoning | ToolCall | Media) or part.proof is None:
        return (part,)
    sealed = seal(_payload(part, part.proof, maker))
    if isinstance(part, Reasoning):
        return (msgspec.structs.replace(part, proof=sealed),)
    carrier = Reasoning(text="", proof=sealed)
    bare = msgspec.structs.replace(part, proof=None)
    return (carrier, bare) if isinstance(part, ToolCall) else (bare, carrier)


class SealedStream:
    """The same for a stream: batches in, batches with sealed proofs out, parts renumbered where carriers come in."""

    __slots__ = ("_client", "_indexes", "_next", "_open", "_seal", "_untouched", "maker")

    def __init__(self, client: Language, maker: Maker, sealer: Sealer, project: str) -> None:
        self._client = client
        self.maker = maker
        self._seal = _sealing(sealer, project)
        self._indexes: dict[tuple[int, int], int] = {}
        self._next: dict[int, int] = {}
        # Parts under way: what is known of each so far, its words, and its proof.
        self._open: dict[tuple[int, int], tuple[Part, list[str], list[Proof]]] = {}
        # Parts whose words pass as they are: they keep their number, and no proof vouches for them.
        self._untouched: set[tuple[int, int]] = set()

    def feed(self, batch: Sequence[Event]) -> Sequence[Event]:
        """One batch; the same one where nothing in it is to be sealed, as in most of a stream."""
        if len(batch) == 1:
            event = batch[0]
            if isinstance(event, TextDelta) and (event.choice, event.index) in self._untouched:
                return batch
        events: list[Event] = []
        for event in batch:
            self._take(event, events)
        return events

    def _number(self, choice: int) -> int:
        number = self._next.get(choice, 0)
        self._next[choice] = number + 1
        return number

    def _take(self, event: Event, events: list[Event]) -> None:
        match event:
            case PartStart():
                self._start(event, events)
            case TextDelta():
                key = (event.choice, event.index)
                known = self._open.get(key)
                if known is not None and isinstance(known[0], Reasoning):
                    known[1].append(event.text)
                events.append(self._renumbered(event))
            case ProofDelta():
                known = self._open.get((event.choice, event.index))
                if event.proof.origin == self._client.name or known is None:
                    events.append(self._renumbered(event))
                else:
                    known[2].append(event.proof)
            case PartEnd():
                self._end(event, events)
            case _:
                events.append(self._renumbered(event) if hasattr(event, "index") else event)

    def _renumbered(self, event: Event) -> Event:
        index = getattr(event, "index", None)
        if index is None:
            return event
        number = self._indexes.get((getattr(event, "choice", 0), index), index)
        return event if number == index else msgspec.structs.replace(event, index=number)

    def _carry(self, choice: int, proof: Proof, events: list[Event]) -> None:
        number = self._number(choice)
        events.append(PartStart(index=number, part=Reasoning(text=""), choice=choice))
        events.append(ProofDelta(index=number, proof=proof, choice=choice))
        events.append(PartEnd(index=number, choice=choice))

    def _start(self, event: PartStart, events: list[Event]) -> None:
        part = event.part
        proofs: list[Proof] = []
        if isinstance(part, Text | Reasoning | ToolCall | Media) and _foreign(part, self._client) and part.proof:
            if isinstance(part, ToolCall):
                self._carry(event.choice, self._seal(_payload(part, part.proof, self.maker)), events)
                part = msgspec.structs.replace(part, proof=None)
            elif isinstance(part, Reasoning) and part.redacted:
                part = msgspec.structs.replace(part, proof=self._seal(_payload(part, part.proof, self.maker)))
            else:
                proofs.append(part.proof)
                part = msgspec.structs.replace(part, proof=None)
        key = (event.choice, event.index)
        self._indexes[key] = self._number(event.choice)
        words = [part.text] if isinstance(part, Reasoning) else []
        if self._indexes[key] == event.index and not isinstance(part, Reasoning):
            self._untouched.add(key)
        else:
            self._untouched.discard(key)
        self._open[key] = (part, words, proofs)
        events.append(msgspec.structs.replace(event, part=part, index=self._indexes[key]))

    def _end(self, event: PartEnd, events: list[Event]) -> None:
        key = (event.choice, event.index)
        known = self._open.pop(key, None)
        part, words, proofs = known if known is not None else (None, list[str](), list[Proof]())
        final = event.part
        if final is not None and _foreign(final, self._client):
            proof = getattr(final, "proof", None)
            proofs = [proof] if isinstance(proof, Proof) else proofs
            part = final if isinstance(final, Reasoning) else part
            final = msgspec.structs.replace(final, proof=None)
        number = self._indexes.get(key, event.index)
        if not proofs or not isinstance(part, Text | Reasoning | Media | ToolCall):
            events.append(msgspec.structs.replace(event, index=number, part=final))
            return
        proof = Proof(origin=proofs[0].origin, value="".join(item.value for item in proofs))
        if isinstance(part, Reasoning):
            whole = part if part.text else msgspec.structs.replace(part, text="".join(words))
            sealed = self._seal(_payload(whole, proof, self.maker))
            events.append(ProofDelta(index=number, proof=sealed, choice=event.choice))
            if isinstance(final, Reasoning):
                final = msgspec.structs.replace(final, proof=sealed)
            events.append(msgspec.structs.replace(event, index=number, part=final))
            return
        events.append(msgspec.structs.replace(event, index=number, part=final))
        self._carry(event.choice, self._seal(_payload(part, proof, self.maker)), events)


class Opened(msgspec.Struct, frozen=True):
    """A request whose seals were opened for one target, and what could not be."""

    request: Generate
    losses: tuple[Loss, ...] = ()


def open_proofs(
    request: Generate,
    *,
    target: Language,
    maker: Maker,
    sealer: Sealer,
    project: str,
    languages: Mapping[str, Language],
) -> Opened:
    """The request as the provider of `target` may see it: its own proofs restored, everybody else's taken away."""
    if not any(isinstance(part, Reasoning) and part.proof for message in request.messages for part in message.parts):
        return Opened(request)
    losses: list[Loss] = []
    opener = _Opener(target=target, maker=maker, sealer=sealer, project=project, languages=languages, losses=losses)
    messages = tuple(opener.message(index, message) for index, message in enumerate(request.messages))
    return Opened(msgspec.structs.replace(request, messages=messages), tuple(losses))


class _Opener:
    """Opens the seals of one request for one target."""

    def __init__(
        self,
        *,
        target: Language,
        maker: Maker,
        sealer: Sealer,
        project: str,
        languages: Mapping[str, Language],
        losses: list[Loss],
    ) -> None:
        self.target = target
        self.maker = maker
        self.sealer = sealer
        self.project = project
        self.languages = languages
        self.losses = losses
        self.for_next_call: Proof | None = None

    def message(self, number: int, message: Message) -> Message:
        if message.role != "assistant":
            # Responses splits a turn into items: the seal may stand one message before its call.
            self.for_next_call = None
        parts: list[Part] = []
        for index, part in enumerate(message.parts):
            if isinstance(part, Reasoning) and part.proof is not None and part.proof.value.startswith(SEAL_PREFIX):
                self._open(part, part.proof.value, parts, f"messages[{number}].parts[{index}].proof")
            elif isinstance(part, ToolCall) and self.for_next_call is not None:
                parts.append(msgspec.structs.replace(part, proof=self.for_next_call))
                self.for_next_call = None
            else:
                parts.append(part)
        return msgspec.structs.replace(message, parts=tuple(parts))

    def _open(self, part: Reasoning, text: str, parts: list[Part], path: str) -> None:
        payload = self._payload(text)
        if payload is None:
            self._drop(part, parts, path, "the seal is not this project's, or was changed")
            return
        if (payload.provider, payload.family) != (self.maker.provider, self.maker.family):
            self._drop(part, parts, path, f"made by {payload.provider} for {payload.family}")
            return
        # One provider may speak several languages about one model (Bedrock: Converse, Invoke); the proof is its own.
        proof = Proof(origin=self.target.name, value=payload.proof)
        match payload.kind:
            case "call":
                self.for_next_call = proof
            case "text" | "media":
                self._attach(proof, parts)
            case _:
                parts.append(
                    Reasoning(
                        text=payload.text,
                        proof=proof,
                        redacted=payload.kind == "redacted",
                        extra=self._extra(payload),
                    )
                )

    def _payload(self, text: str) -> _Payload | None:
        opened = self.sealer.unseal(text, project=self.project)
        if opened is None:
            return None
        try:
            return _DECODER.decode(opened)
        except msgspec.DecodeError:
            return None

    def _extra(self, payload: _Payload) -> Extra | None:
        language = self.languages.get(payload.language)
        if not payload.extra or language is None:
            return None
        return Extra(language, parse_object(payload.extra))

    def _attach(self, proof: Proof, parts: list[Part]) -> None:
        """Give the proof back to the text or picture before it, else to an empty text (Gemini accepts both)."""
        if parts and isinstance(parts[-1], Text | Media) and parts[-1].proof is None:
            parts[-1] = msgspec.structs.replace(parts[-1], proof=proof)
        else:
            parts.append(Text(text="", proof=proof))

    def _drop(self, part: Reasoning, parts: list[Part], path: str, why: str) -> None:
        self.losses.append(Loss(path=path, kind="dropped", effect="behaviour", detail=why))
        if part.text:
            parts.append(msgspec.structs.replace(part, proof=None))
