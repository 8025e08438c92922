"""The language `openai-chat`: what losing each of its own fields would mean, and the marks that keep its spellings."""

from __future__ import annotations

from types import MappingProxyType

from freehold.ir import Effect, Extra, Fields, JsonObject, JsonValue, Language

NAME = "openai-chat"

# Marks stand among a value's extras under names that no wire object has.

FIELD = "freehold:field"
"""Under which field of the message the part stood, where several are in use (`reasoning`, `function_call`, …)."""

SHORTHAND = "freehold:shorthand"
"""The part's inner object was written as a bare string."""

ELSEWHERE = "freehold:elsewhere"
"""Names of figures that were read from fields which still ride along, so they are not written a second time."""

TAKEN = "freehold:taken"
"""In what is left of a chunk: a list's element that an event of the same batch brings back."""

EVENT = "freehold:event"
"""In what is left of a chunk: the name in the frame's `event:` line."""

DONE = "freehold:done"
"""On a stream's last event: whether `[DONE]` was sent (Perplexity and others mostly leave it out, WIRE_FACTS 10)."""

_REQUEST: dict[str, Effect | None] = {
    "audio": "behaviour",
    "clear_thinking": "behaviour",
    "enable_thinking": "behaviour",
    "enabled": None,  # of `reasoning`; its meaning is the mode
    "function_call": "behaviour",
    "functions": "behaviour",
    "guardrails": "behaviour",
    "include_reasoning": "behaviour",
    "logit_bias": "behaviour",
    "logprobs": "behaviour",
    "max_tokens": None,
    "metadata": "accounting",
    "min_p": "behaviour",
    "modalities": "behaviour",
    "models": "behaviour",
    "moderation": "behaviour",
    "n": None,
    "plugins": "behaviour",
    "prediction": None,
    "prompt_cache_key": "accounting",
    "prompt_cache_options": "accounting",
    "prompt_cache_retention": "accounting",
    "provider": "behaviour",
    "random_seed": "behaviour",
    "reasoning_format": "behaviour",
    "repetition_penalty": "behaviour",
    "response_format": "behaviour",
    "route": "behaviour",
    "safe_prompt": "behaviour",
    "safety_identifier": "accounting",
    "search_domain_filter": "behaviour",
    "search_mode": "behaviour",
    "search_parameters": "behaviour",
    "search_recency_filter": "behaviour",
    "service_tier": "behaviour",
    "store": "behaviour",
    "stream": None,
    "stream_options": None,
    "stream_options.include_obfuscation": None,
    "thinking": "behaviour",
    "tools": None,  # only null and [] ride along under this name
    "top_a": "behaviour",
    "top_logprobs": "behaviour",
    "transforms": "behaviour",
    "verbosity": "behaviour",
    "web_search_options": "behaviour",
    "openai-beta": "behaviour",
}

_PARTS: dict[str, Effect | None] = {
    "annotations": "accounting",
    "audio.expires_at": None,
    "audio.id": None,
    "audio.transcript": "content",
    "cache_control": "accounting",
    "closed": None,
    "content": None,  # only null, "" and [] ride along under this name; words are taken, other values are opaque
    "custom": "content",
    "detail": "behaviour",
    "extra_content": "behaviour",
    "fields": None,
    "function.call_id": None,
    "function.external_execution": None,
    "function.requires_confirmation": None,
    "image_url.detail": "behaviour",
    "index": None,
    "name": "behaviour",
    "prefix": "behaviour",
    "prompt_cache_breakpoint": "accounting",
    "reasoning": None,  # a second spelling of reasoning that differs from the one taken
    "reasoning_content": None,
    "reasoning_details": None,  # without a proof in them, a copy of the reasoning's text
    "refusal": None,
    "role": None,
    "thinking": "behaviour",
    "thought_signature": "behaviour",
    "tool_calls": None,
    "type": None,
    "unreadable": "content",
}

_ANSWER: dict[str, Effect | None] = {
    "citations": "accounting",
    "content_filter_results": "accounting",
    "content_filter_result": "accounting",
    "created": None,
    "delta": None,
    "finish_details": None,
    "finish_reason": None,
    "generationId": None,
    "id": None,
    "images": "content",
    "latency_checkpoint": None,
    "matched_stop": None,
    "message": "content",
    "meta": None,
    "message.annotations": "accounting",
    "message.audio": None,
    "message.channel": None,
    "message.content": None,
    "message.executed_tools": "accounting",
    "message.extra_content": "behaviour",
    "message.function_call": None,
    "message.name": None,
    "message.parsed": None,
    "message.provider_metadata": "accounting",
    "message.reasoning": None,
    "message.reasoning_content": None,
    "message.reasoning_details": None,
    "message.refusal": None,
    "message.role": None,
    "message.thought_signature": "behaviour",
    "message.token_id": None,
    "message.tool_calls": None,
    "model": None,
    "native_finish_reason": None,
    "num_search_queries": "accounting",
    "object": None,
    "obfuscation": None,
    "p": None,
    "prompt": None,
    "prompt_filter_results": "accounting",
    "prompt_logprobs": "accounting",
    "prompt_text": None,
    "prompt_token_ids": None,
    "related_questions": "accounting",
    "request_id": None,
    "routed_experts": None,
    "search_results": "accounting",
    "seed": None,
    "sla_metrics": None,
    "stop_reason": None,
    "system_fingerprint": None,
    "text": None,
    "time_info": None,
    "timings": None,
    "token_ids": None,
    "usage_breakdown": "accounting",
    "x_groq": None,
}

_USAGE: dict[str, Effect | None] = {
    "audio_prompt_tokens": None,
    "cache_creation": "accounting",
    "cache_creation_input_tokens": None,
    "cache_read_input_tokens": None,
    "cached_tokens": None,
    "completion_time": None,
    "completion_tokens_details": None,  # what is left in the objects themselves is zero or null
    "completion_tokens_details.accepted_prediction_tokens": "accounting",
    "completion_tokens_details.audio_tokens": "accounting",
    "completion_tokens_details.image_tokens": "accounting",
    "completion_tokens_details.rejected_prediction_tokens": "accounting",
    "completion_tokens_details.text_tokens": None,
    "cost": "accounting",
    "cost_details": "accounting",
    "cost_in_usd_ticks": "accounting",
    "draft_tokens": None,
    "draft_tokens_acceptance": None,
    "is_byok": None,
    "market_cost": "accounting",
    "num_cached_tokens": None,
    "num_sources_used": None,
    "prompt_audio_seconds": "accounting",
    "prompt_cache_hit_tokens": None,
    "prompt_cache_miss_tokens": None,
    "prompt_time": None,
    "prompt_tokens_details": None,
    "prompt_tokens_details.audio_tokens": "accounting",
    "prompt_tokens_details.image_tokens": "accounting",
    "prompt_tokens_details.multimodal_tokens": "accounting",
    "prompt_tokens_details.text_tokens": None,
    "prompt_tokens_details.video_tokens": "accounting",
    "prompt_tokens_per_second": None,
    "queue_time": None,
    "reasoning_tokens": None,
    "search_context_size": None,
    "server_tool_use_details": "accounting",
    "time_per_output_token_ms": None,
    "time_to_first_token_ms": None,
    "tokens_per_second": None,
    "total_time": None,
    "total_tokens": None,
}

_LISTING: dict[str, Effect | None] = {
    "aliases": None,
    "capabilities": "accounting",
    "created_at": None,
    "default_model_temperature": "accounting",
    "deprecation": "accounting",
    "deprecation_replacement_model": "accounting",
    "description": "accounting",
    "items": "accounting",
    "lifecycle_status": "accounting",
    "max_context_length": "accounting",
    "pagination": None,
    "parent": None,
    "permission": None,
    "pricing": "accounting",
    "root": None,
    "status": None,
}

SPELLING = "freehold:spelling."
"""Before a field's canonical name: under which name, or in which form, it stood in this body."""

_MARKS: dict[str, Effect | None] = dict.fromkeys(
    (
        FIELD,
        SHORTHAND,
        ELSEWHERE,
        TAKEN,
        EVENT,
        DONE,
        SPELLING + "max_output_tokens",
        SPELLING + "seed",
        SPELLING + "stop",
        "freehold:deployment",  # Azure's, on a request in this language
    )
)

LANGUAGE = Language(
    name=NAME,
    effects=MappingProxyType({**_REQUEST, **_PARTS, **_ANSWER, **_USAGE, **_LISTING, **_MARKS}),
)


def native(extra: Extra | None) -> JsonObject | None:
    """The fields of an extra that this language wrote; None where another language, or none, did."""
    return extra.fields if extra is not None and extra.origin is LANGUAGE else None


def repeat_plain(fields: JsonObject, into: JsonObject, inner: tuple[str, ...] = ()) -> None:
    """Write extras back, marks and the leftovers of inner objects (names that begin with one of `inner`) excepted."""
    for name, value in fields.items():
        if not name.startswith("freehold:") and not (inner and name.startswith(inner)):
            into.setdefault(name, value)


def repeat_inner(fields: JsonObject, prefix: str, into: JsonObject) -> None:
    """Write back what was left of an inner object: the names that begin with `prefix`, a dot included."""
    for name, value in fields.items():
        if name.startswith(prefix):
            into.setdefault(name[len(prefix) :], value)


def unpack(fields: Fields, name: str) -> Fields | None:
    """The object in a field, taken, as fields of its own; None if the field is no object."""
    value = fields.take_object(name)
    return None if value is None else Fields(value, LANGUAGE, fields.at(name))


def keep_inner(fields: Fields, prefix: str, inner: Fields) -> None:
    """Let what was left of an inner object ride along on the outer one, under dotted names."""
    fields.put_back_inner(prefix, inner)


def text_of(value: JsonValue) -> str:
    """The value if it is text that says something, else the empty text."""
    return value if isinstance(value, str) else ""
