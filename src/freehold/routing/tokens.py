"""How many input tokens a request takes: exact where the tokenizer is public, else an estimate and a bound.

    estimate = frames + factor x text + tools + pictures          bound = margin x estimate + slack

What stands in for a model's own tokenizer, and how far it may be off, are facts in `tokenizers.toml`; what they are
worth is measured over the recorded exchanges (docs/reference/token-counts.md).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from math import ceil
from typing import Final, assert_never

import msgspec

from freehold.ir import (
    CachePoint,
    Extra,
    Generate,
    Inline,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    PlainText,
    Proof,
    Reasoning,
    Refusal,
    Structured,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    write_json,
)
from freehold.routing.images import image_size, image_tokens
from freehold.routing.tokenizers import Pictures, Tokenizer
from freehold.routing.vocabulary import count_text


class TokenEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """The count: `tokens` is the best guess (with `exact`: no guess), `upper_bound` what it will not be above.

    `upper_bound` is None where nobody outside can say: tools that the provider runs itself, files that lie there,
    sounds and films, and whatever only the request's own language understands.
    """

    tokens: int
    exact: bool
    upper_bound: int | None


_CHARACTERS_OF_PROOF: Final = 3
"""Characters of an encrypted thought that are at least a token of it: a token of text is some five."""

_PDF_PAGE: Final = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_TEXTUAL: Final = ("text/", "application/json", "application/xml", "application/yaml")


class _Tally:
    """A sum under way: `tokens` of the estimate, `more` that only the bound has to allow for."""

    __slots__ = ("bounded", "more", "plain", "tokenizer", "tokens")

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.tokens = 0.0
        self.more = 0.0
        self.bounded = True
        self.plain = True

    def text(self, text: str) -> None:
        self.tokens += count_text(text, self.tokenizer.vocabulary) * self.tokenizer.factor

    def definition(self, text: str, factor: float) -> None:
        """Text that the maker writes anew, in fewer words as a rule."""
        tokens = count_text(text, self.tokenizer.vocabulary) * self.tokenizer.factor
        self.tokens += tokens * factor
        self.more += tokens * max(0.0, 1.0 - factor)

    def proof(self, proof: Proof | None) -> None:
        """Thoughts that return encrypted may be counted, or not, as what they were."""
        if proof is not None:
            self.more += len(proof.value) / _CHARACTERS_OF_PROOF
            self.plain = False

    def message(self, message: Message) -> None:
        known = self.tokenizer
        self.tokens += known.message + (known.assistant if message.role == "assistant" else 0)
        self.plain = self.plain and message.name is None
        for part in message.parts:
            self.part(part)

    def part(self, part: Part) -> None:
        match part:
            case Text(text=text, proof=proof):
                self.text(text)
                self.proof(proof)
                return
            case CachePoint():
                return
            case Refusal(text=text):
                self.text(text)
            case Reasoning(text=text, proof=proof):
                self.text(text)
                self.proof(proof)
            case ToolCall(name=name, arguments=arguments, proof=proof):
                self.tokens += self.tokenizer.call
                self.text(name)
                self.text(arguments)
                self.proof(proof)
            case ToolResult(parts=parts):
                self.tokens += self.tokenizer.call
                for inner in parts:
                    self.part(inner)
            case Structured(value=value):
                self.text(write_json(value).decode())
            case Opaque(value=value):
                self.text(write_json(value).decode())
                self.bounded = False
            case Media():
                self.media(part)
            case _:
                assert_never(part)
        self.plain = False

    def media(self, media: Media) -> None:
        pictures = self.tokenizer.pictures
        if media.kind == "document":
            self.tokens += self.tokenizer.document
        match media.kind, media.source:
            case "document", PlainText(text=text):
                self.text(text)
            case "document", Inline(data=data):
                self.document(data, media.media_type or "")
            case "image", Inline(data=data) if pictures is not None:
                size = image_size(data)
                self.at_most(_picture(pictures, size))
            case "image", _ if pictures is not None:
                self.at_most(pictures.most)
            case _:
                self.bounded = False

    def document(self, data: str, media_type: str) -> None:
        try:
            content = base64.b64decode(data)
        except (binascii.Error, ValueError):
            self.bounded = False
            return
        if media_type.startswith(_TEXTUAL):
            self.text(content.decode(errors="replace"))
            return
        page = None if self.tokenizer.pictures is None else self.tokenizer.pictures.page
        pages = len(_PDF_PAGE.findall(content))
        # A PDF may keep its pages in compressed streams, where they can not be counted by looking.
        compressed = pages == 0 or b"/ObjStm" in content
        self.at_most(None if compressed or page is None else pages * page)

    def at_most(self, most: int | None) -> None:
        """Something of which this much is known."""
        if most is None:
            self.bounded = False
        else:
            self.tokens += most

    def tools(self, tools: tuple[Tool | CachePoint | Opaque, ...]) -> None:
        known = self.tokenizer
        offered = [tool for tool in tools if not isinstance(tool, CachePoint)]
        if offered:
            self.plain = False
            self.tokens += known.tools
        for tool in offered:
            self.tokens += known.tool
            if isinstance(tool, Opaque):
                # What a provider's own tools say to the model is not told, nor what they will bring in.
                self.bounded = False
            for text in _definition(tool):
                self.definition(text, known.tool_factor)

    def form(self, form: OutputFormat | None) -> None:
        if form is not None and form.kind != "text":
            self.plain = False
        if form is not None and form.schema is not None:
            self.tokens += self.tokenizer.schema
            self.definition(write_json(form.schema).decode(), self.tokenizer.schema_factor)

    def unread(self, extra: Extra | None) -> None:
        """Fields that only the request's own language understands and that say something, such as a stored prompt."""
        if extra is not None and any(_says(extra, name) for name in extra.fields):
            self.plain = self.bounded = False


def _says(extra: Extra, name: str) -> bool:
    return extra.fields[name] is not None and extra.origin.effects.get(name, "unknown") in {"content", "unknown"}


def _picture(pictures: Pictures, size: tuple[int, int] | None) -> int | None:
    if size is None or pictures.rule is None:
        return pictures.most
    tokens = ceil(image_tokens(pictures.rule, size) * pictures.factor)
    return tokens if pictures.most is None else min(tokens, pictures.most)


def _definition(tool: Tool | Opaque) -> Iterator[str]:
    if isinstance(tool, Opaque):
        yield write_json(tool.value).decode()
        return
    yield tool.name
    if tool.description:
        yield tool.description
    if tool.parameters is not None:
        yield write_json(tool.parameters).decode()


def count(request: Generate, tokenizer: Tokenizer) -> TokenEstimate:
    """The input tokens of a request: pure, and the same wherever it runs. A megabyte of text takes some 50 ms."""
    tally = _Tally(tokenizer)
    tally.tokens += tokenizer.request
    for message in request.messages:
        tally.message(message)
    tally.tools(request.tools)
    tally.form(request.output_format)
    tally.unread(request.extra)
    tokens = ceil(tally.tokens)
    if tokenizer.exact and tally.plain:
        return TokenEstimate(tokens=tokens, exact=True, upper_bound=tokens)
    bound = ceil(tally.tokens * tokenizer.margin + tally.more) + tokenizer.slack
    return TokenEstimate(tokens=tokens, exact=False, upper_bound=bound if tally.bounded else None)


def roughly(size: int, tokenizer: Tokenizer) -> int:
    """A bound from a body's size in bytes alone, in no time: no vocabulary has a token of less than a byte.

    It holds for text and the client's own tools, not where pictures, documents or a provider's own tools are named. A
    request whose bound fits into a context window need not be counted.
    """
    return size + tokenizer.request + tokenizer.tools + tokenizer.schema + tokenizer.slack
