"""What makes an answer too poor to be sent."""

from __future__ import annotations

import re

import msgspec
import pytest

from freehold.exchange.checks import Check, judging, shortfall, verdict
from freehold.exchange.effects import effects
from freehold.ir import (
    Choice,
    Extra,
    Finish,
    Generate,
    JsonObject,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Refusal,
    Response,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)
from freehold.ir.values import FinishKind
from freehold.protocols.codec import WireRequest
from freehold.protocols.registry import CODECS

WEATHER = Tool(
    name="weather",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def asked(**fields: object) -> Generate:
    messages = (Message(role="user", parts=(Text(text="Hello"),)),)
    return Generate(**{"origin": "openai-chat", "model": "m", "messages": messages, **fields})  # pyright: ignore[reportArgumentType] -- fields of a test


def answer(*parts: Part, finish: FinishKind = "stop") -> Response:
    return Response(origin="openai-chat", choices=(Choice(parts=parts, finish=Finish(kind=finish)),))


def call(arguments: str, name: str = "weather") -> Response:
    return answer(ToolCall(id="1", name=name, arguments=arguments), finish="tool_calls")


HELLO = Text(text="Hello there")
JSON_WANTED = OutputFormat(kind="json")
SCHEMA: JsonObject = {"type": "object", "required": ["a"]}
SCHEMA_WANTED = OutputFormat(kind="schema", schema=SCHEMA)
TOOLS = asked(tools=(WEATHER,))
FORCED = asked(tools=(WEATHER,), tool_choice=ToolChoice(mode="required"))
OTHER = asked(tools=(WEATHER, Tool(name="b")), tool_choice=ToolChoice(mode="required", names=("b",)))


@pytest.mark.parametrize(
    ("check", "request_", "response", "said"),
    [
        (Check(), asked(), answer(HELLO, finish="length"), "finish: length"),
        (Check(), asked(), answer(HELLO, finish="content_filter"), "finish: content_filter"),
        (Check(), asked(), answer(HELLO, finish="refusal"), "finish: refusal"),
        (Check(), asked(), answer(Refusal(text="No.")), "finish: refusal"),
        (Check(), asked(), Response(origin="x", choices=()), "finish: no answer"),
        (Check(least=12), asked(), answer(HELLO), "min_characters: 11"),
        (Check(matches=re.compile(r"\d")), asked(), answer(HELLO), "matches: nothing in the answer does"),
        (Check(), asked(output_format=JSON_WANTED), answer(HELLO), "format: no JSON"),
        (Check(), asked(output_format=SCHEMA_WANTED), answer(Text(text="{}")), "format: a is missing"),
        (Check(schema=SCHEMA), asked(), answer(Text(text="{}")), "schema: a is missing"),
        (Check(), TOOLS, call("{"), "tools: weather: no JSON"),
        (Check(), TOOLS, call("{}"), "tools: weather: city is missing"),
        (Check(), TOOLS, call("", "weather"), "tools: weather: city is missing"),
        (Check(), TOOLS, call("{}", "rm"), "tools: a call of a tool that was not offered"),
        (Check(), FORCED, answer(HELLO), "tools: a call is required and there is none"),
        (Check(), OTHER, call('{"city": "x"}'), "tools: a call of another tool than was demanded"),
    ],
)
def test_what_an_answer_lacks(check: Check, request_: Generate, response: Response, said: str) -> None:
    assert shortfall(check, request_, response) == said


@pytest.mark.parametrize(
    ("check", "request_", "response"),
    [
        (Check(), asked(), answer(HELLO)),
        (Check(finish=False), asked(), answer(HELLO, finish="length")),
        (Check(tools=False), TOOLS, call("{")),
        (Check(format=False), asked(output_format=JSON_WANTED), answer(HELLO)),
        (Check(least=11, matches=re.compile("the")), asked(), answer(HELLO)),
        (Check(), TOOLS, call('{"city": "Lisbon"}')),
        (Check(), FORCED, call('{"city": "Lisbon"}')),
        (Check(least=100, schema=SCHEMA), TOOLS, call('{"city": "Lisbon"}')),
        (Check(), asked(output_format=SCHEMA_WANTED), answer(Text(text='{"a": 1}'))),
    ],
)
def test_what_is_good_enough(check: Check, request_: Generate, response: Response) -> None:
    assert shortfall(check, request_, response) is None


def test_every_candidate_has_to_pass() -> None:
    good = Choice(parts=(HELLO,), finish=Finish(kind="stop"))
    poor = Choice(parts=(HELLO,), finish=Finish(kind="length"), index=1)
    assert shortfall(Check(), asked(), Response(origin="x", choices=(good, poor))) == "finish: length"


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("PASS", None),
        ("I think about FAIL and decide: PASS", None),
        ("FAIL", "judge: it said FAIL"),
        ("PASSABLE", "judge: it gave no verdict"),
        ("", "judge: it gave no verdict"),
        (None, "judge: it gave no verdict"),
    ],
)
def test_a_verdict(said: str | None, means: str | None) -> None:
    body = msgspec.json.encode({"choices": [{"message": {"content": said}}]})
    assert verdict(200, body) == means


def test_a_judge_that_can_not_be_asked_does_not_let_pass() -> None:
    assert verdict(503, b"{}") == "judge: it could not be asked (503)"
    assert verdict(200, b"<html>") == "judge: its answer can not be read"
    assert verdict(200, b'{"choices": []}') == "judge: it gave no verdict"


def test_the_judge_is_asked_in_a_form_that_the_codec_reads() -> None:
    check = Check(judge="big", criteria="It has to rhyme.")
    body = judging(check, asked(), answer(HELLO, ToolCall(id="1", name="f", arguments="{}")))
    decoded = CODECS["openai-chat"].decode_request(
        WireRequest(path="/v1/chat/completions", body=msgspec.json.encode(body))
    )
    assert isinstance(decoded, Generate)
    assert decoded.model == "big"
    part = decoded.messages[0].parts[0]
    assert isinstance(part, Text)
    for words in ("It has to rhyme.", "[user]\nHello", "Hello there", "[calls f with {}]"):
        assert words in part.text


# --- Effects ---------------------------------------------------------------------------------------------------------


def decoded(codec: str, path: str, body: JsonObject) -> Generate:
    request = CODECS[codec].decode_request(WireRequest(path=path, body=msgspec.json.encode(body)))
    assert isinstance(request, Generate)
    return request


CHAT: JsonObject = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
MESSAGES: JsonObject = {**CHAT, "max_tokens": 5}
FUNCTION: JsonObject = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("codec", "path", "body"),
    [
        ("openai-chat", "/v1/chat/completions", {**CHAT, "store": True}),
        ("openai-chat", "/v1/chat/completions", {**CHAT, "web_search_options": {"search_context_size": "low"}}),
        ("openai-responses", "/v1/responses", {"model": "m", "input": "Hi", "tools": [{"type": "web_search"}]}),
        (
            "openai-responses",
            "/v1/responses",
            {"model": "m", "input": "Hi", "tools": [{"type": "mcp", "server_label": "x", "server_url": "https://x"}]},
        ),
        (
            "anthropic-messages",
            "/v1/messages",
            {**MESSAGES, "tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        ),
        ("anthropic-messages", "/v1/messages", {**MESSAGES, "mcp_servers": [{"type": "url", "url": "https://x"}]}),
        (
            "gemini-generate",
            "/v1beta/models/m:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "tools": [{"googleSearch": {}}]},
        ),
    ],
)
def test_what_a_provider_would_do_twice(codec: str, path: str, body: JsonObject) -> None:
    assert effects(decoded(codec, path, body)) is not None


@pytest.mark.parametrize(
    ("codec", "path", "body"),
    [
        ("openai-chat", "/v1/chat/completions", {**CHAT, "tools": [FUNCTION], "store": False}),
        (
            "anthropic-messages",
            "/v1/messages",
            {**MESSAGES, "tools": [{"type": "bash_20250124", "name": "bash"}, {"name": "f", "input_schema": {}}]},
        ),
        ("openai-responses", "/v1/responses", {"model": "m", "input": "Hi", "store": False}),
    ],
)
def test_what_only_answers(codec: str, path: str, body: JsonObject) -> None:
    assert effects(decoded(codec, path, body)) is None


def test_options_for_one_provider_are_looked_at_too() -> None:
    assert (
        effects(asked(options={"xai": {"search_parameters": {"mode": "on"}}})) == "the field search_parameters for xai"
    )
    assert effects(asked(options={"gemini": {"tools": [{"googleSearch": {}}]}})) == "the field tools for gemini"
    assert effects(asked(options={"openai": {"verbosity": "low"}})) is None
    language = CODECS["openai-chat"].language
    assert effects(asked(tools=(Opaque(origin=language, value={"type": "browser"}),))) is not None
    assert effects(asked(extra=Extra(language, {"store": None}))) is None
