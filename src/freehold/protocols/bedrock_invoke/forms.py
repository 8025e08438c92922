"""The forms of text completion on Bedrock, as tables: where each vendor's body has its knobs, text and counts."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from freehold.ir import FinishKind, JsonObject, JsonValue, Language, Usage
from freehold.protocols.bedrock_invoke import prompts
from freehold.protocols.bedrock_invoke.language import NAME, family_language
from freehold.protocols.codec import Stamp

KNOBS: dict[str, tuple[str, ...]] = {
    "max_output_tokens": (
        "max_tokens",
        "max_gen_len",
        "max_tokens_to_sample",
        "maxTokens",
        "maxTokenCount",
        "max_completion_tokens",
        "max_new_tokens",
        "max_length",
    ),
    "temperature": ("temperature",),
    "top_p": ("top_p", "topP", "p"),
    "top_k": ("top_k", "topK", "k"),
    "stop": ("stop_sequences", "stopSequences", "stop"),
    "seed": ("seed",),
    "frequency_penalty": ("frequency_penalty", "frequencyPenalty"),
    "presence_penalty": ("presence_penalty", "presencePenalty"),
    "candidates": ("num_generations", "numResults", "n"),
}
"""Every name that a knob has in any of these bodies; all are understood in all of them."""

_KINDS: dict[str, FinishKind] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "endoftext": "stop",
    "complete": "stop",
    "finish": "stop",
    "finished": "stop",
    "stop_criteria_met": "stop",
    "length": "length",
    "max_tokens": "length",
    "error_limit": "length",
    "content_filtered": "content_filter",
    "content_filter": "content_filter",
    "error_toxic": "content_filter",
    "tool_calls": "tool_calls",
    "error": "error",
    "rag_query_when_rag_disabled": "error",
}
"""What the vendors' words for the end mean, whatever their case."""


def finish_kind(reason: str) -> FinishKind:
    """Our word for a vendor's."""
    return _KINDS.get(reason.lower(), "other")


Written = Callable[[str, JsonValue, Usage, Stamp], JsonObject]
"""Writes an answer or chunk from its text, its finish (None: not yet), the usage, and what ids are made of."""


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor's form.

    `rows` names the list of candidates (None: the body itself is the only one); `text` and `finish` are places in a
    row, `asked` (input tokens) and `counted` (output tokens) in the body. `streamed` is the form of a chunk, where that
    is another.
    """

    name: str
    knobs: dict[str, str]
    text: tuple[str, ...]
    finish: tuple[str, ...]
    finishes: dict[FinishKind, str]
    answer: Written
    chunk: Written
    prompt: str = "prompt"
    template: prompts.Template = prompts.plain
    nest: str | None = None
    rows: str | None = None
    asked: str | None = None
    counted: str | None = None
    streamed: Form | None = None
    language: Language = msgspec.field(default_factory=family_language)


def _knobs(**names: str) -> dict[str, str]:
    return {"max_output_tokens": "max_tokens", "temperature": "temperature", "top_p": "top_p", **names}


# --- Bare prompts ---------------------------------------------------------------------------------------------------


def _text_answer(text: str, finish: JsonValue, usage: Usage, stamp: Stamp) -> JsonObject:
    """The text under each name that a text model on Bedrock gives it, so that whatever a client reads is there.

    `choices` and `usage` are what Bedrock answers to the same body for imported models (OpenAI's completions);
    `outputs` is Mistral's, `generation` Llama's, `completion` Claude's.
    """
    asked, spent = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        **_text_chunk(text, finish, usage, stamp),
        "usage": {"prompt_tokens": asked, "completion_tokens": spent, "total_tokens": asked + spent},
        "prompt_token_count": asked,
        "generation_token_count": spent,
    }


def _text_chunk(text: str, finish: JsonValue, usage: Usage, stamp: Stamp) -> JsonObject:  # noqa: ARG001 -- every writer is given all of it
    return {
        "id": f"cmpl-{stamp.id}",
        "object": "text_completion",
        "created": stamp.created,
        "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}],
        **copies(text, finish),
    }


COPIES = ("outputs", "generation", "completion", "stop_reason")

COPIED = "copied"
"""Extra that says that the copies were there."""


def copies(text: str, finish: JsonValue) -> JsonObject:
    """The same text as Mistral, Llama and Claude would give it."""
    return {
        "outputs": [{"text": text, "stop_reason": finish}],
        "generation": text,
        "completion": text,
        "stop_reason": finish,
    }


TEXT = Form(
    name="text",
    knobs=_knobs(
        stop="stop",
        seed="seed",
        frequency_penalty="frequency_penalty",
        presence_penalty="presence_penalty",
        top_k="top_k",
    ),
    rows="choices",
    text=("text",),
    finish=("finish_reason",),
    finishes={"length": "length", "content_filter": "content_filter"},
    answer=_text_answer,
    chunk=_text_chunk,
    template=prompts.deepseek,
)
"""A bare prompt for any model. As a target's form it is DeepSeek R1's."""

# --- The vendors' ---------------------------------------------------------------------------------------------------


def _llama(text: str, finish: JsonValue, usage: Usage, stamp: Stamp) -> JsonObject:  # noqa: ARG001 -- every writer is given all of it
    return {
        "generation": text,
        "prompt_token_count": usage.input_tokens,
        "generation_token_count": usage.output_tokens,
        "stop_reason": finish,
    }


LLAMA = Form(
    name="llama",
    knobs={"max_output_tokens": "max_gen_len", "temperature": "temperature", "top_p": "top_p"},
    text=("generation",),
    finish=("stop_reason",),
    finishes={"length": "length"},
    asked="prompt_token_count",
    counted="generation_token_count",
    answer=_llama,
    chunk=_llama,
    template=prompts.llama,
)


def _mistral(text: str, finish: JsonValue, usage: Usage, stamp: Stamp) -> JsonObject:  # noqa: ARG001 -- every writer is given all of it
    return {"outputs": [{"text": text, "stop_reason": finish}]}


MISTRAL = Form(
    name="mistral",
    knobs=_knobs(top_k="top_k", stop="stop"),
    rows="outputs",
    text=("text",),
    finish=("stop_reason",),
    finishes={"length": "length"},
    answer=_mistral,
    chunk=_mistral,
    template=prompts.instruct,
)


def _titan_answer(text: str, finish: JsonValue, usage: Usage, stamp: Stamp) -> JsonObject:  # noqa: ARG001 -- every writer is given all of it
    row: JsonObject = {"tokenCount": usage.output_tokens or 0, "outputText": text, "completionReason": finish}
    return {"inputTextTokenCount": usage.input_tokens or 0, "results": [row]}


def _titan_chunk(text: str, finish: JsonValue, usage: Usage, stamp: Stamp) -> JsonObject:  # noqa: ARG001 -- every writer is given all of it
    return {
        "outputText": text,
        "index": 0,
        "totalOutputTextTokenCount": None if finish is None else usage.output_tokens,
        "completionReason": finish,
        "inputTextTokenCount": usage.input_tokens,
    }


_TITAN_KNOBS = {
    "max_output_tokens": "maxTokenCount",
    "temperature": "temperature",
    "top_p": "topP",
    "stop": "stopSequences",
}
_TITAN_FINISHES: dict[FinishKind, str] = {
    "stop": "FINISH",
    "length": "LENGTH",
    "content_filter": "CONTENT_FILTERED",
    "refusal": "CONTENT_FILTERED",
}

_TITAN_STREAMED = Form(
    name="titan",
    knobs={},
    text=("outputText",),
    finish=("completionReason",),
    finishes=_TITAN_FINISHES,
    asked="inputTextTokenCount",
    counted="totalOutputTextTokenCount",
    answer=_titan_chunk,
    chunk=_titan_chunk,
)

TITAN = Form(
    name="titan",
    prompt="inputText",
    nest="textGenerationConfig",
    knobs=_TITAN_KNOBS,
    rows="results",
    text=("outputText",),
    finish=("completionReason",),
    finishes=_TITAN_FINISHES,
    asked="inputTextTokenCount",
    answer=_titan_answer,
    chunk=_titan_chunk,
    template=prompts.titan,
    streamed=_TITAN_STREAMED,
)


def _claude(text: str, finish: JsonValue, usage: Usage, stamp: Stamp) -> JsonObject:  # noqa: ARG001 -- every writer is given all of it
    stop = "\n\nHuman:" if finish == "stop_sequence" else None
    return {"type": "completion", "completion": text, "stop_reason": finish, "stop": stop}


CLAUDE = Form(
    name="claude-text",
    knobs={
        "max_output_tokens": "max_tokens_to_sample",
        "temperature": "temperature",
        "top_p": "top_p",
        "top_k": "top_k",
        "stop": "stop_sequences",
    },
    text=("completion",),
    finish=("stop_reason",),
    finishes={"stop": "stop_sequence", "length": "max_tokens"},
    answer=_claude,
    chunk=_claude,
    template=prompts.claude,
)


def _cohere_answer(text: str, finish: JsonValue, usage: Usage, stamp: Stamp) -> JsonObject:  # noqa: ARG001 -- every writer is given all of it
    return {
        "generations": [{"finish_reason": finish, "id": f"{stamp.id}-0", "text": text}],
        "id": stamp.id,
        "prompt": "",
    }


def _cohere_chunk(text: str, finish: JsonValue, usage: Usage, stamp: Stamp) -> JsonObject:  # noqa: ARG001 -- every writer is given all of it
    if finish is None:
        return {"is_finished": False, "text": text}
    return {"finish_reason": finish, "is_finished": True}


_COHERE_FINISHES: dict[FinishKind, str] = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "content_filter": "ERROR_TOXIC",
    "refusal": "ERROR_TOXIC",
    "error": "ERROR",
}

_COHERE_STREAMED = Form(
    name="cohere",
    knobs={},
    text=("text",),
    finish=("finish_reason",),
    finishes=_COHERE_FINISHES,
    answer=_cohere_chunk,
    chunk=_cohere_chunk,
)

COHERE = Form(
    name="cohere",
    knobs={
        "max_output_tokens": "max_tokens",
        "temperature": "temperature",
        "top_p": "p",
        "top_k": "k",
        "stop": "stop_sequences",
        "candidates": "num_generations",
    },
    rows="generations",
    text=("text",),
    finish=("finish_reason",),
    finishes=_COHERE_FINISHES,
    answer=_cohere_answer,
    chunk=_cohere_chunk,
    streamed=_COHERE_STREAMED,
)


def _command_answer(text: str, finish: JsonValue, usage: Usage, stamp: Stamp) -> JsonObject:  # noqa: ARG001 -- every writer is given all of it
    return {
        "response_id": stamp.id,
        "text": text,
        "generation_id": f"{stamp.id}-0",
        "chat_history": [{"role": "CHATBOT", "message": text}],
        "finish_reason": finish,
    }


def _command_chunk(text: str, finish: JsonValue, usage: Usage, stamp: Stamp) -> JsonObject:  # noqa: ARG001 -- every writer is given all of it
    if finish is None:
        return {"is_finished": False, "event_type": "text-generation", "text": text}
    end: JsonObject = {"response_id": stamp.id, "generation_id": f"{stamp.id}-0", "finish_reason": finish}
    return {"is_finished": True, "event_type": "stream-end", "response": end, "finish_reason": finish}


COMMAND_R = Form(
    name="command-r",
    prompt="message",
    knobs={
        "max_output_tokens": "max_tokens",
        "temperature": "temperature",
        "top_p": "p",
        "top_k": "k",
        "stop": "stop_sequences",
        "seed": "seed",
        "frequency_penalty": "frequency_penalty",
        "presence_penalty": "presence_penalty",
    },
    text=("text",),
    finish=("finish_reason",),
    finishes=_COHERE_FINISHES,
    answer=_command_answer,
    chunk=_command_chunk,
)


def _jurassic(text: str, finish: JsonValue, usage: Usage, stamp: Stamp) -> JsonObject:  # noqa: ARG001 -- every writer is given all of it
    row: JsonObject = {"data": {"text": text, "tokens": []}, "finishReason": {"reason": finish}}
    return {"id": stamp.id, "prompt": {"text": "", "tokens": []}, "completions": [row]}


JURASSIC = Form(
    name="jurassic",
    knobs={
        "max_output_tokens": "maxTokens",
        "temperature": "temperature",
        "top_p": "topP",
        "stop": "stopSequences",
        "candidates": "numResults",
    },
    rows="completions",
    text=("data", "text"),
    finish=("finishReason", "reason"),
    finishes={"stop": "endoftext", "length": "length"},
    answer=_jurassic,
    chunk=_jurassic,
)

FORMS: tuple[Form, ...] = (TEXT, LLAMA, MISTRAL, TITAN, CLAUDE, COHERE, COMMAND_R, JURASSIC)


def finish_word(form: Form, kind: FinishKind) -> str:
    """The vendor's word for a finish; its word for an ordinary end where it has none."""
    return form.finishes.get(kind) or form.finishes.get("stop") or "stop"


def form_origin(form: Form) -> str:
    """The origin of a finish's word: each vendor has its own words under one protocol."""
    return f"{NAME}/{form.name}"
