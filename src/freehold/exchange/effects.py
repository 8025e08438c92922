"""What a request makes a provider do beside answering: tools that it runs itself, state that it keeps.

Such a request is asked once at a time: a second one beside it, or after it, would search, run code, call a connected
server or store an answer twice. Judged for strategies that ask again though nothing has failed (`hedged`, `cascade`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from freehold.ir import Generate, JsonValue, Opaque, Request

_FIELDS: Final = frozenset(
    {
        "store",  # OpenAI: the answer is kept
        "background",  # OpenAI Responses: it goes on without us
        "conversation",
        "previous_response_id",
        "web_search_options",  # OpenAI chat: it searches
        "mcp_servers",  # Anthropic: connected servers
        "container",  # Anthropic: a machine for code
        "search_parameters",  # xAI: it searches
        "plugins",  # OpenRouter
    }
)
"""Fields of bodies that ask for something to be done or kept, in the protocols that have them."""

_CLIENTS: Final = ("custom", "bash_", "text_editor_", "computer", "memory_", "local_shell", "apply_patch")
"""How the types of tools begin that vendors define and clients run (checked 2026-11: OpenAI, Anthropic)."""


def effects(request: Request) -> str | None:
    """What the provider is asked to do beside answering, None where nothing is known."""
    if not isinstance(request, Generate):
        return None
    for tool in request.tools:
        if isinstance(tool, Opaque) and not _name(tool.value).startswith(_CLIENTS):
            return f"a tool that the provider runs ({_name(tool.value)})"
    if request.extra is not None and (field := _field(request.extra.fields)) is not None:
        return f"the field {field}"
    for provider, options in request.options.items():
        field = "tools" if "tools" in options else _field(options)
        if field is not None:
            return f"the field {field} for {provider}"
    return None


def _field(fields: Mapping[str, JsonValue]) -> str | None:
    return next((name for name in sorted(_FIELDS & fields.keys()) if fields[name] not in (None, False, [], {})), None)


def _name(tool: Mapping[str, JsonValue]) -> str:
    kind = tool.get("type")
    return kind[:60] if isinstance(kind, str) else ", ".join(sorted(tool))[:60]
