"""The name of the Responses language, and what losing each of its own fields would mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from freehold.ir import SEALED, Effect, Extra, JsonObject, Language, Losses, Proof
from freehold.protocols.openai_responses.residual import WITHOUT, restore

NAME: Final = "openai-responses"

PLACE: Final = "(place)"
"""Beside a tool, or a call of one: where it stands, which others can not say. No wire field is called that."""

OFFERED: Final = "(offered)"
"""In place of an item that offers tools: the item without them."""

_BOOKKEEPING = (
    # our own notes
    WITHOUT, PLACE, OFFERED, "echo", "item", "segments", "instructions",
    # items and parts
    "type", "object", "id", "status", "phase", "role", "content", "summary", "created_by", "item_id", "output_index",
    "agent", "caller", "name", "description", "parameters",
    # answers
    "created_at", "completed_at", "billing", "output_text", "next_response_ids",
    # requests
    "input", "tools", "stream", "stream_options", "store", "include", "model",
)  # fmt: skip

_ACCOUNTING = (
    "annotations", "logprobs", "metadata", "client_metadata", "safety_identifier", "user", "usage", "total_tokens",
    "input_tokens_details", "output_tokens_details", "cost", "cost_details", "is_byok", "tool_usage",
    "num_sources_used", "num_server_side_tools_used", "cost_in_usd_ticks", "server_side_tool_usage_details",
    "context_details", "prompt_cache_diagnostics", "access_programs", "input_tokens", "output_tokens", "error",
    "incomplete_details",
)  # fmt: skip

_BEHAVIOUR = (
    "text", "reasoning", "tool_choice", "parallel_tool_calls", "max_output_tokens", "max_tool_calls", "temperature",
    "top_p", "top_logprobs", "truncation", "service_tier", "background", "prompt_cache_key", "prompt_cache_options",
    "prompt_cache_retention", "prompt_cache_breakpoint", "context_management", "moderation", "content_filters",
    "frequency_penalty", "presence_penalty", "detail", "strict", "defer_loading", "allowed_callers", "output_schema",
    "context", "generate_summary", "effort", "mode", "provider", "verbosity", "format", "image",
    "input_transformations", "stop", "seed", "encrypted_content", "file_data", "filename",
    # tools that the provider runs, offered
    "web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11", "file_search",
    "code_interpreter", "image_generation", "mcp", "computer", "computer_use_preview", "tool_search",
    "custom", "local_shell", "shell", "apply_patch", "programmatic_tool_calling", "namespace",
)  # fmt: skip

_CONTENT = (
    # state that the provider holds
    "previous_response_id", "conversation", "prompt", "item_reference",
    # items
    "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "computer_call",
    "computer_call_output", "local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output",
    "apply_patch_call", "apply_patch_call_output", "mcp_call", "mcp_list_tools", "mcp_approval_request",
    "mcp_approval_response", "custom_tool_call", "custom_tool_call_output", "tool_search_call", "tool_search_output",
    "compaction", "additional_tools", "function_call", "function_call_output", "message",
    # parts
    "input_text", "input_image", "input_file", "input_audio", "refusal", "file_id", "file_url",
    "image_url",
)  # fmt: skip

_EFFECTS: Mapping[str, Effect | None] = {
    **dict.fromkeys(_CONTENT, "content"),
    **dict.fromkeys(_BEHAVIOUR, "behaviour"),
    **dict.fromkeys(_ACCOUNTING, "accounting"),
    **dict.fromkeys(_BOOKKEEPING),
}

LANGUAGE: Final = Language(name=NAME, effects=_EFFECTS)
"""The origin of every extra that this codec keeps."""


def ours(extra: Extra | None) -> JsonObject | None:
    """The fields of an extra that this language said; None for any other."""
    return extra.fields if extra is not None and extra.origin is LANGUAGE else None


def keep(left: JsonObject) -> Extra | None:
    """What a codec did not take, if it is anything."""
    return Extra(LANGUAGE, left) if left else None


def place_in(extra: Extra | None) -> JsonObject:
    """Where a tool or a call stands; empty where its name says all."""
    fields = ours(extra)
    place = None if fields is None else fields.get(PLACE)
    return place if isinstance(place, dict) else {}


def carry(written: JsonObject, extra: Extra | None, losses: Losses, path: str) -> JsonObject:
    """`written` with our own extras put back; another language's are noted as lost."""
    if extra is None:
        return written
    if extra.origin is LANGUAGE:
        fields = extra.fields
        if PLACE in fields:
            fields = {name: value for name, value in fields.items() if name != PLACE}
        return restore(written, fields)
    losses.drop_extra(extra, path)
    return written


def usable(proof: Proof | None, losses: Losses, path: str) -> str | None:
    """The proof's text if it may stand in `encrypted_content`; any other is noted as lost."""
    if proof is None:
        return None
    if proof.origin in (NAME, SEALED):
        return proof.value
    losses.add(f"{path}.proof", "dropped", "behaviour", f"{proof.origin} only")
    return None
