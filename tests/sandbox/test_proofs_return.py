"""Reasoning over two turns, from every client that can keep a proof to every cloud that demands it back.

The emulated clouds refuse a proof that does not come back byte for byte, so a second turn that is answered says that
the road carried it through the client's own protocol.
"""

from collections.abc import AsyncIterator

import httpx
import pytest

from freehold.app import Service
from freehold.cli.sandbox import sandboxed
from freehold.ir import (
    Generate,
    Message,
    Proof,
    Reasoning,
    ReasoningOptions,
    Response,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from freehold.protocols.codec import WireResponse
from freehold.protocols.registry import CODECS
from freehold.sandbox.fleet import Fleet

CLIENTS = ("anthropic-messages", "openai-responses", "gemini-generate", "bedrock-converse")
CLOUDS = ("openai", "anthropic", "bedrock-us", "gemini")
# Converse has no word of its own for reasoning: its clients write the model family's, so they only ask Claude.
SILENT = {("bedrock-converse", "openai"), ("bedrock-converse", "gemini")}
WEATHER = Tool(
    name="get_weather",
    description="The weather in a city.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


@pytest.fixture
async def running() -> AsyncIterator[tuple[Fleet, Service]]:
    async with sandboxed(listen="127.0.0.1:0", admin_listen="127.0.0.1:0") as both:
        yield both


async def ask(service: Service, protocol: str, request: Generate) -> Response:
    """The request in this protocol, as its client would send it, and the answer as it would read it."""
    codec = CODECS[protocol]
    wire = codec.encode_request(request).value
    host, port = service.address
    url = f"http://{host}:{port}{wire.path}" + (f"?{wire.query}" if wire.query else "")
    headers = {"content-type": "application/json", **dict(wire.headers)}
    async with httpx.AsyncClient(timeout=20, trust_env=False) as http:
        answer = await http.post(httpx.URL(url), content=wire.body, headers=headers)
    assert answer.status_code == 200, answer.text
    decoded = codec.decode_response(WireResponse(status=200, body=answer.content), request)
    assert isinstance(decoded, Response)
    return decoded


def conversation(model: str, *messages: Message) -> Generate:
    return Generate(
        origin="test",
        model=model,
        messages=messages,
        tools=(WEATHER,),
        max_output_tokens=4000,
        reasoning=ReasoningOptions(mode="on", budget=2000, effort="low"),
    )


def proofs(response: Response) -> list[Proof]:
    parts = response.choices[0].parts
    return [part.proof for part in parts if isinstance(part, Reasoning | Text | ToolCall) and part.proof is not None]


@pytest.mark.timeout(120)  # fourteen conversations of two turns
async def test_a_proof_returns_through_every_client_to_every_cloud(running: tuple[Fleet, Service]) -> None:
    fleet, service = running
    pairs = [(client, cloud) for client in CLIENTS for cloud in CLOUDS if (client, cloud) not in SILENT]
    problems: dict[tuple[str, str], str] = {}
    for client, cloud in pairs:
        try:
            await two_turns(service, client, f"{cloud}/{fleet.clouds[cloud].spec.models[0]}")
        except AssertionError as error:
            problems[client, cloud] = str(error)
    assert not problems


async def two_turns(service: Service, client: str, model: str) -> None:
    question = Message(role="user", parts=(Text(text="What is the weather in Paris?"),))
    first = await ask(service, client, conversation(model, question))
    assert proofs(first), f"no proof came: {first.choices[0].parts}"
    (call,) = (part for part in first.choices[0].parts if isinstance(part, ToolCall))
    result = ToolResult(call_id=call.id, name=call.name, parts=(Text(text="18 degrees"),))
    turn = Message(role="assistant", parts=first.choices[0].parts)
    second = await ask(service, client, conversation(model, question, turn, Message(role="tool", parts=(result,))))
    assert "18 degrees" in "".join(part.text for part in second.choices[0].parts if isinstance(part, Text))
