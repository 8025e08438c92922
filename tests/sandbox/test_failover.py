"""A gateway in front of the emulated clouds: each fault of the first leads to the second, or to an honest break."""

from collections.abc import AsyncIterator

import httpx
import pytest

from freehold.app import Service
from freehold.cli.sandbox import sandboxed
from freehold.sandbox.faults import ERRORS, Fault
from freehold.sandbox.fleet import Fleet

QUESTION = {"model": "assistant", "messages": [{"role": "user", "content": "Who is there?"}]}
BEFORE_THE_FIRST_WORD: tuple[Fault, ...] = ("outage", "reset", *ERRORS)


@pytest.fixture
async def running() -> AsyncIterator[tuple[Fleet, Service]]:
    async with sandboxed(listen="127.0.0.1:0", admin_listen="127.0.0.1:0") as both:
        yield both


def url(service: Service) -> str:
    host, port = service.address
    return f"http://{host}:{port}/v1/chat/completions"


@pytest.mark.parametrize("fault", [*BEFORE_THE_FIRST_WORD, "garbled", "reset-midway"])
async def test_a_whole_answer_comes_from_the_next_cloud(fault: Fault, running: tuple[Fleet, Service]) -> None:
    fleet, service = running
    await fleet.clouds["azure"].fail(fault)
    async with httpx.AsyncClient(timeout=20, trust_env=False) as http:
        answer = await http.post(url(service), json=QUESTION)
    assert answer.status_code == 200, answer.text
    assert answer.headers["freehold-attempts"] == "2"
    assert answer.headers["freehold-target"].startswith("bedrock-us/")
    assert "Amazon Bedrock in us-east-1" in answer.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_WORD)
async def test_a_stream_comes_from_the_next_cloud(fault: Fault, running: tuple[Fleet, Service]) -> None:
    fleet, service = running
    await fleet.clouds["azure"].fail(fault)
    async with httpx.AsyncClient(timeout=20, trust_env=False) as http:
        answer = await http.post(url(service), json={**QUESTION, "stream": True})
    assert answer.headers["freehold-target"].startswith("bedrock-us/")
    assert answer.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("model", ["gpt-on-azure", "claude", "gemini"])
@pytest.mark.parametrize("fault", ["reset-midway", "garbled"])
async def test_a_stream_that_breaks_never_ends_as_a_whole_one(
    fault: Fault, model: str, running: tuple[Fleet, Service]
) -> None:
    fleet, service = running
    for cloud in fleet.clouds.values():
        await cloud.fail(fault)
    received = b""
    async with httpx.AsyncClient(timeout=20, trust_env=False) as http:
        body = {**QUESTION, "model": model, "stream": True}
        async with http.stream("POST", url(service), json=body) as answer:
            assert answer.status_code == 200
            cut = False
            try:
                async for data in answer.aiter_raw():
                    received += data
            except httpx.TransportError:
                cut = True
    assert b"chat.completion.chunk" in received
    assert cut or b'"error"' in received
    assert b"[DONE]" not in received


async def test_when_every_cloud_is_gone_the_caller_hears_so(running: tuple[Fleet, Service]) -> None:
    fleet, service = running
    for cloud in fleet.clouds.values():
        await cloud.fail("outage")
    async with httpx.AsyncClient(timeout=20, trust_env=False) as http:
        answer = await http.post(url(service), json=QUESTION)
    assert answer.status_code >= 500
    assert answer.headers["freehold-attempts"] == "4"
