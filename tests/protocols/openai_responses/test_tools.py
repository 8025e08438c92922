"""Tools inside namespaces, custom tools and items that offer tools: for every model, and for Codex as it sent them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from openai.types.responses import Response as SdkResponse
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from freehold.ir import (
    ArgumentsDelta,
    Choice,
    ChoiceEnd,
    Event,
    Finish,
    Generate,
    PartEnd,
    PartStart,
    Proof,
    ProofDelta,
    Response,
    ResponseEnd,
    ResponseStart,
    Tool,
    ToolCall,
    ToolResult,
)
from freehold.ir.values import SEALED
from freehold.protocols.codec import Stamp, WireRequest
from freehold.protocols.openai_responses import CODEC
from freehold.protocols.registry import CODECS

STAMP = Stamp(id="exchange", created=1_700_000_000)
PATCH = 'say "é"\n*** End \\ of {"patch"}'
CALLS = (
    {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "exec", "namespace": "functions"}
    | {"status": "completed", "input": PATCH},
    {
        "type": "custom_tool_call_output",
        "id": "ctco_1",
        "call_id": "c1",
        "output": [{"type": "input_text", "text": "ok"}],
    },
    {"type": "function_call", "status": "completed", "id": "fc_2", "name": "spawn", "namespace": "agents"}
    | {"arguments": "{}", "call_id": "c2"},
    {"type": "function_call_output", "id": "fco_2", "call_id": "c2", "output": "spawned"},
    {"type": "custom_tool_call", "call_id": "c3", "name": "patch", "input": ""},
    {"type": "custom_tool_call_output", "call_id": "c3", "output": "patched"},
)
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}
FUNCTIONS = {
    "type": "namespace",
    "name": "functions",
    "description": "",
    "tools": [
        {"type": "custom", "name": "exec", "description": "Run it.", "format": GRAMMAR},
        {"type": "function", "name": "wait", "description": "Wait.", "strict": False, "parameters": SCHEMA},
    ],
}
AGENTS = {
    "type": "namespace",
    "name": "agents",
    "description": "Work together.",
    "tools": [
        {"type": "function", "name": "spawn", "description": "Start one.", "strict": False, "parameters": SCHEMA},
        {"type": "function", "name": "wait", "description": "Wait for one.", "strict": False, "parameters": SCHEMA},
    ],
}
OFFER = {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [FUNCTIONS, AGENTS]}
ASK = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
FLAT = ["exec", "wait", "agents__spawn", "agents__wait"]
FOREIGN = ["anthropic-messages", "openai-chat", "gemini-generate", "bedrock-converse"]


def read(body: dict[str, Any]) -> Generate:
    request = CODEC.decode_request(WireRequest(path="/v1/responses", body=json.dumps(body).encode()))
    assert isinstance(request, Generate)
    return request


def written(request: Generate, codec: str = "openai-responses") -> dict[str, Any]:
    return json.loads(CODECS[codec].encode_request(request).value.body)


def codex() -> dict[str, Any]:
    return {"model": "gpt-6.1-sol", "input": [OFFER, ASK, *CALLS], "tool_choice": "auto", "store": False}


def names(request: Generate) -> list[str]:
    return [tool.name for tool in request.tools if isinstance(tool, Tool)]


BODIES = [
    codex(),
    {"model": "m", "input": "hi", "tools": [AGENTS, {"type": "custom", "name": "patch"}, {"type": "web_search"}]},
    {"model": "m", "input": [ASK, OFFER], "tools": [AGENTS]},
    {"model": "m", "input": [OFFER | {"tools": [{"type": "web_search"}, AGENTS]}, OFFER | {"tools": []}]},
    {"model": "m", "input": [OFFER | {"tools": "?"}], "tools": [AGENTS | {"tools": []}, AGENTS | {"tools": ["?"]}]},
    {"model": "m", "input": "hi", "tools": [AGENTS | {"tools": [{"type": "mcp", "server_label": "s"}, {}]}, AGENTS]},
    {"model": "m", "input": "hi", "tools": [{"type": "function", "name": "f", "namespace": "odd"}]},
    {"model": "m", "input": "hi", "tools": [{"type": "custom", "name": "p"}]}
    | {"tool_choice": {"type": "custom", "name": "p"}},
    {"model": "m", "input": [{"type": "custom_tool_call", "call_id": "c", "name": "p", "input": None}]},
]


@pytest.mark.parametrize("body", BODIES)
def test_what_is_offered_returns_as_it_came(body: dict[str, Any]) -> None:
    assert written(read(body)) == body


@pytest.mark.parametrize("target", FOREIGN)
def test_every_model_is_offered_the_tools_of_codex(target: str) -> None:
    request = read(codex())
    assert names(request) == FLAT
    encoded = CODECS[target].encode_request(request)
    again = CODECS[target].decode_request(encoded.value)
    assert isinstance(again, Generate)
    assert names(again) == FLAT
    assert [loss for loss in encoded.losses if loss.effect in {"content", "unknown"}] == []
    about_tools = [loss.path for loss in encoded.losses if loss.path.startswith("tools")]
    # A grammar binds nobody else, and what a namespace says of itself has no place.
    assert about_tools == ["tools[0].format", "tools[2].namespace"]


@pytest.mark.parametrize("target", FOREIGN)
def test_calls_of_custom_and_namespaced_tools_and_their_results_are_told_to_every_model(target: str) -> None:
    again = CODECS[target].decode_request(CODECS[target].encode_request(read(codex())).value)
    assert isinstance(again, Generate)
    parts = [part for message in again.messages for part in message.parts]
    calls = [(part.name, json.loads(part.arguments or "{}")) for part in parts if isinstance(part, ToolCall)]
    assert calls == [("exec", {"input": PATCH}), ("agents__spawn", {}), ("patch", {"input": ""})]
    assert [part.call_id for part in parts if isinstance(part, ToolResult)] == ["c1", "c2", "c3"]


def test_a_custom_tool_is_a_function_of_one_text_that_names_its_grammar() -> None:
    tool = written(read(codex()), "openai-chat")["tools"][0]["function"]
    assert tool["parameters"]["required"] == ["input"]
    assert "start: WORD" in tool["parameters"]["properties"]["input"]["description"]
    assert "format" not in tool


def test_a_name_is_offered_to_others_once() -> None:
    request = read({"model": "m", "input": "hi", "tools": [{"type": "function", "name": "wait"}, FUNCTIONS]})
    encoded = CODECS["openai-chat"].encode_request(request)
    assert [tool["function"]["name"] for tool in json.loads(encoded.value.body)["tools"]] == ["wait", "exec"]
    assert ("tools[2]", "behaviour") in [(loss.path, loss.effect) for loss in encoded.losses]


def test_long_names_in_a_namespace_stay_apart_within_what_all_accept() -> None:
    tools = [{"type": "function", "name": letter * 60} for letter in "ab"]
    request = read({"model": "m", "input": "hi", "tools": [AGENTS | {"tools": tools}]})
    assert len(set(names(request))) == 2
    assert {len(name) for name in names(request)} == {64}


def test_a_tool_that_a_search_found_is_called_by_its_own_name() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "rate", "namespace": "rate", "arguments": "{}"}
    request = read({"model": "m", "input": [call]})
    part = request.messages[0].parts[0]
    assert isinstance(part, ToolCall)
    assert part.name == "rate"


# --- Answers ---------------------------------------------------------------------------------------------------------


def test_a_foreign_call_comes_back_in_the_place_where_the_tool_was_offered() -> None:
    calls = (
        ToolCall(id="c1", name="exec", arguments=json.dumps({"input": PATCH})),
        ToolCall(id="c2", name="agents__spawn", arguments=""),
        ToolCall(id="c3", name="wait", arguments='{"name": "x"}'),
        ToolCall(id="c4", name="unheard_of", arguments="{}"),
    )
    answer = Response(origin="other", choices=(Choice(parts=calls, finish=Finish(kind="tool_calls")),))
    body = json.loads(CODEC.encode_response(answer, STAMP, read(codex())).value.body)
    SdkResponse.model_validate(body)
    shown = [{name: value for name, value in item.items() if name != "id"} for item in body["output"]]
    assert shown == items()[:4]
    assert [item["id"][:4] for item in body["output"]] == ["ctc_", "fc_e", "fc_e", "fc_e"]


def items() -> list[dict[str, Any]]:
    return [
        {"type": "custom_tool_call", "status": "completed", "call_id": "c1", "name": "exec", "namespace": "functions"}
        | {"input": PATCH},
        {"type": "function_call", "status": "completed", "arguments": "{}", "call_id": "c2", "name": "spawn"}
        | {"namespace": "agents"},
        {"type": "function_call", "status": "completed", "arguments": '{"name": "x"}', "call_id": "c3", "name": "wait"}
        | {"namespace": "functions"},
        {"type": "function_call", "status": "completed", "arguments": "{}", "call_id": "c4", "name": "unheard_of"},
    ]


def streamed(calls: Iterable[tuple[str, str, list[str]]]) -> list[list[Event]]:
    batches: list[list[Event]] = [[ResponseStart(response=Response(origin="other", choices=()))]]
    for index, (call, name, pieces) in enumerate(calls):
        batches.append([PartStart(index=index, part=ToolCall(id=call, name=name, arguments=""))])
        batches.extend([ArgumentsDelta(index=index, text=piece)] for piece in pieces)
        batches.append([PartEnd(index=index)])
    return [*batches, [ChoiceEnd(finish=Finish(kind="tool_calls"))], [ResponseEnd()]]


def frames_of(batches: list[list[Event]]) -> list[dict[str, Any]]:
    encoder = CODEC.encoder(STAMP, read(codex()))
    frames = [json.loads(frame.data) for batch in batches for frame in encoder.feed(batch)]
    events: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    for frame in frames:
        events.validate_python(frame)
    return frames


def test_a_foreign_call_streams_back_in_its_place() -> None:
    text = json.dumps({"input": PATCH})
    pieces = [text[at : at + 5] for at in range(0, len(text), 5)]
    frames = frames_of(
        streamed([("c1", "exec", pieces), ("c2", "agents__spawn", []), ("c3", "wait", ['{"name"', ': "x"}'])])
    )
    done = [frame["item"] for frame in frames if frame["type"] == "response.output_item.done"]
    assert [{name: value for name, value in item.items() if name != "id"} for item in done] == items()[:3]
    assert frames[-1]["response"]["output"] == done
    added = [frame["item"] for frame in frames if frame["type"] == "response.output_item.added"]
    assert [(item["id"], item["name"], item.get("namespace")) for item in added] == [
        (item["id"], item["name"], item.get("namespace")) for item in done
    ]
    spoken = [frame for frame in frames if frame["type"].startswith("response.custom_tool_call_input")]
    assert [frame["type"].rpartition(".")[2] for frame in spoken] == ["delta", "done"]
    assert [frame.get("delta", frame.get("input")) for frame in spoken] == [PATCH, PATCH]
    assert {(frame["item_id"], frame["output_index"]) for frame in spoken} == {(done[0]["id"], 0)}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", ""),
        ("{}", ""),
        ("not JSON", "not JSON"),
        ('"words"', "words"),
        ('{"other": 1}', '{"other": 1}'),
        ("[", "["),
    ],
)
def test_a_model_that_forgets_the_form_of_a_custom_tool_is_still_heard(arguments: str, text: str) -> None:
    frames = frames_of(streamed([("c1", "exec", [arguments])]))
    assert frames[-1]["response"]["output"][0]["input"] == text


def test_a_proof_on_a_custom_call_follows_it() -> None:
    batches = streamed([("c1", "exec", ['{"input": "x"}'])])
    batches.insert(3, [ProofDelta(index=0, proof=Proof(origin=SEALED, value="sealed"))])
    output = frames_of(batches)[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["custom_tool_call", "reasoning"]
    assert output[1]["encrypted_content"] == "sealed"


def test_an_answer_repeats_the_tools_as_they_were_offered() -> None:
    answer = Response(origin="other", choices=(Choice(parts=()),))
    request = read({"model": "m", "input": "hi", "tools": [AGENTS, {"type": "custom", "name": "patch"}]})
    body = json.loads(CODEC.encode_response(answer, STAMP, request).value.body)
    assert body["tools"] == [AGENTS, {"type": "custom", "name": "patch"}]
