"""Proofs through foreign protocols and back: byte for byte, to their maker only, for their project only."""

from __future__ import annotations

import msgspec
import pytest

from freehold.exchange.proofs import SEAL_PREFIX, Maker, SealedStream, open_proofs, seal_response
from freehold.governance.seal import Sealer
from freehold.governance.secret import ServerSecret
from freehold.ir import (
    SEALED,
    Choice,
    Extra,
    Generate,
    Language,
    Message,
    Part,
    Proof,
    Reasoning,
    Response,
    Text,
    ToolCall,
)
from freehold.ir.fold import Folding, unfold
from freehold.ir.grammar import check_stream
from freehold.protocols.registry import CODECS

SEALER = Sealer(ServerSecret(bytes(32)))
LANGUAGES = {codec.language.name: codec.language for codec in CODECS.values()}
ANTHROPIC = LANGUAGES["anthropic-messages"]
GEMINI = LANGUAGES["gemini-generate"]
RESPONSES = LANGUAGES["openai-responses"]
CLAUDE = Maker("anthropic", "claude")


def thought(language: Language, value: str = "c2lnbmF0dXJl") -> Reasoning:
    return Reasoning(text="first, then", proof=Proof(origin=language.name, value=value))


PARTS: dict[str, tuple[Part, ...]] = {
    "a signed thought": (thought(ANTHROPIC), Text(text="so")),
    "a thought without words": (Reasoning(text="", proof=Proof(origin=ANTHROPIC.name, value="x")), Text(text="so")),
    "a redacted thought": (
        Reasoning(text="", redacted=True, proof=Proof(origin=ANTHROPIC.name, value="AAAA")),
        Text(text="so"),
    ),
    "an encrypted thought with its id": (
        Reasoning(
            text="",
            proof=Proof(origin=ANTHROPIC.name, value="gAAAA"),
            extra=Extra(ANTHROPIC, {"id": "rs_1", "summary": []}),
        ),
        Text(text="so"),
    ),
    "a signed call": (
        ToolCall(id="c1", name="f", arguments="{}", proof=Proof(origin=ANTHROPIC.name, value="sig")),
        ToolCall(id="c2", name="g", arguments="{}"),
    ),
    "signed words": (Text(text="so", proof=Proof(origin=ANTHROPIC.name, value="sig")),),
    "several thoughts between calls": (
        thought(ANTHROPIC, "one"),
        ToolCall(id="c1", name="f", arguments="{}"),
        thought(ANTHROPIC, "two"),
        ToolCall(id="c2", name="g", arguments="{}"),
    ),
}


def sealed(parts: tuple[Part, ...], client: Language, project: str = "p") -> tuple[Part, ...]:
    response = Response(origin="anthropic-messages", choices=(Choice(parts=parts),))
    return seal_response(response, client, CLAUDE, SEALER, project).choices[0].parts


def opened(parts: tuple[Part, ...], maker: Maker = CLAUDE, project: str = "p") -> tuple[tuple[Part, ...], int]:
    request = Generate(origin="x", model="m", messages=(Message(role="assistant", parts=parts),))
    done = open_proofs(request, target=ANTHROPIC, maker=maker, sealer=SEALER, project=project, languages=LANGUAGES)
    return done.request.messages[0].parts, len(done.losses)


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS.keys())
@pytest.mark.parametrize("client", [GEMINI, RESPONSES], ids=["gemini", "responses"])
def test_what_was_signed_returns_as_it_was(parts: tuple[Part, ...], client: Language) -> None:
    through = sealed(parts, client)
    proofs = [part.proof for part in through if isinstance(part, Reasoning) and part.proof is not None]
    assert proofs
    assert all(proof.origin == SEALED and proof.value.startswith(SEAL_PREFIX) for proof in proofs)
    assert opened(through) == (parts, 0)


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS.keys())
def test_a_stream_is_sealed_like_the_whole(parts: tuple[Part, ...]) -> None:
    whole = Response(origin="anthropic-messages", choices=(Choice(parts=parts),))
    stream = SealedStream(GEMINI, CLAUDE, SEALER, "p")
    batches = [stream.feed(batch) for batch in unfold(whole)]
    check_stream(batches)
    folding = Folding()
    for batch in batches:
        folding.feed(batch)
    assert opened(folding.done().choices[0].parts) == (parts, 0)


def test_the_native_value_passes_unsealed_in_its_own_protocol() -> None:
    parts = PARTS["a signed thought"]
    assert sealed(parts, ANTHROPIC) == parts


@pytest.mark.parametrize("maker", [Maker("bedrock", "claude"), Maker("anthropic", "other")])
def test_another_provider_or_family_never_sees_it(maker: Maker) -> None:
    through = sealed(PARTS["a signed thought"], GEMINI)
    parts, losses = opened(through, maker)
    assert losses == 1
    assert parts == (Reasoning(text="first, then"), Text(text="so"))


def test_a_seal_of_another_project_is_dropped() -> None:
    parts, losses = opened(sealed(PARTS["a signed thought"], GEMINI), project="q")
    assert losses == 1
    assert parts[0] == Reasoning(text="first, then")


def test_a_seal_that_was_tampered_with_is_dropped() -> None:
    first, *rest = sealed(PARTS["a signed thought"], GEMINI)
    assert isinstance(first, Reasoning)
    assert first.proof is not None
    middle = len(first.proof.value) // 2
    letter = "A" if first.proof.value[middle] != "A" else "B"
    forged = Proof(origin=SEALED, value=first.proof.value[:middle] + letter + first.proof.value[middle + 1 :])
    parts, losses = opened((msgspec.structs.replace(first, proof=forged), *rest))
    assert losses == 1
    assert all(getattr(part, "proof", None) is None for part in parts)


def test_the_same_turn_always_gives_the_same_seal() -> None:
    assert sealed(PARTS["a signed thought"], GEMINI) == sealed(PARTS["a signed thought"], GEMINI)
