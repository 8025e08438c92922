"""The model of the emulated clouds: who it says it is, tools, schemas, proofs, limits."""

import msgspec
import pytest

from freehold.errors import CallerError
from freehold.ir import (
    Generate,
    Inline,
    JsonObject,
    Media,
    Message,
    OutputFormat,
    Part,
    Proof,
    Reasoning,
    ReasoningOptions,
    Response,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from freehold.ir.fold import fold
from freehold.sandbox.proofs import Prover
from freehold.sandbox.scripted import Persona, Scripted
from freehold.sandbox.speech import spoken
from freehold.sandbox.tokens import pieces

WEATHER = Tool(
    name="get_weather",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def model(seed: int = 7, provider: str = "anthropic") -> Scripted:
    return Scripted(persona=Persona(model="m-1", place="Somewhere"), prover=Prover(provider, seed), seed=seed)


def asked(text: str, **options: object) -> Generate:
    return Generate(origin="test", model="m-1", messages=(user(text),), **options)  # pyright: ignore[reportArgumentType]  options by name


def user(*parts: str | Part) -> Message:
    return Message(role="user", parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def only_text(response: Response) -> str:
    return "".join(part.text for part in response.choices[0].parts if isinstance(part, Text))


def calls(response: Response) -> list[tuple[str, str]]:
    return [(part.name, part.arguments) for part in response.choices[0].parts if isinstance(part, ToolCall)]


def test_it_says_who_answers_and_counts_what_it_said() -> None:
    response = model().answer(asked("Who is there?"), "openai-chat")
    assert "m-1 at Somewhere answers." in only_text(response)
    assert response.usage is not None
    assert response.usage.output_tokens == len(pieces(only_text(response)))
    assert response.choices[0].finish is not None
    assert response.choices[0].finish.kind == "stop"


def test_the_same_request_gets_the_same_answer() -> None:
    assert model().answer(asked("Again?"), "openai-chat") == model().answer(asked("Again?"), "openai-chat")


def test_it_calls_a_tool_that_the_question_is_about() -> None:
    response = model().answer(asked("What is the weather in Paris?", tools=(WEATHER,)), "openai-chat")
    assert calls(response) == [("get_weather", '{"city":"Paris"}')]
    assert response.choices[0].finish is not None
    assert response.choices[0].finish.kind == "tool_calls"


def test_it_calls_a_tool_once_for_each_place_unless_calls_may_not_be_parallel() -> None:
    question = "What is the weather in Paris and in Berlin?"
    both = model().answer(asked(question, tools=(WEATHER,)), "openai-chat")
    one = model().answer(asked(question, tools=(WEATHER,), parallel_tools=False), "openai-chat")
    assert [arguments for _, arguments in calls(both)] == ['{"city":"Paris"}', '{"city":"Berlin"}']
    assert len({part.id for part in both.choices[0].parts if isinstance(part, ToolCall)}) == 2
    assert len(calls(one)) == 1


@pytest.mark.parametrize(
    ("choice", "called"),
    [(None, 0), (ToolChoice(mode="none"), 0), (ToolChoice(mode="required"), 1)],
    ids=["free", "forbidden", "demanded"],
)
def test_it_calls_a_tool_nobody_spoke_of_only_on_demand(choice: ToolChoice | None, called: int) -> None:
    response = model().answer(asked("Tell me a joke", tools=(WEATHER,), tool_choice=choice), "openai-chat")
    assert len(calls(response)) == called


def test_it_speaks_of_the_results() -> None:
    request = msgspec.structs.replace(
        asked("x", tools=(WEATHER,)),
        messages=(
            user("What is the weather in Paris?"),
            Message(role="assistant", parts=(ToolCall(id="a", name="get_weather", arguments="{}"),)),
            Message(role="tool", parts=(ToolResult(call_id="a", parts=(Text(text="18 degrees"),)),)),
        ),
    )
    response = model().answer(request, "openai-chat")
    assert calls(response) == []
    assert "18 degrees" in only_text(response)


def test_it_fills_the_schema_that_is_demanded() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "kind": {"enum": ["warm", "cold"]},
            "degrees": {"type": "integer", "maximum": 5},
            "days": {"type": "array", "items": {"$ref": "#/$defs/day"}, "minItems": 2},
        },
        "required": ["city", "kind", "degrees", "days"],
        "$defs": {"day": {"type": "string", "format": "date"}},
    }
    request = asked("The weather in Paris", output_format=OutputFormat(kind="schema", schema=schema))
    assert msgspec.json.decode(only_text(model().answer(request, "openai-chat"))) == {
        "city": "Paris",
        "kind": "warm",
        "degrees": 5,
        "days": ["2026-11-22", "2026-11-22"],
    }


def test_it_has_seen_the_image() -> None:
    image = Media(kind="image", source=Inline(data="AAAA"), media_type="image/png")
    request = msgspec.structs.replace(asked("x"), messages=(user("What is this?", image),))
    assert "an image (image/png) of 3 bytes" in only_text(model().answer(request, "openai-chat"))


def test_it_stops_at_a_stop_sequence() -> None:
    response = model().answer(asked("Hello?", stop=("answers", "zebra")), "openai-chat")
    finish = response.choices[0].finish
    assert only_text(response).endswith("m-1 at Somewhere ")
    assert finish is not None
    assert (finish.kind, finish.stop_sequence) == ("stop", "answers")


def test_it_keeps_to_the_limit() -> None:
    response = model().answer(asked("Hello?", max_output_tokens=4), "openai-chat")
    assert len(pieces(only_text(response))) == 4
    assert response.choices[0].finish is not None
    assert response.choices[0].finish.kind == "length"
    assert response.usage is not None
    assert response.usage.output_tokens == 4


def test_it_gives_as_many_candidates_as_are_wanted() -> None:
    response = model().answer(asked("Hello?", candidates=3), "openai-chat")
    assert [choice.index for choice in response.choices] == [0, 1, 2]


def thinking(*messages: Message) -> Generate:
    return msgspec.structs.replace(asked("x"), messages=messages, reasoning=ReasoningOptions(mode="on"))


def test_it_thinks_when_asked_and_takes_its_own_proof_back() -> None:
    first = model().answer(thinking(user("Why?")), "anthropic-messages")
    thought = first.choices[0].parts[0]
    assert isinstance(thought, Reasoning)
    assert thought.proof is not None
    turn = Message(role="assistant", parts=first.choices[0].parts)
    second = model().answer(thinking(user("Why?"), turn, user("And then?")), "anthropic-messages")
    assert "And then?" in only_text(second)


@pytest.mark.parametrize("change", ["proof", "text", "provider", "garbage"])
def test_it_refuses_a_proof_that_is_not_its_own(change: str) -> None:
    first = model().answer(thinking(user("Why?")), "anthropic-messages")
    thought = first.choices[0].parts[0]
    assert isinstance(thought, Reasoning)
    assert thought.proof is not None
    proof = thought.proof
    match change:
        case "proof":
            other = "B" if proof.value.startswith("A") else "A"
            thought = msgspec.structs.replace(thought, proof=Proof(origin=proof.origin, value=other + proof.value[1:]))
        case "text":
            thought = msgspec.structs.replace(thought, text="I thought something else.")
        case "garbage":
            thought = msgspec.structs.replace(thought, proof=Proof(origin=proof.origin, value="not base64!"))
        case _:
            pass
    judge = model(provider="another") if change == "provider" else model()
    turn = Message(role="assistant", parts=(thought, Text(text="So.")))
    with pytest.raises(CallerError) as refused:
        judge.answer(thinking(user("Why?"), turn, user("And then?")), "anthropic-messages")
    assert refused.value.status == 400


def test_gemini_signs_the_call_and_not_the_thought() -> None:
    request = msgspec.structs.replace(thinking(user("What is the weather in Paris?")), tools=(WEATHER,))
    thought, call = model().answer(request, "gemini-generate").choices[0].parts
    assert isinstance(thought, Reasoning)
    assert thought.proof is None
    assert isinstance(call, ToolCall)
    assert call.proof is not None


def test_spoken_word_by_word_it_is_the_same_answer() -> None:
    request = msgspec.structs.replace(thinking(user("What is the weather in Paris?")), tools=(WEATHER,))
    response = model().answer(request, "anthropic-messages")
    batches = [batch for batch, _ in spoken(response)]
    assert fold(batches) == response
    assert len(batches) > 10
