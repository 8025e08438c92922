"""Bedrock InvokeModel as a language: one name, and an origin of extras for each family of bodies."""

from __future__ import annotations

from freehold.ir import Effect, Extra, JsonObject, Language

NAME = "bedrock-invoke"

_CONTENT = (
    "inputText",
    "inputImage",
    "images",
    "message",
    "chat_history",
    "preamble",
    "documents",
    "tool_results",
    "outputs",
    "choices",
    "results",
    "generations",
    "completions",
    "singleEmbeddingParams",
    "inputs",
    "text",
    "image",
    "video",
    "audio",
)
_BEHAVIOUR = (
    "x-amzn-bedrock-guardrailidentifier",
    "x-amzn-bedrock-guardrailversion",
    "x-amzn-bedrock-performanceconfig-latency",
    "amazon-bedrock-guardrailConfig",
    "textGenerationConfig",
    "return_likelihoods",
    "logit_bias",
    "logprobs",
    "truncate",
    "normalize",
    "embeddingTypes",
    "embedding_types",
    "embeddingConfig",
    "presencePenalty",
    "frequencyPenalty",
    "countPenalty",
    "numResults",
    "minTokens",
    "epoch",
    "search_queries_only",
    "prompt_truncation",
    "raw_prompting",
    "tools",
    "tool_calls",
    "citations",
    "best_of",
    "echo",
    "suffix",
    "min_p",
    "repetition_penalty",
    "embeddingPurpose",
    "truncationMode",
    "purpose",
)
_ACCOUNTING = (
    "x-amzn-bedrock-trace",
    "x-amzn-bedrock-service-tier",
    "x-amzn-bedrock-request-metadata",
    "amazon-bedrock-trace",
    "amazon-bedrock-guardrailAction",
)
_BOOKKEEPING = (
    # an answer's echo of its request
    "prompt",
    "texts",
    "embeddings",  # what is left when the vectors are taken: which encodings there were
    "echoed",
    "x-amzn-bedrock-accept",
    "x-amzn-bedrock-content-type",
    "p",
    "id",
    "object",
    "created",
    "model",
    "index",
    "type",
    "stop",
    "stream",
    "is_finished",
    "event_type",
    "response_id",
    "generation_id",
    "response_type",
    "response",
    "meta",
    "tokens",
    "data",
    "finishReason",
    "system_fingerprint",
    "api_version",
    "embeddingType",
    "embeddingsByType",
    "finish_reason",
    "stop_reason",
    "completionReason",
    "tokenCount",
    "inputTextTokenCount",
    "prompt_token_count",
    "generation_token_count",
    "usage",
    "total_tokens",
    "amazon-bedrock-invocationMetrics",
    "anthropic-version",
    "anthropic-beta",
    "anthropic_version",
    "anthropic_beta",
    "taskType",
    "schemaVersion",
    "generation",
    "completion",
    # marks: see the modules that set them
    "beside",
    "spelling",
    "task",
    "copied",
    "silent",
    "chunk",
    "order",
    "amazon",
    "frame",
    "value",
)

EFFECTS: dict[str, Effect | None] = {
    **dict.fromkeys(_CONTENT, "content"),
    **dict.fromkeys(_BEHAVIOUR, "behaviour"),
    **dict.fromkeys(_ACCOUNTING, "accounting"),
    **dict.fromkeys(_BOOKKEEPING, None),
}

LANGUAGE = Language(name=NAME, effects=EFFECTS)
"""What no family claims: frames that are no chunks, and errors."""


def family_language() -> Language:
    """A fresh origin for the extras of one family: what Llama's body said is not repeated in Titan's."""
    return Language(name=NAME, effects=EFFECTS)


def said(extra: Extra | None, language: Language) -> JsonObject | None:
    """The fields of an extra that this family said; None if another did, or nobody."""
    return extra.fields if extra is not None and extra.origin is language else None


METRICS = "amazon-bedrock-invocationMetrics"
"""The field of a stream's last chunk that repeats the usage (WIRE_FACTS 2)."""

AMAZON = "amazon-bedrock-"
"""How the fields begin that Bedrock puts beside a model's own in a chunk."""
