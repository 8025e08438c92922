"""Which tokenizer a model counts with, as far as anybody outside may know: facts as data, in `tokenizers.toml`."""

from __future__ import annotations

import datetime as dt
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

import msgspec

from freehold.routing.images import ImageRule

BYTES_A_TOKEN: Final = 4.0
"""Bytes of a request for each token, on average, in every vocabulary: prose in English 4.1, code 4.4, JSON 2.9."""
MOST_BYTES_A_TOKEN: Final = 10.0
"""Bytes of text for each token at most: 9.4 in Hindi, where o200k_base is at its best."""


class Pictures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What pictures cost the models whose ids match: `factor` times the `rule`, at most `most`; `page` of a PDF."""

    models: tuple[str, ...]
    source: str
    rule: ImageRule | None = None
    factor: float = 1.0
    most: int | None = None
    page: int | None = None


class Tokenizer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the models whose ids match one of `models` count: a vocabulary, what frames it, and how sure that is.

    With `exact` the maker has published the tokenizer and how it frames a chat of plain text, so such a chat is counted
    to the token. `factor` is the maker's own tokens for one of the `vocabulary` that stands in for its own.

    Frames, in tokens: `request` once, `message` each, `assistant` more for each of the assistant's, `call` for each
    tool call and each result, `tools` once where tools are offered, `tool` for each of them, `schema` for a form of
    the answer, `document` for each document. `tool_factor` and `schema_factor` are what a token of a definition in
    JSON counts; the bound takes it for a whole one. The bound is `margin` times the estimate and `slack` more.
    """

    name: str
    models: tuple[str, ...]
    vocabulary: str
    source: str
    exact: bool = False
    factor: float = 1.0
    request: int = 0
    message: int = 0
    assistant: int = 0
    call: int = 0
    tools: int = 0
    tool: int = 0
    tool_factor: float = 1.0
    schema: int = 0
    schema_factor: float = 1.0
    document: int = 0
    margin: float
    slack: int
    pictures: Pictures | None = None

    @property
    def per_byte(self) -> float:
        """Tokens for each byte of a request, on average: a guess in no time, where nothing has to be exact."""
        return self.factor / BYTES_A_TOKEN

    @property
    def least_per_byte(self) -> float:
        """Tokens that a byte of text surely has on a long text: by this a request can be too long for a window."""
        return self.factor / (MOST_BYTES_A_TOKEN * self.margin)


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    checked: dt.date
    tokenizers: tuple[Tokenizer, ...]
    pictures: tuple[Pictures, ...]


@cache
def _table() -> _Table:
    text = (files("freehold.routing") / "tokenizers.toml").read_bytes()
    return msgspec.toml.decode(text, type=_Table)


def tokenizers() -> tuple[Tokenizer, ...]:
    """All of them; the last one fits every model."""
    return _table().tokenizers


def pictures() -> tuple[Pictures, ...]:
    """What is documented of pictures."""
    return _table().pictures


@lru_cache(maxsize=4096)  # names come from callers: remembering them must not fill memory
def tokenizer_of(model: str) -> Tokenizer:
    """The first tokenizer that knows the model, with its pictures; letter case does not count."""
    name = model.lower()
    known = next(found for found in tokenizers() if _fits(name, found.models))
    seen = next((found for found in pictures() if _fits(name, found.models)), None)
    return msgspec.structs.replace(known, pictures=seen)


def _fits(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
