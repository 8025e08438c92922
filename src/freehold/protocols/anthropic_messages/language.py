"""Anthropic Messages as a language: its name, what its extras mean, and its words for why a model stopped."""

from __future__ import annotations

from freehold.ir import Effect, FinishKind, Language

_CONTENT = (
    "messages",
    "system",
    "content",
    "source",
    "context",
    "input",
    "tool_references",
    "search_result",
    "container_upload",
    "document",
    "image",
    "tool_use",
    "tool_result",
    "text",
    "tool_reference",
    "server_tool_use",
    "mcp_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "advisor_tool_result",
    "tool_search_tool_result",
    "mcp_tool_result",
    "compaction",
)
_BEHAVIOUR = (
    # of the request
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "effort",
    "format",
    "task_budget",
    "display",
    "context_management",
    "container",
    "mcp_servers",
    "mcp_tool_listing",
    "stop_sequences",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "fallbacks",
    # of messages and blocks
    "citations",
    "title",
    "transformations",
    "media_type",
    "is_error",
    "tool_addition",
    "tool_removal",
    "fallback",
    "connector_text",
    # of tools, and the tools that Anthropic defines
    "description",
    "input_schema",
    "input_examples",
    "allowed_callers",
    "defer_loading",
    "disable_parallel_tool_use",
    "strict",
    "toolset_name",
    "mcp_toolset",
    # of answers
    "stop_details",
    "applied_edits",
    "input_transformations",
)
_ACCOUNTING = (
    "cache_control",
    "scope",
    "service_tier",
    "inference_geo",
    "speed",
    "metadata",
    "diagnostics",
    "user_profile_id",
    "workspace_id",
    "cache_creation",
    "server_tool_use_requests",
    "iterations",
    "output_tokens_details",
    "fallback_credit",
    "usage",
    "capabilities",
    "betas",
)
_BOOKKEEPING = (
    "type",
    "id",
    "role",
    "stream",
    "signature",
    "caller",
    "stop_reason",
    "stop_sequence",
    "output_format",
    "eager_input_streaming",
    "anthropic-version",
    "anthropic-beta",
    "anthropic_version",
    "anthropic_beta",
    "vertex",
    "request_id",
    "first_id",
    "last_id",
    "has_more",
    "before_id",
    "estimated_tokens",
    "amazon-bedrock-invocationMetrics",
    "amazon-bedrock-guardrailAction",
    "amazon-bedrock-trace",
)

LANGUAGE = Language(
    name="anthropic-messages",
    effects={
        **dict.fromkeys(_CONTENT, "content"),
        **dict.fromkeys(_BEHAVIOUR, "behaviour"),
        **dict.fromkeys(_ACCOUNTING, "accounting"),
        **dict.fromkeys(_BOOKKEEPING, None),
    },
)
"""The origin of everything that rides along in this package."""

KIND_OF_STOP_REASON: dict[str, FinishKind] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
}
"""What a `stop_reason` means; any other is `other`."""

STOP_REASON_OF_KIND: dict[FinishKind, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "error": "end_turn",
    "other": "end_turn",
}
"""How a foreign finish is said here. There is no word for a model that failed: it ends its turn, reported."""

EFFECT_OF_TOOL: Effect = "behaviour"
"""A tool that Anthropic defines or runs is an offer, not content: losing it changes what the model can do."""
