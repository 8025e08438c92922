"""What every family of bodies can do, and which family a model or a body belongs to."""

from __future__ import annotations

import re
from typing import Protocol

from freehold.ir import Generate, JsonObject, Language, Response
from freehold.protocols.codec import Dialect, Encoded, Stamp, StreamDecoder, StreamEncoder, WireResponse


class Family(Protocol):
    """One form of request and answer that models on Bedrock share."""

    @property
    def name(self) -> str:
        """As documentation calls it."""
        ...

    @property
    def language(self) -> Language:
        """The origin of what rides along; also marks, in `Generate.headers`, the family that a client used."""
        ...

    def read_request(self, body: JsonObject, model: str, *, stream: bool) -> tuple[Generate, JsonObject]:
        """The request, and what has to be remembered of the way it was written."""
        ...

    def write_request(self, request: Generate, own: JsonObject | None, dialect: Dialect) -> Encoded[JsonObject]:
        """The body; `own` is what `read_request` remembered, None for another family's request."""
        ...

    def read_response(self, body: JsonObject, wire: WireResponse, request: Generate | None) -> Response:
        """A whole answer. Raises UpstreamError for garbage."""
        ...

    def write_response(self, response: Response, stamp: Stamp, request: Generate | None) -> Encoded[JsonObject]:
        """A whole answer."""
        ...

    def decoder(self, request: Generate | None) -> StreamDecoder:
        """Reads a stream of chunks."""
        ...

    def encoder(self, stamp: Stamp, request: Generate | None) -> StreamEncoder:
        """Writes a stream of chunks."""
        ...


_PREFERRED: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("claude-text", re.compile(r"anthropic\.claude-(?:v\d|instant)")),
    ("anthropic", re.compile(r"anthropic\.|^claude")),
    ("nova", re.compile(r"amazon\.nova")),
    ("titan", re.compile(r"amazon\.titan-t(?:ext|g1)")),
    ("llama", re.compile(r"meta\.")),
    ("mistral", re.compile(r"mistral\.mi[sx]tral-(?:7b|8x7b)")),
    ("command-r", re.compile(r"cohere\.command-r")),
    ("cohere", re.compile(r"cohere\.command")),
    ("jurassic", re.compile(r"ai21\.j2")),
    ("text", re.compile(r"deepseek\.r1")),
    ("chat", re.compile(r"(?:openai|mistral|ai21|qwen|deepseek|minimax|moonshot|zai|google|nvidia|writer)\.")),
)
"""The family that each vendor's models speak, the first that matches; other models are unknown."""

_OTHERWISE: dict[str, re.Pattern[str]] = {"mistral": re.compile(r"mistral\."), "chat": re.compile(r"mistral\.|meta\.")}
"""Families that some models speak beside their own."""


def family_of_model(model: str, used: str | None) -> str:
    """The family for a target's model: the one the client `used` if the model speaks it or is unknown, else its own."""
    name = model.rpartition("/")[2]
    own = next((family for family, pattern in _PREFERRED if pattern.search(name)), None)
    if own is None:
        return used or "chat"
    if used is not None and used in _OTHERWISE and _OTHERWISE[used].search(name):
        return used
    return own


def family_of_request(model: str, body: JsonObject) -> str | None:
    """The family of a client's body. Its shape decides; the model's name where several have that shape."""
    name = model.rpartition("/")[2]
    if "anthropic_version" in body:
        return "anthropic"
    if "messages" in body:
        if "anthropic." in name or name.startswith("claude"):
            return "anthropic"
        return "nova" if "amazon.nova" in name or _is_nova(body) else "chat"
    if "inputText" in body:
        return "titan"
    if "message" in body:
        return "command-r"
    if "prompt" not in body:
        return None
    own = family_of_model(model, "text")
    return own if own in ("claude-text", "llama", "mistral", "cohere", "jurassic") else _prompt_family(name)


def _prompt_family(name: str) -> str:
    """The family of a bare prompt: Mistral's larger models still take one in Mistral's own form."""
    return "mistral" if _OTHERWISE["mistral"].search(name) else "text"


def _is_nova(body: JsonObject) -> bool:
    return any(name in body for name in ("schemaVersion", "inferenceConfig", "toolConfig"))


_OF_ANSWER: tuple[tuple[str, str], ...] = (
    ("generation", "llama"),
    ("outputs", "mistral"),
    ("results", "titan"),
    ("outputText", "titan"),
    ("generations", "cohere"),
    ("completions", "jurassic"),
    ("event_type", "command-r"),
    ("generation_id", "command-r"),
    ("is_finished", "cohere"),
    ("completion", "claude-text"),
    ("output", "nova"),
)
"""Fields that only one family's answers have. Ours to bare prompts hold several of them, and `choices` with texts."""

_NOVA_EVENTS = (
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
)


def family_of_answer(body: JsonObject) -> str | None:
    """The family of an answer, or of a chunk of one."""
    choices = body.get("choices")
    if isinstance(choices, list):
        first = choices[0] if choices else None
        return "text" if isinstance(first, dict) and "text" in first else "chat"
    kind = body.get("type")
    if isinstance(kind, str) and kind != "completion":
        return "anthropic"
    if any(name in body for name in _NOVA_EVENTS):
        return "nova"
    return next((family for name, family in _OF_ANSWER if name in body), None)
