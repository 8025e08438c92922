"""`generationConfig`: limits, sampling, thinking, and the form an answer must have."""

from __future__ import annotations

from typing import TypedDict, cast

from freehold.ir import Generate, JsonObject, JsonValue, Losses, OutputFormat, ReasoningOptions
from freehold.protocols.gemini_generate.language import NAME, is_ours
from freehold.protocols.gemini_generate.reasoning import read_reasoning, write_foreign, write_native
from freehold.protocols.gemini_generate.schema import as_response_schema, put_schema, take_schema
from freehold.protocols.gemini_generate.wire import Node

_MOST_STOPS = 5
"""Stop sequences that the API takes."""

_HOTTEST = 2.0

_LARGEST_SEED = 2**31


class Settings(TypedDict):
    """The fields of a request that stand in `generationConfig`."""

    max_output_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    stop: tuple[str, ...]
    seed: int | None
    frequency_penalty: float | None
    presence_penalty: float | None
    candidates: int | None
    output_format: OutputFormat | None
    reasoning: ReasoningOptions | None


NO_SETTINGS: Settings = {
    "max_output_tokens": None,
    "temperature": None,
    "top_p": None,
    "top_k": None,
    "stop": (),
    "seed": None,
    "frequency_penalty": None,
    "presence_penalty": None,
    "candidates": None,
    "output_format": None,
    "reasoning": None,
}

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_settings(node: Node) -> Settings:
    """What is understood of `generationConfig`; the node keeps the rest."""
    node.take_usual("responseModalities", ["TEXT"])
    return {
        "max_output_tokens": node.take_int("maxOutputTokens"),
        "temperature": node.take_number("temperature"),
        "top_p": node.take_number("topP"),
        "top_k": _take_whole(node, "topK"),
        "stop": _take_stops(node),
        "seed": node.take_int("seed"),
        "frequency_penalty": node.take_number("frequencyPenalty"),
        "presence_penalty": node.take_number("presencePenalty"),
        "candidates": node.take_int("candidateCount"),
        "output_format": _take_format(node),
        "reasoning": _take_reasoning(node),
    }


def _take_whole(node: Node, name: str) -> int | None:
    """A number that is whole but is often written as a fraction (`40.0`)."""
    value = node.peek(name)
    if isinstance(value, float) and value.is_integer():
        node.take(name)
        return int(value)
    return node.take_int(name)


def _take_stops(node: Node) -> tuple[str, ...]:
    value = node.peek("stopSequences")
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        return ()
    node.take("stopSequences")
    return tuple(cast("list[str]", value))


def _take_reasoning(node: Node) -> ReasoningOptions | None:
    child = node.child("thinkingConfig")
    return None if child is None else read_reasoning(child)


def _take_format(node: Node) -> OutputFormat | None:
    """The MIME type of the answer and its schema; a schema without the type counts for nothing but rides along."""
    match node.peek("responseMimeType"):
        case "application/json":
            node.take("responseMimeType")
            part = Node({name: item for name in _SCHEMAS if (item := node.peek(name)) is not None})
            schema = take_schema(part, "responseSchema", "responseJsonSchema")
            if schema is None:
                return OutputFormat(kind="json")
            for name in _SCHEMAS:
                if isinstance(node.peek(name), dict) and name not in part.left:
                    node.take(name)
            return OutputFormat(kind="schema", schema=schema, extra=part.rest())
        case "text/plain":
            node.take("responseMimeType")
            return OutputFormat(kind="text")
        case _:
            return None


_SCHEMAS = ("responseSchema", "responseJsonSchema")

# --- Writing ---------------------------------------------------------------------------------------------------------


def write_settings(request: Generate, losses: Losses) -> JsonObject:
    """`generationConfig` without what else rode along in it."""
    native = request.origin == NAME
    config: JsonObject = {}
    _set(config, "candidateCount", request.candidates if native or request.candidates != 1 else None)
    _set(config, "maxOutputTokens", request.max_output_tokens)
    _set(config, "temperature", request.temperature if native else _clamped(request.temperature, losses))
    _set(config, "topP", request.top_p)
    _set(config, "topK", request.top_k)
    _set(config, "seed", request.seed if native else _small(request.seed, losses))
    _set(config, "presencePenalty", request.presence_penalty)
    _set(config, "frequencyPenalty", request.frequency_penalty)
    stops = request.stop
    if len(stops) > _MOST_STOPS and not native:
        losses.add("stop", "clamped", "behaviour", f"{len(stops)} stop sequences to {_MOST_STOPS}")
        stops = stops[:_MOST_STOPS]
    if stops:
        config["stopSequences"] = cast("JsonValue", list(stops))
    if request.output_format is not None:
        _write_format(request.output_format, config, losses)
    if request.reasoning is not None:
        options = request.reasoning
        thinking = write_native(options, losses) if is_ours(options.extra) else write_foreign(request, options, losses)
        _set(config, "thinkingConfig", thinking)
    return config


def _set(config: JsonObject, name: str, value: JsonValue) -> None:
    if value is not None:
        config[name] = value


def _clamped(temperature: float | None, losses: Losses) -> float | None:
    if temperature is None or 0 <= temperature <= _HOTTEST:
        return temperature
    clamped = min(max(temperature, 0.0), _HOTTEST)
    losses.add("temperature", "clamped", "behaviour", f"{temperature} to {clamped}")
    return clamped


def _small(seed: int | None, losses: Losses) -> int | None:
    if seed is None or -_LARGEST_SEED <= seed < _LARGEST_SEED:
        return seed
    losses.add("seed", "approximated", "behaviour", "a seed has 32 bits")
    return seed % _LARGEST_SEED


def _write_format(form: OutputFormat, config: JsonObject, losses: Losses) -> None:
    if not is_ours(form.extra):
        losses.drop_extra(form.extra, "output_format")
    if form.kind == "text":
        config["responseMimeType"] = "text/plain"
        return
    config["responseMimeType"] = "application/json"
    if form.description is not None:
        losses.add("output_format.description", "dropped", "behaviour")
    if form.schema is not None:
        schema = form.schema if is_ours(form.extra) else as_response_schema(form.schema)
        put_schema(config, schema, form.extra, "responseSchema", "responseJsonSchema")
