"""The twenty things that translators get wrong about real traffic, one test each."""

from __future__ import annotations

import base64
import json

import pytest

from freehold.ir import ErrorEnd, Finish, Opaque, Reasoning, ResponseEnd, Text, ToolCall, Usage, UsageDelta
from freehold.protocols.registry import CODECS
from tests.laws.recordings import NAMES, recording
from tests.wire_facts.speech import STAMP, answer, chunks, events, failure, frames, streamed, told


def usage(name: str) -> Usage:
    counted = answer(name).usage
    assert counted is not None
    return counted


def finish(name: str) -> Finish:
    said = answer(name).choices[0].finish
    assert said is not None
    return said


def recorded(name: str) -> dict[str, object]:
    """The recorded answer's JSON."""
    wire = recording(f"{name}.json").wire_response()
    assert wire is not None
    return json.loads(wire.body)


CONVERSE_STREAM = "bedrock-converse-stream/openinference-b306e3dd"


def test_fact_01_converse_streams_start_no_text_block_and_end_with_the_usage() -> None:
    kinds = [frame.event for frame in frames(CONVERSE_STREAM)]
    assert "contentBlockStart" not in kinds
    assert kinds[-2:] == ["messageStop", "metadata"]
    said = chunks(CONVERSE_STREAM, "openai-chat")
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in said if chunk["choices"])
    assert said[-1]["usage"]["completion_tokens"] == usage(CONVERSE_STREAM).output_tokens
    assert not any('"p"' in json.dumps(chunk) for chunk in said)


def test_fact_02_bedrocks_invoke_metrics_are_not_usage_twice() -> None:
    name = "bedrock-invoke-stream/dd-trace-js-724188ce"
    last = json.loads(frames(name)[-1].data)
    metrics = last.get("amazon-bedrock-invocationMetrics") or _in_chunk(last)["amazon-bedrock-invocationMetrics"]
    counted = usage(name)
    assert (counted.input_tokens, counted.output_tokens) == (metrics["inputTokenCount"], metrics["outputTokenCount"])
    assert "invocationMetrics" not in json.dumps(chunks(name, "openai-chat"))


def _in_chunk(event: dict[str, str]) -> dict[str, dict[str, int]]:
    return json.loads(base64.b64decode(event["bytes"]))


def test_fact_03_cached_tokens_are_inside_or_outside_of_the_input_count() -> None:
    outside = recorded("bedrock-converse/pydantic-ai-77381744")["usage"]
    assert isinstance(outside, dict)
    cached = outside.get("cacheReadInputTokens", 0) + outside.get("cacheWriteInputTokens", 0)
    assert cached > 0
    prompt = told("bedrock-converse/pydantic-ai-77381744", "openai-chat")["usage"]["prompt_tokens"]
    assert prompt == outside["inputTokens"] + cached
    inside = recorded("openai-chat/pydantic-ai-fe8ad387")["usage"]
    assert isinstance(inside, dict)
    read = inside["prompt_tokens_details"]["cached_tokens"]
    counted = told("openai-chat/pydantic-ai-fe8ad387", "anthropic-messages")["usage"]
    assert (counted["input_tokens"], counted["cache_read_input_tokens"]) == (inside["prompt_tokens"] - read, read)


def test_fact_04_reasoning_tokens_are_inside_or_outside_of_the_output_count() -> None:
    gemini = recorded("gemini-generate/mirascope-6909504c")["usageMetadata"]
    assert isinstance(gemini, dict)
    thought, said = gemini["thoughtsTokenCount"], gemini["candidatesTokenCount"]
    assert usage("gemini-generate/mirascope-6909504c").output_tokens == said + thought
    counted = told("gemini-generate/mirascope-6909504c", "openai-chat")["usage"]
    assert counted["completion_tokens"] == said + thought
    assert counted["completion_tokens_details"]["reasoning_tokens"] == thought


def test_fact_05_the_input_count_of_message_start_is_not_final() -> None:
    name = "anthropic-messages/llm-anthropic-2a7b01f7"
    first = json.loads(frames(name)[0].data)["message"]["usage"]["input_tokens"]
    assert (first, usage(name).input_tokens) == (2039, 10423)
    assert chunks(name, "openai-chat")[-1]["usage"]["prompt_tokens"] == 10423


def test_fact_06_a_call_without_arguments_streams_as_nothing() -> None:
    said = chunks("anthropic-messages/ruby-llm-40fa3bcf", "openai-chat")
    deltas = [call for chunk in said for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", [])]
    assert "".join(call["function"].get("arguments") or "" for call in deltas) == "{}"


def test_fact_07_a_thought_can_be_a_signature_without_words() -> None:
    parts = answer("anthropic-messages/pydantic-ai-aff5a7c0").choices[0].parts
    empty = [part for part in parts if isinstance(part, Reasoning) and not part.text]
    assert empty
    assert all(part.proof is not None and part.proof.value for part in empty)


def test_fact_08_gemini_calls_tools_with_stop_and_without_an_id() -> None:
    name = "gemini-generate/ruby-llm-697cee68"
    assert '"finishReason":"STOP"' in json.dumps(recorded(name), separators=(",", ":"))
    choice = told(name, "openai-chat")["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    ids = [call["id"] for call in choice["message"]["tool_calls"]]
    assert all(ids)
    assert len(set(ids)) == len(ids)


def test_fact_09_gemini_streams_as_events_or_as_one_array_and_may_number_its_enums() -> None:
    wire = recording("gemini-stream/openinference-26591e73.json").wire_response()
    assert wire is not None
    assert b'"finishReason": 1' in wire.body or b'"finishReason":1' in wire.body
    assert finish("gemini-stream/openinference-26591e73").kind in {"stop", "tool_calls"}
    arrays = [name for name in NAMES if name.startswith("gemini-stream") and _starts(name, b"[")]
    assert arrays
    assert all(answer(name.removesuffix(".json")).choices for name in arrays)
    assert answer("gemini-stream/mirascope-2b29e349").choices


def _starts(name: str, start: bytes) -> bool:
    wire = recording(name).wire_response()
    return wire is not None and wire.status == 200 and wire.body.lstrip().startswith(start)


@pytest.mark.parametrize("codec", CODECS)
def test_fact_10_done_is_a_habit_of_chat_completions_only(codec: str) -> None:
    if codec == "openai-embeddings":
        return
    written = [frame.data for frame in streamed("anthropic-messages/ruby-llm-40fa3bcf", codec)]
    assert (b"[DONE]" in written) == (codec in {"openai-chat", "azure-openai"})


def test_fact_11_azures_first_chunk_has_no_choices_and_no_model() -> None:
    name = "azure-openai-chat/fantasy-7adb4afb"
    first = json.loads(frames(name)[0].data)
    assert (first["choices"], first["model"]) == ([], "")
    said = chunks(name, "anthropic-messages")
    assert said[0]["type"] == "message_start"
    assert said[0]["message"]["model"]
    assert said[-1]["type"] == "message_stop"


def test_fact_12_responses_reason_first_and_reasoning_without_words_returns_encrypted() -> None:
    name = "openai-responses/pydantic-ai-b343b2b9"
    parts = answer(name).choices[0].parts
    thoughts = [part for part in parts if isinstance(part, Reasoning)]
    assert isinstance(parts[0], Reasoning)
    assert all(part.proof is not None for part in thoughts)
    assert finish("openai-responses/dd-trace-py-1f758edc").kind == "length"


def test_fact_13_reasons_to_stop_lie_so_the_content_decides() -> None:
    forced = "openai-chat/mirascope-bd1ad433"
    assert '"finish_reason":"stop"' in json.dumps(recorded(forced), separators=(",", ":"))
    assert told(forced, "anthropic-messages")["stop_reason"] == "tool_use"
    hosted = "bedrock-converse/ruby-llm-8bd49ea6"
    calls = [part for part in answer(hosted).choices[0].parts if isinstance(part, ToolCall)]
    assert all(call.hosted for call in calls)
    assert told(hosted, "openai-chat")["choices"][0]["finish_reason"] == "stop"


def test_fact_14_mistral_sends_calls_whole_and_thoughts_as_content() -> None:
    said = chunks("mistral/openinference-c6efe42e", "anthropic-messages")
    starts = [chunk["content_block"]["type"] for chunk in said if chunk["type"] == "content_block_start"]
    assert "tool_use" in starts
    parts = answer("mistral/pydantic-ai-b4913df4").choices[0].parts
    assert [type(part) for part in parts][:2] == [Reasoning, Text]


ERRORS = [name for name in NAMES if (answered := recording(name).response) is not None and answered.status >= 400]


@pytest.mark.parametrize("name", ERRORS)
def test_fact_15_errors_of_any_shape_have_a_message_for_any_client(name: str) -> None:
    known = failure(name.removesuffix(".json"))
    assert known.message
    body = json.loads(CODECS["anthropic-messages"].encode_error(known, STAMP).body)
    assert (body["type"], body["error"]["message"]) == ("error", known.message)


@pytest.mark.parametrize("name", ["deepseek/ruby-llm-235e4ac5", "azure-ai-inference/ruby-llm-778c14cb"])
def test_fact_16_errors_may_not_be_json(name: str) -> None:
    wire = recording(f"{name}.json").wire_response()
    assert wire is not None
    with pytest.raises(json.JSONDecodeError):
        json.loads(wire.body)
    assert failure(name).message in wire.body.decode()


@pytest.mark.parametrize("name", ["groq/pydantic-ai-1adb0029", "openrouter/pydantic-ai-35670edf"])
def test_fact_17_an_error_inside_of_a_200_is_an_error(name: str) -> None:
    assert isinstance(events(name)[-1], ErrorEnd)
    assert [frame.event for frame in streamed(name, "anthropic-messages")][-1] == "error"


def test_fact_18_comments_that_keep_a_line_open_are_no_frames() -> None:
    name = "openrouter/pydantic-ai-87d23ca7"
    wire = recording(f"{name}.json").wire_response()
    assert wire is not None
    assert b": OPENROUTER PROCESSING" in wire.body
    assert not any(b"PROCESSING" in frame.data for frame in frames(name))
    assert isinstance(events(name)[-1], ResponseEnd)


def test_fact_19_results_of_hosted_tools_arrive_whole_and_are_nobodys_calls() -> None:
    name = "anthropic-messages/llm-anthropic-2a7b01f7"
    parts = answer(name).choices[0].parts
    results = [part.value for part in parts if isinstance(part, Opaque)]
    assert any(result["type"] == "web_search_tool_result" and result["content"] for result in results)
    assert len([part for part in parts if isinstance(part, Text)]) > 1
    assert not any(
        choice["delta"].get("tool_calls") for chunk in chunks(name, "openai-chat") for choice in chunk["choices"]
    )


def test_fact_20_perplexity_counts_again_in_every_chunk() -> None:
    name = "perplexity/ruby-llm-49bb5cb8"
    counts = [event.usage for event in events(name) if isinstance(event, UsageDelta)]
    assert len(counts) > 1
    assert usage(name).output_tokens == counts[-1].output_tokens
    assert len([chunk for chunk in chunks(name, "openai-chat") if chunk.get("usage")]) >= 1
