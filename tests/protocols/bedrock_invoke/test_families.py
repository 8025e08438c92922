"""Families of bodies: which one a client used, which one a target takes, and what stands around them."""

from __future__ import annotations

import base64
import json

import pytest
from botocore.exceptions import EventStreamError

from freehold.ir import (
    ChoiceEnd,
    Embed,
    Embedding,
    Embeddings,
    ErrorEnd,
    Event,
    Failure,
    Finish,
    Generate,
    Inline,
    JsonObject,
    JsonValue,
    Media,
    Message,
    PartEnd,
    PartStart,
    Proof,
    Reasoning,
    Response,
    ResponseEnd,
    ResponseStart,
    Text,
    TextDelta,
    Tool,
    ToolChoice,
    Usage,
    UsageDelta,
)
from freehold.protocols.codec import Dialect, Frame, Stamp, Unsupported, WireRequest, WireResponse
from freehold.protocols.registry import ANTHROPIC_MESSAGES, BEDROCK_INVOKE
from tests.protocols.bedrock_converse.service_model import streamed

STAMP = Stamp(id="exchange1", created=1_700_000_000)
CLAUDE = "anthropic.claude-3-5-haiku-20241022-v1:0"


def ask(model: str, body: JsonObject, *headers: tuple[str, str]) -> Generate:
    path = f"/model/{model.replace(':', '%3A')}/invoke-with-response-stream"
    request = BEDROCK_INVOKE.decode_request(WireRequest(path=path, body=json.dumps(body).encode(), headers=headers))
    assert isinstance(request, Generate)
    return request


def target(model: str, *messages: Message, **fields: object) -> JsonObject:
    talk = messages or (Message(role="user", parts=(Text(text="Hi."),)),)
    request = Generate(origin="openai-responses", model=model, messages=talk, max_output_tokens=9)
    return json.loads(BEDROCK_INVOKE.encode_request(request).value.body)


TALK = (
    Message(role="system", parts=(Text(text="Be brief."),)),
    Message(role="user", parts=(Text(text="One?"),)),
    Message(role="assistant", parts=(Text(text="1"),)),
    Message(role="user", parts=(Text(text="Two?"),)),
)


TWO_FAMILIES: list[tuple[str, JsonObject]] = [
    (CLAUDE, {"anthropic_version": "bedrock-2023-05-31", "messages": []}),
    ("m", {"prompt": "Hi."}),
]
OTHER_FAMILIES: list[tuple[str, JsonObject]] = [
    ("amazon.nova-pro-v1:0", {"messages": []}),
    ("openai.gpt-oss-20b-1:0", {"messages": []}),
    ("meta.llama3-8b-instruct-v1:0", {"prompt": "Hi."}),
    ("amazon.titan-text-lite-v1", {"inputText": "Hi."}),
    ("cohere.command-r-v1:0", {"message": "Hi."}),
]


def answer(origin: str = "openai-chat") -> list[list[Event]]:
    return [
        [ResponseStart(response=Response(origin=origin, choices=(), id="x"))],
        [PartStart(index=0, part=Text(text="")), TextDelta(index=0, text="Hi."), PartEnd(index=0)],
        [ChoiceEnd(finish=Finish(kind="stop"))],
        [UsageDelta(usage=Usage(input_tokens=5, output_tokens=2, cache_read=1)), ResponseEnd()],
    ]


def payloads(frames: list[Frame]) -> list[JsonObject]:
    return [json.loads(base64.b64decode(json.loads(frame.data)["bytes"])) for frame in frames]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (CLAUDE, {"anthropic_version", "max_tokens", "messages"}),
        ("openai.gpt-oss-120b-1:0", {"messages", "max_completion_tokens"}),
        ("qwen.qwen3-32b-v1:0", {"messages", "max_tokens"}),
        ("ai21.jamba-1-5-mini-v1:0", {"messages", "max_tokens"}),
        ("an-imported-model", {"messages", "max_tokens"}),
        ("amazon.nova-pro-v1:0", {"messages", "inferenceConfig", "schemaVersion"}),
        ("amazon.titan-text-express-v1", {"inputText", "textGenerationConfig"}),
        ("us.meta.llama3-1-8b-instruct-v1:0", {"prompt", "max_gen_len"}),
        ("mistral.mistral-7b-instruct-v0:2", {"prompt", "max_tokens"}),
        ("anthropic.claude-v2:1", {"prompt", "max_tokens_to_sample"}),
        ("cohere.command-text-v14", {"prompt", "max_tokens"}),
        ("cohere.command-r-v1:0", {"message", "max_tokens"}),
        ("ai21.j2-mid-v1", {"prompt", "maxTokens"}),
        ("us.deepseek.r1-v1:0", {"prompt", "max_tokens"}),
    ],
)
def test_a_target_gets_its_vendors_body(model: str, expected: set[str]) -> None:
    assert set(target(model)) == expected


@pytest.mark.parametrize(
    ("model", "prompt"),
    [
        ("anthropic.claude-v2:1", "Be brief.\n\nHuman: One?\n\nAssistant: 1\n\nHuman: Two?\n\nAssistant:"),
        ("mistral.mistral-7b-instruct-v0:2", "<s>[INST] Be brief.\n\nOne? [/INST] 1</s>[INST] Two? [/INST]"),
        ("cohere.command-text-v14", "Be brief.\n\nUser: One?\n\nAssistant: 1\n\nUser: Two?\n\nAssistant:"),
        (
            "meta.llama3-8b-instruct-v1:0",
            (
                "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
                "<|start_header_id|>user<|end_header_id|>\n\nOne?<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\n1<|eot_id|>"
                "<|start_header_id|>user<|end_header_id|>\n\nTwo?<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\n"
            ),
        ),
    ],
)
def test_a_conversation_becomes_one_prompt_in_the_vendors_template(model: str, prompt: str) -> None:
    assert target(model, *TALK)["prompt"] == prompt


def test_coheres_chat_gets_history_and_preamble() -> None:
    body = target("cohere.command-r-plus-v1:0", *TALK)
    assert (body["preamble"], body["message"]) == ("Be brief.", "Two?")
    assert body["chat_history"] == [{"role": "USER", "message": "One?"}, {"role": "CHATBOT", "message": "1"}]


def test_what_a_prompt_can_not_hold_is_lost_and_said() -> None:
    picture = Media(kind="image", source=Inline(data="iVBORw0KGgo"))
    request = Generate(
        origin="openai-chat",
        model="meta.llama3-8b-instruct-v1:0",
        messages=(Message(role="user", parts=(Text(text="Look."), picture)),),
        tools=(Tool(name="weather"),),
        tool_choice=ToolChoice(mode="required"),
    )
    losses = {(loss.path, loss.effect) for loss in BEDROCK_INVOKE.encode_request(request).losses}
    assert losses == {("messages[0].parts[1]", "content"), ("tools[0]", "behaviour"), ("tool_choice", "content")}


def test_the_clients_family_comes_back_whatever_answered() -> None:
    claude = ask(CLAUDE, {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": []})
    encoder = BEDROCK_INVOKE.encoder(STAMP, claude)
    events = payloads([frame for batch in answer() for frame in encoder.feed(batch)])
    assert events[0]["type"] == "message_start"
    assert events[-1]["type"] == "message_stop"
    nova = ask("amazon.nova-pro-v1:0", {"messages": [{"role": "user", "content": [{"text": "Hi."}]}]})
    encoder = BEDROCK_INVOKE.encoder(STAMP, nova)
    events = payloads([frame for batch in answer() for frame in encoder.feed(batch)])
    assert [next(iter(event)) for event in events] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    chat = ask("openai.gpt-oss-20b-1:0", {"messages": [{"role": "user", "content": "Hi."}]})
    encoder = BEDROCK_INVOKE.encoder(STAMP, chat)
    frames = [frame for batch in answer("anthropic-messages") for frame in encoder.feed(batch)]
    assert all(event.get("object") == "chat.completion.chunk" for event in payloads(frames)[:-1])


def test_fact_2_the_last_chunk_of_every_family_repeats_the_usage() -> None:
    for model, body in (*TWO_FAMILIES, *OTHER_FAMILIES):
        encoder = BEDROCK_INVOKE.encoder(STAMP, ask(model, body))
        frames = [frame for batch in answer() for frame in encoder.feed(batch)]
        assert {frame.event for frame in frames} == {"chunk"}
        assert payloads(frames)[-1]["amazon-bedrock-invocationMetrics"] == {
            "inputTokenCount": 4,
            "outputTokenCount": 2,
            "invocationLatency": 0,
            "firstByteLatency": 0,
            "cacheReadInputTokenCount": 1,
        }
        assert len(streamed(frames, "InvokeModelWithResponseStream")) == len(frames)


def test_fact_2_metrics_are_the_usage_of_bodies_that_count_nothing() -> None:
    def chunk(**value: object) -> Frame:
        data = base64.b64encode(json.dumps(value).encode()).decode()
        return Frame(event="chunk", data=json.dumps({"bytes": data, "p": "ab"}).encode())

    decoder = BEDROCK_INVOKE.decoder()
    events = [
        *decoder.feed(chunk(outputs=[{"text": "Hi.", "stop_reason": None}])),
        *decoder.feed(
            chunk(
                outputs=[{"text": "", "stop_reason": "length"}],
                **{"amazon-bedrock-invocationMetrics": {"inputTokenCount": 8, "outputTokenCount": 94}},
            )
        ),
        *decoder.close(),
    ]
    assert UsageDelta(usage=Usage(input_tokens=8, output_tokens=94)) in events
    assert [event.finish.kind for event in events if isinstance(event, ChoiceEnd) and event.finish] == ["length"]


def test_a_stream_that_dies_is_an_exception_frame() -> None:
    failure = Failure(origin="openai-chat", status=429, kind="rate_limit", message="Slow down.")
    for model, body in TWO_FAMILIES:
        encoder = BEDROCK_INVOKE.encoder(STAMP, ask(model, body))
        frames = [*encoder.feed(answer()[0]), *encoder.feed([ErrorEnd(failure=failure)])]
        with pytest.raises(EventStreamError, match=r"throttlingException.*Slow down"):
            streamed(frames, "InvokeModelWithResponseStream")


def test_a_stream_cut_short_never_ends_clean() -> None:
    for model, body in TWO_FAMILIES:
        encoder = BEDROCK_INVOKE.encoder(STAMP, ask(model, body))
        frames = [frame for batch in answer()[:2] for frame in encoder.feed(batch)]
        decoder = BEDROCK_INVOKE.decoder()
        for frame in frames:
            decoder.feed(frame)
        (event,) = decoder.close()
        assert isinstance(event, ErrorEnd)


def test_a_signature_belongs_to_invoke_whichever_language_its_body_is_in() -> None:
    thought: JsonObject = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}
    body: JsonObject = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": [thought]}],
    }
    request = ask(CLAUDE, body)
    part = request.messages[1].parts[0]
    assert isinstance(part, Reasoning)
    assert part.proof == Proof(origin="bedrock-invoke", value="EqQB")
    assert json.loads(BEDROCK_INVOKE.encode_request(request).value.body) == body


def test_guardrail_headers_travel_and_are_losses_elsewhere() -> None:
    header = ("x-amzn-bedrock-guardrailidentifier", "g1")
    request = ask(CLAUDE, {"anthropic_version": "x", "max_tokens": 9, "messages": []}, header)
    assert header in BEDROCK_INVOKE.encode_request(request).value.headers
    losses = ANTHROPIC_MESSAGES.encode_request(request).losses
    assert [(loss.path, loss.effect) for loss in losses if "guardrail" in loss.path] == [
        ("headers.x-amzn-bedrock-guardrailidentifier", "behaviour")
    ]


def test_betas_that_bedrock_knows_move_into_the_body() -> None:
    wire = WireRequest(
        path="/v1/messages",
        headers=(("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14"),),
        body=json.dumps({"model": CLAUDE, "max_tokens": 9, "messages": []}).encode(),
    )
    encoded = BEDROCK_INVOKE.encode_request(ANTHROPIC_MESSAGES.decode_request(wire))
    body = json.loads(encoded.value.body)
    assert (body["anthropic_version"], body["anthropic_beta"]) == (
        "bedrock-2023-05-31",
        ["interleaved-thinking-2025-05-14"],
    )
    assert {"model", "stream"} & set(body) == set()
    assert [loss.path for loss in encoded.losses] == ["headers.anthropic-beta"]


def test_betas_in_bedrocks_body_are_anthropics_header() -> None:
    betas: list[JsonValue] = ["interleaved-thinking-2025-05-14", "context-1m-2025-08-07"]
    body: JsonObject = {"anthropic_version": "bedrock-2023-05-31", "anthropic_beta": betas, "max_tokens": 9}
    header = ("anthropic-beta", "claude-code-20250219, context-1m-2025-08-07")
    for given, expected in (
        ((), "interleaved-thinking-2025-05-14,context-1m-2025-08-07"),
        ((header,), "claude-code-20250219, context-1m-2025-08-07,interleaved-thinking-2025-05-14"),
    ):
        request = ask(CLAUDE, {**body, "messages": []}, *given)
        encoded = ANTHROPIC_MESSAGES.encode_request(request)
        assert dict(encoded.value.headers)["anthropic-beta"] == expected
        assert "anthropic_beta" not in json.loads(encoded.value.body)
        assert encoded.losses == ()


def test_betas_in_vertex_ais_body_move_to_the_other_hosts_of_claude() -> None:
    wire = WireRequest(
        path=f"/v1/projects/p/locations/l/publishers/anthropic/models/{CLAUDE}:rawPredict",
        body=json.dumps(
            {
                "anthropic_version": "vertex-2023-10-16",
                "anthropic_beta": ["context-1m-2025-08-07"],
                "max_tokens": 9,
                "messages": [],
            }
        ).encode(),
    )
    request = ANTHROPIC_MESSAGES.decode_request(wire)
    assert json.loads(BEDROCK_INVOKE.encode_request(request).value.body)["anthropic_beta"] == ["context-1m-2025-08-07"]
    again = ANTHROPIC_MESSAGES.encode_request(request)
    assert json.loads(again.value.body)["anthropic_beta"] == ["context-1m-2025-08-07"]
    assert "anthropic-beta" not in dict(again.value.headers)
    first_party = ANTHROPIC_MESSAGES.encode_request(request, Dialect(provider="anthropic"))
    assert dict(first_party.value.headers)["anthropic-beta"] == "context-1m-2025-08-07"


def test_novas_own_knobs_are_understood() -> None:
    body: JsonObject = {
        "schemaVersion": "messages-v1",
        "messages": [{"role": "user", "content": [{"text": "Hi."}]}],
        "inferenceConfig": {"max_new_tokens": 9, "topK": 20},
    }
    request = ask("amazon.nova-pro-v1:0", body)
    assert (request.max_output_tokens, request.top_k) == (9, 20)
    assert json.loads(BEDROCK_INVOKE.encode_request(request).value.body) == body


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("amazon.titan-embed-text-v2:0", {"inputText": "a", "dimensions": 256}),
        ("cohere.embed-v4:0", {"texts": ["a"], "input_type": "search_document", "output_dimension": 256}),
        (
            "amazon.nova-2-multimodal-embeddings-v1:0",
            {
                "taskType": "SINGLE_EMBEDDING",
                "singleEmbeddingParams": {
                    "text": {"truncationMode": "END", "value": "a"},
                    "embeddingPurpose": "GENERIC_INDEX",
                    "embeddingDimension": 256,
                },
            },
        ),
    ],
)
def test_vectors_are_asked_for_in_the_vendors_body(model: str, expected: JsonObject) -> None:
    request = Embed(origin="openai-embeddings", model=model, inputs=("a",), dimensions=256)
    assert json.loads(BEDROCK_INVOKE.encode_request(request).value.body) == expected


def test_titan_takes_one_text_at_a_time() -> None:
    request = Embed(origin="openai-embeddings", model="amazon.titan-embed-text-v1", inputs=("a", "b"), batch=True)
    with pytest.raises(Unsupported, match="one text"):
        BEDROCK_INVOKE.encode_request(request)


def test_vectors_answer_in_the_clients_form() -> None:
    wire = WireRequest(path="/model/amazon.titan-embed-text-v1/invoke", body=b'{"inputText":"a"}')
    request = BEDROCK_INVOKE.decode_request(wire)
    vectors = Embeddings(origin="openai-embeddings", data=(Embedding(vector=(0.5, 1)),), usage=Usage(input_tokens=3))
    encoded = BEDROCK_INVOKE.encode_response(vectors, STAMP, request)
    assert json.loads(encoded.value.body) == {"embedding": [0.5, 1], "inputTextTokenCount": 3}


def test_ranking_is_not_translated() -> None:
    wire = WireRequest(path="/model/cohere.rerank-v3-5:0/invoke", body=b'{"query":"q","documents":["a"]}')
    with pytest.raises(Unsupported):
        BEDROCK_INVOKE.decode_request(wire)


def test_counts_of_headers_are_the_usage_of_bodies_that_have_none() -> None:
    wire = WireResponse(
        status=200,
        headers=(("x-amzn-bedrock-input-token-count", "8"), ("x-amzn-bedrock-output-token-count", "3")),
        body=b'{"outputs":[{"text":"Hi.","stop_reason":"stop"}]}',
    )
    result = BEDROCK_INVOKE.decode_response(wire)
    assert isinstance(result, Response)
    assert result.usage == Usage(input_tokens=8, output_tokens=3)
