"""Token counts: what each tokenizer is made of, and how far it is off, measured over the recorded exchanges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from freehold.errors import FreeholdError
from freehold.exchange.recordings import Recording, find_recordings, read_recording
from freehold.exchange.translate import stream_framing
from freehold.ir import Count, Generate, Request, Response, Result, TokenCount
from freehold.ir.fold import fold
from freehold.protocols.codec import Codec, Unsupported, WireResponse
from freehold.protocols.registry import codec_of_recording
from freehold.reference.markdown import code, codes, table
from freehold.routing.tokenizers import pictures, tokenizer_of, tokenizers
from freehold.routing.tokens import TokenEstimate, count
from freehold.transport.framing import frame_parser

_HEAD: Final = """# Token counts

A client that asks how many tokens a request would take gets the provider's own figure where the provider counts
(Anthropic, OpenAI, Gemini and Vertex AI, Claude on Azure and, by its own model ids, on Amazon Bedrock). Everywhere
else, and where the provider can not be reached, Freehold counts; the answer then carries
[`Freehold-Count`](headers.md#freehold-count), and the [record](exchange-record.md#usage) has it as an `estimate`. What
is counted is the first target of the model.

Vocabularies come with the package [splintr-rs](https://github.com/ml-rust/splintr); nothing is downloaded.

- *Exact*: the maker publishes the tokenizer and how it frames a conversation, and the request is plain text: no tools,
  no form of the answer, no pictures, no thoughts.
- *Estimate*: the public vocabulary that comes nearest, with frames and a factor fitted to recorded exchanges.
- *Bound*: `at-most` in the header, a margin and some slack on the estimate. There is none where nobody outside can say:
  tools that the provider runs itself, files that lie at the provider, sounds and films, pictures of a model whose maker
  documents no rule, and whatever only the client's own protocol understands.
"""

_MEASURED: Final = """## How far off

Over the recorded exchanges under `tests/exchanges` whose answer says how many tokens came in: by what share of the
provider's figure the estimate is off, where there is a bound, and how many bounds were too low. Frames and factors are
fitted to these very exchanges, most of them short and in English. A host that adds a system prompt of its own to ten
words is off by a multiple, and by little on a long conversation.
"""


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded exchange: who counted how, our count, and the provider's."""

    id: str
    tokenizer: str
    estimate: TokenEstimate
    said: int

    @property
    def error(self) -> float:
        """By what share of the provider's figure the estimate is off."""
        return abs(self.estimate.tokens - self.said) / self.said

    @property
    def above(self) -> bool:
        """Whether the provider counted more than the bound."""
        return self.estimate.upper_bound is not None and self.said > self.estimate.upper_bound


def measure(exchanges: Path) -> Iterator[Measure]:
    """Every recorded exchange that has something to be counted and the provider's figure for it."""
    for file in find_recordings([exchanges]):
        recording = read_recording(file.read_bytes(), str(file))
        codec = codec_of_recording(recording.protocol, recording.wire)
        if codec is not None and (found := _measured(recording, codec)) is not None:
            yield found


def _measured(recording: Recording, codec: Codec) -> Measure | None:
    wire, answer = recording.wire_request(), recording.wire_response()
    if wire is None or answer is None or answer.status >= 400:
        return None
    try:
        asked = codec.decode_request(wire)
        result = _result(recording, codec, answer, asked)
    except (FreeholdError, Unsupported):
        return None
    said, model = _said(result)
    request = asked.generate if isinstance(asked, Count) else asked
    if not isinstance(request, Generate) or not said:
        return None
    # Who answered is not always who was asked: deployments have names of their own, and aggregators choose.
    tokenizer = tokenizer_of(model or recording.model or request.model)
    return Measure(id=recording.id, tokenizer=tokenizer.name, estimate=count(request, tokenizer), said=said)


def _result(recording: Recording, codec: Codec, answer: WireResponse, asked: Request) -> Result:
    framing = stream_framing(recording, codec, answer, asked)
    if framing is None:
        return codec.decode_response(answer, asked)
    parser, decoder = frame_parser(framing), codec.decoder(asked)
    frames = [*parser.feed(answer.body), *parser.close()]
    return fold([*(decoder.feed(frame) for frame in frames), decoder.close()])


def _said(result: Result) -> tuple[int | None, str | None]:
    match result:
        case TokenCount(input_tokens=tokens):
            return tokens, None
        case Response(usage=usage, model=model):
            return None if usage is None else usage.input_tokens, model
        case _:
            return None, None


def page(exchanges: Path) -> str:
    """The whole page."""
    measures = list(measure(exchanges))
    known = tokenizers()
    rows = [_row(found.name, [one for one in measures if one.tokenizer == found.name]) for found in known]
    head = (
        "Tokenizer",
        "Exchanges",
        "Counted exactly",
        "With a bound",
        "Median error",
        "95 % within",
        "Above the bound",
    )
    lines = [_HEAD, _MEASURED, *table(head, [*rows, _row("all", measures)]), ""]
    lines += ["## Tokenizers", "", "The first that fits a model's id counts for it, at whichever provider.", ""]
    lines += table(
        ("Tokenizer", "Models", "Vocabulary", "Factor", "Bound", "Source"),
        (
            (
                found.name,
                codes(found.models),
                code(found.vocabulary),
                "exact" if found.exact else f"{found.factor:g}",
                f"{found.margin:g} times, and {found.slack}",
                f"<{found.source}>" if "://" in found.source else found.source,
            )
            for found in known
        ),
    )
    lines += ["", "## Pictures and pages", "", "By the makers' documented rules, in tokens.", ""]
    lines += table(
        ("Models", "Rule", "Factor", "Picture at most", "Page of a PDF at most", "Source"),
        (
            (
                codes(found.models),
                found.rule or "",
                f"{found.factor:g}",
                *("" if limit is None else str(limit) for limit in (found.most, found.page)),
                f"<{found.source}>",
            )
            for found in pictures()
        ),
    )
    return "\n".join([*lines, ""])


def _row(name: str, measures: list[Measure]) -> tuple[str, ...]:
    bounded = sorted((one for one in measures if one.estimate.upper_bound is not None), key=lambda one: one.error)
    exact = [one for one in measures if one.estimate.exact]
    hit = sum(one.estimate.tokens == one.said for one in exact)
    return (
        name,
        str(len(measures)),
        f"{hit} of {len(exact)}" if exact else "",
        str(len(bounded)),
        f"{median(one.error for one in bounded):.1%}" if bounded else "",
        f"{bounded[(len(bounded) * 95 - 1) // 100].error:.0%}" if bounded else "",
        str(sum(one.above for one in bounded)) if bounded else "",
    )
