"""A bare prompt on any model: what it becomes, and what its client reads."""

from __future__ import annotations

import base64
import json

import pytest

from freehold.errors import CallerError
from freehold.ir import (
    ChoiceEnd,
    Event,
    Finish,
    Generate,
    JsonObject,
    PartEnd,
    PartStart,
    Reasoning,
    Response,
    ResponseEnd,
    ResponseStart,
    Text,
    TextDelta,
    ToolCall,
    Usage,
    UsageDelta,
)
from freehold.ir.fold import fold
from freehold.protocols.codec import Frame, Stamp, WireRequest
from freehold.protocols.registry import ANTHROPIC_MESSAGES, BEDROCK_INVOKE, OPENAI_CHAT

STAMP = Stamp(id="exchange1", created=1_700_000_000)


def ask(body: JsonObject, model: str = "openai-gpt-next", verb: str = "invoke") -> Generate:
    wire = WireRequest(path=f"/model/{model}/{verb}", body=json.dumps(body).encode())
    request = BEDROCK_INVOKE.decode_request(wire)
    assert isinstance(request, Generate)
    return request


def chunks(frames: list[Frame]) -> list[JsonObject]:
    return [json.loads(base64.b64decode(json.loads(frame.data)["bytes"])) for frame in frames]


def answer(text: str, finish: Finish | None = None) -> list[list[Event]]:
    start = Response(origin="anthropic-messages", choices=(), id="msg_1")
    return [
        [ResponseStart(response=start)],
        [PartStart(index=0, part=Text(text=""))],
        [TextDelta(index=0, text=text)],
        [PartEnd(index=0)],
        [ChoiceEnd(finish=finish or Finish(kind="stop", raw="end_turn", origin="anthropic-messages"))],
        [UsageDelta(usage=Usage(input_tokens=5, output_tokens=2)), ResponseEnd()],
    ]


def test_a_bare_prompt_is_one_message_of_the_user() -> None:
    request = ask({"prompt": "Say hi.", "max_tokens": 512, "temperature": 0.7})
    assert request.model == "openai-gpt-next"
    assert [(message.role, message.parts) for message in request.messages] == [("user", (Text(text="Say hi."),))]
    assert (request.max_output_tokens, request.temperature, request.stream) == (512, 0.7, False)
    assert ask({"prompt": "Say hi."}, verb="invoke-with-response-stream").stream


@pytest.mark.parametrize("name", ["max_tokens", "maxTokens", "max_tokens_to_sample", "max_gen_len", "maxTokenCount"])
def test_every_vendors_name_for_the_limit_is_understood(name: str) -> None:
    body: JsonObject = {"prompt": "Say hi.", name: 9, "top_p": 0.5, "stop": "END"}
    request = ask(body)
    assert (request.max_output_tokens, request.top_p, request.stop) == (9, 0.5, ("END",))
    assert json.loads(BEDROCK_INVOKE.encode_request(request).value.body) == body


def test_it_reaches_claude_as_messages_and_openai_as_chat() -> None:
    request = ask({"prompt": "Say hi.", "max_tokens": 512, "temperature": 0.7, "stop": ["END"]})
    claude = json.loads(ANTHROPIC_MESSAGES.encode_request(request).value.body)
    assert claude["messages"] == [{"role": "user", "content": "Say hi."}]
    assert (claude["max_tokens"], claude["temperature"], claude["stop_sequences"]) == (512, 0.7, ["END"])
    encoded = OPENAI_CHAT.encode_request(request)
    assert json.loads(encoded.value.body)["messages"] == [{"role": "user", "content": "Say hi."}]
    assert encoded.losses == ()


def test_its_answer_has_the_text_under_every_name_that_bedrock_knows() -> None:
    request = ask({"prompt": "Say hi.", "max_tokens": 512})
    encoded = BEDROCK_INVOKE.encode_response(fold(answer("Hi.")), STAMP, request)
    body = json.loads(encoded.value.body)
    assert body["choices"] == [{"index": 0, "text": "Hi.", "logprobs": None, "finish_reason": "stop"}]
    assert body["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    assert body["outputs"] == [{"text": "Hi.", "stop_reason": "stop"}]
    assert (body["completion"], body["generation"], body["stop_reason"]) == ("Hi.", "Hi.", "stop")
    headers = dict(encoded.value.headers)
    assert (headers["x-amzn-bedrock-input-token-count"], headers["x-amzn-bedrock-output-token-count"]) == ("5", "2")
    assert encoded.losses == ()


def test_its_stream_has_the_text_in_chunks_and_the_usage_in_the_last() -> None:
    request = ask({"prompt": "Say hi.", "max_tokens": 512}, verb="invoke-with-response-stream")
    encoder = BEDROCK_INVOKE.encoder(STAMP, request)
    first, last = chunks([frame for batch in answer("Hi.") for frame in encoder.feed(batch)])
    assert first["completion"] == first["generation"] == "Hi."
    assert (first["outputs"], first["stop_reason"]) == ([{"text": "Hi.", "stop_reason": None}], None)
    assert last["stop_reason"] == "stop"
    metrics = last["amazon-bedrock-invocationMetrics"]
    assert isinstance(metrics, dict)
    assert (metrics["inputTokenCount"], metrics["outputTokenCount"]) == (5, 2)


def test_our_own_answer_is_read_and_written_again() -> None:
    request = ask({"prompt": "Say hi."}, verb="invoke-with-response-stream")
    encoder, decoder = BEDROCK_INVOKE.encoder(STAMP, request), BEDROCK_INVOKE.decoder()
    frames = [frame for batch in answer("Hi.") for frame in encoder.feed(batch)]
    batches = [*(decoder.feed(frame) for frame in frames), decoder.close()]
    assert fold(batches).choices[0].parts == (Text(text="Hi."),)
    again = BEDROCK_INVOKE.encoder(STAMP, request)
    assert [frame for batch in batches for frame in again.feed(batch)] == frames
    whole = BEDROCK_INVOKE.encode_response(fold(answer("Hi.")), STAMP, request).value
    result = BEDROCK_INVOKE.decode_response(whole)
    assert json.loads(BEDROCK_INVOKE.encode_response(result, STAMP).value.body) == json.loads(whole.body)


def test_a_tool_call_can_not_be_said_to_a_prompt() -> None:
    request = ask({"prompt": "Weather?"})
    (choice,) = fold(answer("")).choices
    calls = (Reasoning(text="Hm."), ToolCall(id="c", name="weather", arguments="{}"))
    response = Response(origin="openai-chat", choices=(type(choice)(parts=calls, finish=choice.finish),))
    losses = BEDROCK_INVOKE.encode_response(response, STAMP, request).losses
    assert [loss.effect for loss in losses] == ["behaviour", "content"]


@pytest.mark.parametrize("body", [{"prompt": 7}, {"max_tokens": 7}, {"prompt": ["a", "b"]}])
def test_a_prompt_must_be_text(body: JsonObject) -> None:
    with pytest.raises(CallerError, match="prompt"):
        ask(body)


def test_a_vendors_model_answers_a_prompt_in_its_own_form() -> None:
    request = ask({"prompt": "Say hi.", "max_gen_len": 9}, model="meta.llama3-8b-instruct-v1:0")
    body = json.loads(BEDROCK_INVOKE.encode_response(fold(answer("Hi.")), STAMP, request).value.body)
    assert body == {"generation": "Hi.", "prompt_token_count": 5, "generation_token_count": 2, "stop_reason": "stop"}
