"""A provider's edits to a body: what changes, what is reported, and what is left alone to the byte."""

import json
import re
from pathlib import Path

import pytest

from freehold.ir import JsonObject, Loss
from freehold.providers.catalog import providers
from freehold.providers.dialect import edit_body, edits_for, flags_for, short_id
from freehold.providers.schema import (
    Clamp,
    Drop,
    Edit,
    MapRole,
    MapValue,
    Operation,
    Remove,
    Rename,
    SetField,
    ToolCallIds,
)
from freehold.transport.fake import FakeUpstream
from tests.exchange.road import Roadside


def edited(body: object, *edits: Edit) -> tuple[object, list[tuple[str, str, str]]]:
    encoded, losses = edit_body(json.dumps(body).encode(), edits)
    return json.loads(encoded), [(loss.path, loss.kind, loss.effect) for loss in losses]


def of(provider: str, protocol: str, model: str, operation: Operation = "generate") -> tuple[Edit, ...]:
    spoken = providers()[provider].protocol(protocol)
    assert spoken is not None
    return edits_for(spoken, model, operation)


def test_a_body_that_no_edit_concerns_keeps_its_bytes() -> None:
    body = b'{ "model" : "m",\n "messages":[] , "temperature":1.0}'
    assert edit_body(body, of("mistral", "openai-chat", "mistral-large-latest")) == (body, ())


def test_a_word_in_the_text_changes_no_bytes() -> None:
    body = b'{"messages":[{"role":"user","content":"what is a \\"developer\\"? \\"max_completion_tokens\\""}] }'
    assert edit_body(body, of("mistral", "openai-chat", "mistral-large-latest")) == (body, ())


@pytest.mark.parametrize(
    ("edit", "before", "after", "losses"),
    [
        (Rename(field="a", to="b"), {"a": 1, "c": 2}, {"b": 1, "c": 2}, []),
        (Rename(field="a", to="b"), {"a": 1, "b": 3}, {"b": 3}, []),
        (Remove(field="a"), {"a": None}, {}, []),
        (SetField(field="a", value="x"), {}, {"a": "x"}, []),
        (SetField(field="a", value="x"), {"a": "y"}, {"a": "y"}, []),
        (Drop(field="a", effect="behaviour", detail="no"), {"a": 1}, {}, [("a", "dropped", "behaviour")]),
        (Drop(field="a", effect="behaviour", detail="no"), {"a": None}, {}, []),
        (Drop(field="a", effect="behaviour", detail="no", when=("x",)), {"a": "y"}, {"a": "y"}, []),
        (MapValue(field="a", values={"x": "y"}), {"a": "x"}, {"a": "y"}, []),
        (MapValue(field="a", values={"x": "y"}), {"a": {"x": 1}}, {"a": {"x": 1}}, []),
        (Clamp(field="n", maximum=1), {"n": 4}, {"n": 1}, [("n", "clamped", "behaviour")]),
        (Clamp(field="n", maximum=1), {"n": 1}, {"n": 1}, []),
        (Clamp(field="t", minimum=0.0, maximum=1.5), {"t": 2.0}, {"t": 1.5}, [("t", "clamped", "behaviour")]),
        (Clamp(field="n", maximum=1), {"n": True}, {"n": True}, []),
        (
            MapRole(role="developer", to="system"),
            {"messages": [{"role": "developer"}, {"role": "user"}, "?"], "input": "developer"},
            {"messages": [{"role": "system"}, {"role": "user"}, "?"], "input": "developer"},
            [],
        ),
    ],
)
def test_an_edit(edit: Edit, before: object, after: object, losses: list[tuple[str, str, str]]) -> None:
    assert edited(before, edit) == (after, losses)


def test_tool_call_ids_of_other_makes_find_each_other_again() -> None:
    call = {"id": "toolu_01A09q90qw90lq917835lq9", "type": "function"}
    kept = {"id": "aB3dE6gH9", "type": "function"}
    body = {
        "messages": [
            {"role": "assistant", "tool_calls": [call, kept]},
            {"role": "tool", "tool_call_id": call["id"]},
            {"role": "tool", "tool_call_id": "aB3dE6gH9"},
        ]
    }
    document, losses = edited(body, ToolCallIds(pattern="[A-Za-z0-9]{9}", length=9))
    assert losses == []
    first, second, third = document["messages"]  # pyright: ignore[reportIndexIssue]  JSON of this test
    mapped = first["tool_calls"][0]["id"]
    assert re.fullmatch("[A-Za-z0-9]{9}", mapped)
    assert second["tool_call_id"] == mapped
    assert first["tool_calls"][1]["id"] == third["tool_call_id"] == "aB3dE6gH9"


def test_short_ids_are_stable_and_apart() -> None:
    assert short_id("call_1", 9) == short_id("call_1", 9)
    assert len({short_id(f"call_{number}", 9) for number in range(10_000)}) == 10_000


@pytest.mark.parametrize("operation", ["generate", "stream"])
def test_mistral_gets_its_own_words(operation: Operation) -> None:
    body = {
        "model": "mistral-large-latest",
        "max_completion_tokens": 10,
        "seed": 7,
        "stream_options": {"include_usage": True},
        "store": False,
        "messages": [{"role": "developer", "content": "be brief"}],
    }
    document, losses = edited(body, *of("mistral", "openai-chat", "mistral-large-latest", operation))
    assert document == {
        "model": "mistral-large-latest",
        "max_tokens": 10,
        "random_seed": 7,
        "messages": [{"role": "system", "content": "be brief"}],
    }
    assert losses == [("store", "dropped", "behaviour")]


def test_openai_reasoning_models_get_their_own_limit_and_no_stop() -> None:
    body = {"model": "gpt-5-mini", "max_tokens": 10, "stop": ["x"], "messages": []}
    document, losses = edited(body, *of("openai", "openai-chat", "gpt-5-mini"))
    assert document == {"model": "gpt-5-mini", "max_completion_tokens": 10, "messages": []}
    assert losses == [("stop", "dropped", "behaviour")]
    assert of("openai", "openai-chat", "gpt-4o") == ()


def test_vertex_has_claudes_model_in_the_path_and_keeps_it_for_counting() -> None:
    body = {"model": "claude-opus-5", "messages": []}
    for operation in ("generate", "stream"):
        document, _ = edited(body, *of("vertex", "anthropic-messages", "claude-opus-5", operation))
        assert document == {"messages": [], "anthropic_version": "vertex-2023-10-16"}
    document, _ = edited(body, *of("vertex", "anthropic-messages", "claude-opus-5", "count"))
    assert document == {**body, "anthropic_version": "vertex-2023-10-16"}


def test_a_loss_says_why() -> None:
    _, losses = edit_body(b'{"n": 3}', of("groq", "openai-chat", "llama-3.3-70b-versatile"))
    assert losses == (Loss(path="n", kind="clamped", effect="behaviour", detail="3 is out of range, sent as 1"),)


def listed_models() -> list[tuple[str, bool]]:
    """Anthropic's own listing, as recorded: each model, and whether it may be told how many tokens to think."""
    file = Path(__file__).parents[1] / "exchanges" / "anthropic-models" / "ellmer-61520ba4.json"
    rows = json.loads(file.read_text())["response"]["body"]["data"]
    return [(row["id"], row["capabilities"]["thinking"]["types"]["enabled"]["supported"]) for row in rows]


@pytest.mark.parametrize(
    ("provider", "protocol", "prefix"),
    [
        ("anthropic", "anthropic-messages", ""),
        ("azure", "anthropic-messages", ""),
        ("vertex", "anthropic-messages", ""),
        ("bedrock", "anthropic-messages", "anthropic."),
        ("bedrock", "bedrock-invoke", "us.anthropic."),
    ],
)
def test_models_that_only_think_adaptively_are_known(provider: str, protocol: str, prefix: str) -> None:
    spoken = providers()[provider].protocol(protocol)
    assert spoken is not None
    body: JsonObject = {"temperature": 0.5, "top_p": 0.9, "top_k": 5, "messages": []}
    for model, budgets in listed_models():
        assert ("adaptive-thinking" in flags_for(spoken, prefix + model)) is not budgets, model
        document, losses = edited(body, *of(provider, protocol, prefix + model))
        dropped = [] if budgets else ["temperature", "top_p", "top_k"]
        assert losses == [(name, "dropped", "behaviour") for name in dropped]
        assert isinstance(document, dict)
        assert document.keys().isdisjoint(dropped)


async def test_an_effort_reaches_such_a_model_as_an_effort(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream())
    for model in ("claude-opus-4-8", "claude-sonnet-4-5"):
        asked: JsonObject = {"model": f"claude/{model}", "messages": [{"role": "user", "content": "hi"}]}
        await side.ask("/v1/chat/completions", {**asked, "reasoning_effort": "high"})
    adaptive, budgeted = (json.loads(request.body) for request in side.upstream.requests)
    assert (adaptive["thinking"]["type"], adaptive["output_config"]) == ("adaptive", {"effort": "high"})
    assert budgeted["thinking"]["type"] == "enabled"


async def test_what_the_newest_models_refuse_is_not_sent_to_them(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream())
    tool: JsonObject = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    for model in ("claude-opus-5-5", "claude-opus-5"):
        asked: JsonObject = {"model": f"claude/{model}", "messages": [{"role": "user", "content": "hi"}]}
        await side.ask("/v1/chat/completions", {**asked, "reasoning_effort": "none"})
        await side.ask("/v1/chat/completions", {**asked, "tools": [tool], "tool_choice": "required"})
    short, free, off, forced = (json.loads(request.body) for request in side.upstream.requests)
    assert ("thinking" in short, short["output_config"]) == (False, {"effort": "low"})
    assert free["tool_choice"]["type"] == "auto"
    assert off["thinking"] == {"type": "disabled"}
    assert forced["tool_choice"]["type"] == "any"


def test_a_default_is_taken_from_such_a_model_without_a_loss() -> None:
    document, losses = edited(
        {"temperature": 1, "top_p": 1.0, "messages": []}, *of("anthropic", "anthropic-messages", "claude-opus-5")
    )
    assert document == {"messages": []}
    assert losses == []
