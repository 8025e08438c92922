"""Each protocol: what its codec speaks, how it streams, and where it ends."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Final

from freehold.protocols.codec import Codec
from freehold.protocols.registry import CODECS
from freehold.providers.catalog import providers
from freehold.reference.markdown import code, table

LIMITS: Final[Mapping[str, tuple[str, ...]]] = {
    "openai-chat": (
        (
            "A reasoning proof has no place of its own. It rides in the id of the turn's first tool call; a turn "
            "without tool calls loses it, reported."
        ),
        "Reasoning of earlier turns goes to a server only where its dialect says under which field it wants it.",
        "System messages and results of tools hold text. A tool's pictures go into the user's next message.",
        "A tool's result can not say that the tool failed.",
        "At most four stop sequences; there is no `top_k` except where a dialect has it.",
        (
            "Usage in a stream comes only if asked for. The gateway asks its targets always, and hides it from clients "
            "that did not."
        ),
    ),
    "openai-responses": (
        (
            "Nothing is stored: requests go upstream with `store: false` and ask for encrypted reasoning, and the "
            "answer says so. What needs stored answers is refused with [`state_not_kept`](errors.md#state_not_kept)."
        ),
        "There are no stop sequences, no `seed`, no penalties, no `top_k` and no names of participants.",
        "An answer has one candidate. A tool's result can not say that the tool failed.",
        "Reasoning of another provider is repeated only under a seal.",
        "WebSockets are not spoken.",
    ),
    "openai-embeddings": ("Text and tokens only, without title and purpose of a text.",),
    "azure-openai": (
        "The bodies are OpenAI's; only the paths differ. Every `api-version` is taken.",
        "There are no token counts.",
    ),
    "anthropic-messages": (
        (
            "An output limit is demanded: where a request has none, 20,000 tokens are sent, 32,000 for a stream, "
            "reported as a loss of behaviour."
        ),
        "An answer has one candidate. There are no `seed`, no penalties, no log probabilities and no token biases.",
        "JSON without a schema is asked for in words.",
        "System text said in mid-conversation moves to its top unless the model takes it where it stands.",
        "Thinking and a forced tool exclude each other, and so do thinking and a temperature.",
    ),
    "bedrock-converse": (
        "An answer has one candidate. There are no `seed` and no penalties. A document needs text beside it.",
        "JSON without a schema can not be asked for; JSON with one goes by the model's own means.",
        "Whether a model can be told how to think depends on its family.",
        "A stream has no keep-alive; AWS SDKs break off after 60 seconds of silence.",
    ),
    "bedrock-invoke": (
        "Bodies are those of each model's own lab: the model's id and the body's shape choose the family.",
        "A stream has no keep-alive, as with Converse.",
    ),
    "gemini-generate": (
        "A stream is one JSON array unless the client asks for events by `alt=sse`. It has no keep-alive.",
        "At most five stop sequences; tool calls are not held to their schema and may come in parallel.",
        "Participants have no names. System text said in mid-conversation moves to its top.",
        "Cached contents, files and tuned models lie at Google and can not be moved.",
    ),
}

_HEAD: Final = """# Protocols

A protocol is a wire language; the name in the first column is the one that configurations and commands use. Any
protocol may be a client's and any a target's. What is lost between two of them is in the
[translation matrix](translation-matrix.md), which fields only one of them has under
[losses](losses.md#fields-that-only-one-protocol-has), and where each is served under [paths](paths.md).
"""


def page() -> str:
    """The whole page."""
    offered = _offered()
    rows = (
        (code(name), code(codec.manners.request_id), ", ".join(offered[name]) or "none")
        for name, codec in CODECS.items()
    )
    lines = [_HEAD, *table(("Protocol", "Request id", "Providers that speak it"), rows), ""]
    for name, codec in CODECS.items():
        lines += [f"## `{name}`", "", _about(codec), "", "Limits:", "", *(f"- {each}" for each in LIMITS[name]), ""]
    return "\n".join(lines)


def _offered() -> dict[str, list[str]]:
    return {
        name: [provider.name for provider in providers().values() if provider.protocol(name) is not None]
        for name in CODECS
    }


def _about(codec: Codec) -> str:
    """What the codec's package says of itself, the flags of its dialects included."""
    package = ".".join(type(codec).__module__.split(".")[:3])
    return inspect.cleandoc(sys.modules[package].__doc__ or "")
