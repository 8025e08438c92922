"""What happens between the doors: failover, blame, losses, options, media, and what is written down."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from freehold.exchange.door import ClientGone
from freehold.ir import JsonObject, JsonValue
from freehold.transport.fake import FakeUpstream, Garble, Refuse, Reply, Reset, Stall
from tests.exchange.road import CONFIG, Door, Roadside

CHAT = "/v1/chat/completions"
HELLO: JsonObject = {"model": "pair", "messages": [{"role": "user", "content": "hello"}]}
ANSWER: JsonObject = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}
JSON = [("content-type", "application/json")]
SSE = [("content-type", "text/event-stream")]


def reply(body: JsonObject, status: int = 200, **headers: str) -> Reply:
    more = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Reply(status=status, headers=[*JSON, *more], body=[msgspec.json.encode(body)])


def error(status: int, **headers: str) -> Reply:
    return reply({"error": {"message": "no", "type": "t", "param": None, "code": None}}, status, **headers)


def chunk(delta: JsonObject, finish: str | None = None) -> bytes:
    event = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + msgspec.json.encode(event) + b"\n\n"


USAGE = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[],'
    b'"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\n'
)
STREAM = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "hi"}),
    chunk({}, "stop"),
    USAGE,
    b"data: [DONE]\n\n",
]

FAULTS = {
    "refused": Refuse(),
    "reset": Reset(),
    "garbled head": Garble(),
    "429": error(429),
    "429 with Retry-After": error(429, retry_after="30"),
    "500": error(500),
    "503": error(503),
    "529": error(529),
    "401": error(401),
    "404": error(404),
    "error in a 200": reply({"error": {"message": "no", "code": 500}}),
    "no JSON": Reply(status=200, headers=JSON, body=[b"<html>"]),
    "truncated": Reply(status=200, headers=[*JSON, ("content-length", "500")], body=[b"{", Reset()]),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_the_next_target_answers(fault: Reply, tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(fault, reply(ANSWER)))
    door = await side.ask(CHAT, HELLO)
    assert door.status == 200
    assert door.headers["freehold-target"] == "two/gpt-4o"
    assert door.headers["freehold-attempts"] == "2"
    record = side.records()[0]
    assert record.outcome == "ok"
    assert [attempt.target for attempt in record.attempts] == ["one/gpt-4o", "two/gpt-4o"]
    assert record.attempts[0].error is not None
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens) == (5, 2)


STREAM_FAULTS = {
    "error first": Reply(status=200, headers=SSE, body=[b'data: {"error":{"message":"no","code":500}}\n\n']),
    "nothing": Reply(status=200, headers=SSE, body=[]),
    "comments only": Reply(status=200, headers=SSE, body=[b": one moment\n\n", Reset()]),
    "reset at once": Reply(status=200, headers=SSE, body=[Reset()]),
    "garbage": Reply(status=200, headers=SSE, body=[b"data: {nonsense\n\n"]),
}


@pytest.mark.parametrize("fault", STREAM_FAULTS.values(), ids=STREAM_FAULTS.keys())
async def test_a_stream_that_breaks_before_its_first_word_goes_to_the_next(fault: Reply, tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(fault, Reply(status=200, headers=SSE, body=STREAM)))
    door = await side.ask(CHAT, {**HELLO, "stream": True})
    assert door.status == 200
    assert door.headers["freehold-target"] == "two/gpt-4o"
    assert b'"content":"hi"' in door.body
    assert door.ended


async def test_the_caller_is_to_blame_once(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(error(400), reply(ANSWER)))
    door = await side.ask(CHAT, HELLO)
    assert door.status == 400
    assert len(side.upstream.exchanges) == 1


async def test_retry_after_is_honoured(tmp_path: Path) -> None:
    """A target that asked to be left alone comes last, until its time has passed."""
    side = Roadside(tmp_path, FakeUpstream(error(429, retry_after="30"), reply(ANSWER)))
    await side.ask(CHAT, HELLO)
    await side.ask(CHAT, HELLO)
    assert [attempt.target for attempt in side.records()[1].attempts] == ["two/gpt-4o"]


async def test_a_short_wait_is_taken_when_everybody_asks_for_it(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(error(429, retry_after="2"), error(429, retry_after="2"), reply(ANSWER)))
    door = await side.ask(CHAT, HELLO)
    assert door.status == 200
    assert side.naps == [2.0]


async def test_a_long_wait_is_the_callers(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(error(429, retry_after="60")))
    door = await side.ask(CHAT, HELLO)
    assert door.status == 429
    assert door.headers["retry-after"] == "60"
    assert side.naps == []


async def test_attempts_are_bounded(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(error(503, retry_after="1")))
    side.snapshot = msgspec.structs.replace(side.snapshot, max_attempts=3)
    door = await side.ask(CHAT, HELLO)
    assert door.status == 503
    assert len(side.upstream.exchanges) == 3


async def test_a_stream_that_breaks_in_the_middle_says_so(tmp_path: Path) -> None:
    broken = Reply(status=200, headers=SSE, body=[*STREAM[:2], Reset()])
    side = Roadside(tmp_path, FakeUpstream(broken))
    door = await side.ask(CHAT, {**HELLO, "stream": True})
    assert b'"error"' in door.body
    assert b"[DONE]" not in door.body
    assert door.ended
    assert side.records()[0].outcome == "broken"


OVERLOADED = b'data: {"error":{"message":"too much","type":"t","param":null,"code":"upstream_busy"}}'


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (b"data: {nonsense\n\n", b"upstream_garbled"),
        (STREAM[2][:40] + b"\n", b"upstream_garbled"),
        (STREAM[2][:40], b"upstream_stream_truncated"),
        (OVERLOADED + b"\n\n", b"upstream_busy"),
        (OVERLOADED + b"\r\n\r\n" + STREAM[2], b"upstream_busy"),
        (OVERLOADED + b"\n", b"upstream_busy"),
    ],
)
async def test_a_break_in_the_tunnel_is_said_once(last: bytes, code: bytes, tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(Reply(status=200, headers=SSE, body=[*STREAM[:2], last])))
    door = await side.ask(CHAT, {**HELLO, "stream": True, "stream_options": {"include_usage": True}})
    assert side.records()[0].attempts[0].lane == "tunnel"
    # The provider's own words pass; what is cut short or makes no sense would break the client before it hears why.
    whole = last if last.startswith(OVERLOADED) and not last.endswith(b"}\n") else b""
    assert door.body.startswith(b"".join([*STREAM[:2], whole]))
    frames = [frame.strip() for frame in door.body.replace(b"\r", b"").split(b"\n\n") if frame]
    assert all(msgspec.json.decode(frame.removeprefix(b"data: ")) for frame in frames)
    errors = [frame for frame in frames if frame.startswith(b'data: {"error"')]
    assert len(errors) == door.body.count(b'"error"') == 1
    assert code in errors[0]
    assert door.body.endswith(b"\n\n")
    assert (door.ended, door.aborted) == (True, False)


async def test_usage_is_asked_for_and_hidden_from_those_who_did_not_ask(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(Reply(status=200, headers=SSE, body=STREAM)))
    quiet = await side.ask(CHAT, {**HELLO, "stream": True})
    asking = await side.ask(CHAT, {**HELLO, "stream": True, "stream_options": {"include_usage": True}})
    for request in side.upstream.requests:
        assert msgspec.json.decode(request.body)["stream_options"] == {"include_usage": True}
    assert b"usage" not in quiet.body
    assert b'"prompt_tokens":5' in asking.body
    for record in side.records():
        assert record.usage is not None
        assert record.usage.output_tokens == 2


async def test_azure_streams_are_metered_too(tmp_path: Path) -> None:
    azure = """
[accounts.azure]
provider = "azure"
base_url = "http://127.0.0.1:4"
api_key = "key-of-azure"
"""
    side = Roadside(tmp_path, FakeUpstream(Reply(status=200, headers=SSE, body=STREAM)), CONFIG + azure)
    door = await side.ask(
        "/openai/deployments/azure%2Fgpt-4o/chat/completions", {**HELLO, "stream": True}, "azure-openai"
    )
    assert side.records()[0].attempts[0].lane == "tunnel"
    assert side.upstream.requests[0].target.startswith("/openai/deployments/gpt-4o/chat/completions?api-version=")
    assert msgspec.json.decode(side.upstream.requests[0].body)["stream_options"] == {"include_usage": True}
    assert b"usage" not in door.body
    assert side.records()[0].usage is not None


async def test_content_is_refused_unless_the_caller_allows_it(tmp_path: Path) -> None:
    body: JsonObject = {
        "model": "converse",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is this?"},
                    {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}},
                ],
            }
        ],
    }
    side = Roadside(
        tmp_path, FakeUpstream(reply({"output": {"message": {"role": "assistant", "content": [{"text": "?"}]}}}))
    )
    door = await side.ask(CHAT, body)
    assert door.status == 400
    assert door.json["error"]["code"] == "loss_refused"  # pyright: ignore[reportIndexIssue, reportCallIssue, reportArgumentType, reportOptionalSubscript] -- JSON of any shape
    assert side.upstream.exchanges == []
    assert "bedrock" in next(iter(side.records()[0].rejections))
    allowed = await side.ask(CHAT, body, strictness="report")
    assert allowed.status == 200
    assert "effect=content" in allowed.headers["freehold-loss"]


async def test_media_are_fetched_from_allowed_hosts_only(tmp_path: Path) -> None:
    picture = Reply(status=200, headers=[("content-type", "image/png")], body=[b"PNG"])
    answer = reply(
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "a cat"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        }
    )
    side = Roadside(tmp_path, FakeUpstream(picture, answer))
    side.allow_fetching("*.example")
    image: JsonObject = {"type": "image_url", "image_url": {"url": "https://images.example/cat.png?size=1"}}
    door = await side.ask(CHAT, {"model": "converse", "messages": [{"role": "user", "content": [image]}]})
    assert door.status == 200
    fetched, asked = side.upstream.requests
    assert (fetched.method, fetched.target) == ("GET", "/cat.png?size=1")
    assert not fetched.endpoint.allow_private
    assert b'"bytes":"UE5H"' in asked.body


async def test_provider_options_reach_the_provider_they_name(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(reply(ANSWER)))
    options: JsonObject = {
        "openai": {"prediction": {"type": "content", "content": "x"}},
        "anthropic": {"thinking": None},
    }
    await side.ask(CHAT, {**HELLO, "freehold": {"provider_options": options}})
    sent = msgspec.json.decode(side.upstream.requests[0].body)
    assert sent["prediction"] == {"type": "content", "content": "x"}
    assert "freehold" not in sent
    assert "thinking" not in sent


async def test_provider_options_are_ours_in_a_count_too(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(reply({"input_tokens": 3})))
    body: JsonObject = {"model": "claude", "messages": [{"role": "user", "content": "hello"}]}
    options: JsonObject = {"provider_options": {"anthropic": {"top_k": 5}}}
    path = "/v1/messages/count_tokens"
    await side.ask(path, {**body, "freehold": options}, "anthropic-messages", operation="count")
    assert msgspec.json.decode(side.upstream.requests[0].body) == {**body, "model": "claude-sonnet-4-5"}


async def test_tunnel_and_same_language_say_the_same(tmp_path: Path) -> None:
    """An option for nobody forces the other lane; the upstream must not notice."""
    body: JsonObject = {**HELLO, "temperature": 0.5, "new_field": {"a": [1, None]}, "seed": 7}
    side = Roadside(tmp_path, FakeUpstream(reply(ANSWER)))
    tunnelled = await side.ask(CHAT, body)
    decoded = await side.ask(CHAT, {**body, "freehold": {"provider_options": {}}})
    assert [record.attempts[0].lane for record in side.records()] == ["tunnel", "same-language"]
    first, second = side.upstream.requests
    assert msgspec.json.decode(first.body) == msgspec.json.decode(second.body)
    assert sorted(first.headers) == sorted(second.headers)
    assert tunnelled.json == decoded.json


async def test_a_system_message_among_the_turns_does_not_tunnel_to_a_model_that_refuses_it(tmp_path: Path) -> None:
    message: JsonObject = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "stop_reason": "end_turn",
    }
    answer: JsonObject = {**message, "content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 1}}
    side = Roadside(tmp_path, FakeUpstream(reply(answer)))
    turns: list[JsonValue] = [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."}]
    body: JsonObject = {"model": "claude", "max_tokens": 5, "messages": turns}
    await side.ask("/v1/messages", body, "anthropic-messages")
    assert msgspec.json.decode(side.upstream.requests[0].body) == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 5,
        "messages": turns[:1],
        "system": "Be brief.",
    }
    assert side.records()[0].losses[0].kind == "moved"


async def test_credentials_and_foreign_headers_never_cross(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(reply(ANSWER)))
    await side.ask(CHAT, HELLO)
    sent = dict(side.upstream.requests[0].headers)
    assert sent["authorization"] == "Bearer key-of-one"
    assert set(sent) <= {"authorization", "content-type", "host", "content-length", "accept-encoding"}


async def test_a_client_that_leaves_is_on_record_with_what_it_used(tmp_path: Path) -> None:
    class Leaving(Door):
        async def send(self, data: bytes) -> None:
            raise ClientGone

    side = Roadside(tmp_path, FakeUpstream(Reply(status=200, headers=SSE, body=[*STREAM[:2], Stall()])))
    with pytest.raises(ClientGone):
        await side.travel(CHAT, {**HELLO, "stream": True}, Leaving(), "openai-chat")
    assert side.records()[0].outcome == "client_gone"
    assert side.upstream.exchanges[0].outcome == "aborted"


async def test_cancellation_stops_the_upstream_call(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(Stall()))
    task = asyncio.create_task(side.ask(CHAT, HELLO))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert side.records()[0].outcome == "client_gone"


async def test_an_unknown_model_names_the_nearest(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(reply(ANSWER)))
    door = await side.ask(CHAT, {**HELLO, "model": "piar"})
    assert door.status == 404
    assert b"`pair`" in door.body


async def test_a_key_may_use_only_its_models(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(reply(ANSWER)))
    door = await side.ask(CHAT, HELLO, models=("claude*",))
    assert door.status == 403
    assert side.upstream.exchanges == []


@pytest.mark.parametrize("field", ["previous_response_id", "conversation"])
async def test_state_that_is_not_kept_is_refused(field: str, tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(reply(ANSWER)))
    door = await side.ask("/v1/responses", {"model": "pair", "input": "hi", field: "x"}, "openai-responses")
    assert door.status == 400
    assert field.encode() in door.body


async def test_no_content_and_no_secret_is_on_record(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(error(500), reply(ANSWER)))
    await side.ask(CHAT, {"model": "pair", "messages": [{"role": "user", "content": "the-planted-marker"}]})
    written = b"".join(file.read_bytes() for file in side.folder.iterdir())
    assert b"the-planted-marker" not in written
    for line in CONFIG.splitlines():
        if "key-of" in line or "secret-of" in line:
            assert line.partition('"')[2].rstrip('"').encode() not in written


VERTEX = """
[accounts.vertex]
provider = "vertex"
project = "p"
location = "europe-west4"
[models.vectors]
targets = ["vertex/text-embedding-005"]
"""
PREDICTIONS: JsonObject = {
    "predictions": [{"embeddings": {"values": [0.5, 1.0], "statistics": {"token_count": 3, "truncated": False}}}],
    "metadata": {"billableCharacterCount": 5},
}


@pytest.mark.usefixtures("google")
@pytest.mark.parametrize(
    ("path", "body", "codec", "lane"),
    [
        ("/v1/embeddings", {"model": "vectors", "input": "hello"}, "openai-embeddings", "translate"),
        (
            "/v1beta/models/vertex%2Ftext-embedding-005:embedContent",
            {"model": "models/vertex/text-embedding-005", "content": {"parts": [{"text": "hello"}]}},
            "gemini-generate",
            "same-language",
        ),
        (
            "/v1beta1/projects/me/locations/us/publishers/google/models/text-embedding-005:predict",
            {"instances": [{"content": "hello"}]},
            "gemini-generate",
            "tunnel",
        ),
    ],
    ids=["openai", "gemini", "vertex"],
)
async def test_vectors_of_vertex_are_asked_for_by_predict(
    tmp_path: Path, path: str, body: JsonObject, codec: str, lane: str
) -> None:
    side = Roadside(tmp_path, FakeUpstream(reply(PREDICTIONS)), VERTEX)
    door = await side.ask(path, body, codec, operation="embed")
    assert door.status == 200, door.body
    asked = side.upstream.requests[0]
    assert asked.target == (
        "/v1beta1/projects/p/locations/europe-west4/publishers/google/models/text-embedding-005:predict"
    )
    assert msgspec.json.decode(asked.body) == {"instances": [{"content": "hello"}]}
    assert b"[0.5,1.0]" in door.body
    record = side.records()[0]
    assert record.attempts[0].lane == lane
    assert record.usage is not None
    assert record.usage.input_tokens == 3


async def test_vectors_asked_of_vertex_come_from_anywhere(tmp_path: Path) -> None:
    answer: JsonObject = {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
    side = Roadside(tmp_path, FakeUpstream(reply(answer)))
    path = "/v1beta1/projects/me/locations/us/publishers/google/models/one%2Ftext-embedding-3-small:predict"
    body: JsonObject = {"instances": [{"content": "hello"}], "parameters": {"outputDimensionality": 2}}
    door = await side.ask(path, body, "gemini-generate", operation="embed")
    assert msgspec.json.decode(side.upstream.requests[0].body) == {
        "model": "text-embedding-3-small",
        "input": ["hello"],
        "dimensions": 2,
    }
    assert door.json == {"predictions": [{"embeddings": {"statistics": {"token_count": 3}, "values": [0.5, 1.0]}}]}
