"""Each emulated cloud on its port: its language, its credentials, its faults."""

import asyncio
import json
import time
from collections.abc import Mapping

import httpx
import pytest

from freehold.sandbox.cloud import Cloud
from freehold.sandbox.faults import ERRORS, Fault
from freehold.sandbox.fleet import Fleet
from freehold.signing.sigv4 import Credentials, Signer

CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "Who is there?"}]}
CONVERSE = {"messages": [{"role": "user", "content": [{"text": "Who is there?"}]}]}


def key_of(cloud: Cloud) -> dict[str, str]:
    name = {"anthropic": "x-api-key", "azure": "api-key", "gemini": "x-goog-api-key"}.get(cloud.spec.provider)
    return {name: cloud.login.key} if name else {"authorization": f"Bearer {cloud.login.key}"}


async def post(
    http: httpx.AsyncClient, cloud: Cloud, path: str, body: object, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    return await http.post(cloud.address + path, json=body, headers=key_of(cloud) if headers is None else headers)


def signed(cloud: Cloud, path: str, body: bytes, *, region: str | None = None, secret: str = "") -> dict[str, str]:
    credentials = Credentials(
        access_key_id=cloud.login.access_key_id, secret_access_key=secret or cloud.login.secret_access_key
    )
    signer = Signer(region=region or cloud.spec.region or "", service="bedrock")
    headers = [("content-type", "application/json")]
    host = cloud.address.removeprefix("http://")
    added = signer.sign(
        method="POST", host=host, path=path, headers=headers, body=body, credentials=credentials, now=time.time()
    )
    return dict([*headers, *added])


async def test_openai_speaks_chat_and_responses(fleet: Fleet, http: httpx.AsyncClient) -> None:
    cloud = fleet.clouds["openai"]
    chat = await post(http, cloud, "/v1/chat/completions", CHAT)
    assert "gpt-5 at OpenAI answers." in chat.json()["choices"][0]["message"]["content"]
    responses = await post(http, cloud, "/v1/responses", {"model": "gpt-5", "input": "Who is there?"})
    assert "gpt-5 at OpenAI answers." in responses.text
    assert responses.json()["status"] == "completed"


async def test_openai_embeds(fleet: Fleet, http: httpx.AsyncClient) -> None:
    body = {"model": "text-embedding-3-small", "input": ["one", "two"], "dimensions": 8}
    answer = await post(http, fleet.clouds["openai"], "/v1/embeddings", body)
    vectors = [row["embedding"] for row in answer.json()["data"]]
    assert [len(vector) for vector in vectors] == [8, 8]
    assert vectors[0] != vectors[1]


async def test_azure_speaks_by_deployment(fleet: Fleet, http: httpx.AsyncClient) -> None:
    path = "/openai/deployments/gpt-5/chat/completions?api-version=2024-10-21"
    answer = await post(http, fleet.clouds["azure"], path, CHAT)
    assert "Azure OpenAI in swedencentral" in answer.json()["choices"][0]["message"]["content"]


async def test_anthropic_streams_and_counts(fleet: Fleet, http: httpx.AsyncClient) -> None:
    cloud = fleet.clouds["anthropic"]
    body = {"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": CHAT["messages"]}
    answer = await post(http, cloud, "/v1/messages", {**body, "stream": True})
    events = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert (events[0], events[-1]) == ("message_start", "message_stop")
    assert events.count("content_block_delta") > 5
    del body["max_tokens"]
    count = await post(http, cloud, "/v1/messages/count_tokens", body)
    assert count.json()["input_tokens"] > 0


async def test_bedrock_verifies_signatures(fleet: Fleet, http: httpx.AsyncClient) -> None:
    cloud = fleet.clouds["bedrock-eu"]
    path = "/model/amazon.nova-lite-v1%3A0/converse"
    body = json.dumps(CONVERSE).encode()

    async def status(headers: dict[str, str]) -> tuple[int, str]:
        answer = await http.post(httpx.URL(cloud.address + path), content=body, headers=headers)
        return answer.status_code, answer.text

    code, text = await status(signed(cloud, path, body))
    assert code == 200
    assert "eu-central-1" in text
    assert (await status(signed(cloud, path, body, secret="wrong")))[0] == 403
    assert (await status(signed(cloud, path, body, region="us-east-1")))[0] == 403
    assert (await status(signed(cloud, path, body + b" ")))[0] == 403
    assert (await status({"content-type": "application/json"}))[0] == 403
    other = fleet.clouds["bedrock-us"]
    assert (await status(signed(other, path, body, region="eu-central-1")))[0] == 403


async def test_a_wrong_key_and_an_unknown_model_are_refused_in_the_cloud_s_own_words(
    fleet: Fleet, http: httpx.AsyncClient
) -> None:
    openai, anthropic = fleet.clouds["openai"], fleet.clouds["anthropic"]
    wrong = await post(http, openai, "/v1/chat/completions", CHAT, {"authorization": "Bearer wrong"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")
    none = await post(http, anthropic, "/v1/messages", {**CHAT, "max_tokens": 9}, {})
    assert (none.status_code, none.json()["error"]["type"]) == (401, "authentication_error")
    unknown = await post(http, openai, "/v1/chat/completions", {**CHAT, "model": "gpt-0"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


async def test_a_language_that_the_cloud_does_not_speak_is_not_found(fleet: Fleet, http: httpx.AsyncClient) -> None:
    answer = await post(http, fleet.clouds["openai"], "/v1/messages", CHAT)
    assert answer.status_code == 404


async def test_the_models_are_listed(fleet: Fleet, http: httpx.AsyncClient) -> None:
    cloud = fleet.clouds["openai"]
    answer = await http.get(cloud.address + "/v1/models", headers=key_of(cloud))
    assert [row["id"] for row in answer.json()["data"]] == list(cloud.spec.models)


# --- Faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", list(ERRORS))
async def test_an_error_fault_is_an_error_answer(fault: Fault, fleet: Fleet, http: httpx.AsyncClient) -> None:
    cloud = fleet.clouds["openai"]
    await cloud.fail(fault)
    answer = await post(http, cloud, "/v1/chat/completions", CHAT)
    assert answer.status_code == ERRORS[fault][0]
    assert answer.json()["error"]["message"]
    assert ("retry-after" in answer.headers) == (fault == "429-retry-after")
    await cloud.heal()
    assert (await post(http, cloud, "/v1/chat/completions", CHAT)).status_code == 200


@pytest.mark.parametrize("fault", ["outage", "reset"])
async def test_an_unreachable_cloud_comes_back_at_the_same_address(
    fault: Fault, fleet: Fleet, http: httpx.AsyncClient
) -> None:
    cloud = fleet.clouds["openai"]
    assert (await post(http, cloud, "/v1/chat/completions", CHAT)).status_code == 200
    address = cloud.address
    await cloud.fail(fault)
    with pytest.raises(httpx.TransportError):
        await post(http, cloud, "/v1/chat/completions", CHAT)
    await cloud.heal()
    assert cloud.address == address
    assert (await post(http, cloud, "/v1/chat/completions", CHAT)).status_code == 200


async def until_cut(answer: httpx.Response) -> bytes:
    """What arrives until the connection is cut; fails if it ends as it should."""
    received = b""
    try:
        async for data in answer.aiter_raw():
            received += data
    except httpx.TransportError:
        return received
    raise AssertionError("the answer ended cleanly")


async def test_one_fault_after_another(fleet: Fleet, http: httpx.AsyncClient) -> None:
    cloud = fleet.clouds["openai"]
    faults: tuple[Fault, ...] = ("outage", "reset", "outage", "500")
    for fault in faults:
        await cloud.fail(fault)
        assert cloud.health().fault == fault
    assert (await post(http, cloud, "/v1/chat/completions", CHAT)).status_code == 500


async def test_a_fault_for_some_time_heals_by_itself(fleet: Fleet, http: httpx.AsyncClient) -> None:
    cloud = fleet.clouds["openai"]
    await cloud.fail("500", 0.02)
    assert cloud.health().seconds_left is not None
    for _ in range(100):
        if cloud.health().fault is None:
            break
        await asyncio.sleep(0.01)
    assert (await post(http, cloud, "/v1/chat/completions", CHAT)).status_code == 200


async def test_a_stall_is_silence_until_it_is_healed(fleet: Fleet, http: httpx.AsyncClient) -> None:
    cloud = fleet.clouds["openai"]
    await cloud.fail("stall")
    waiting = asyncio.create_task(post(http, cloud, "/v1/chat/completions", CHAT))
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    await cloud.heal()
    assert (await waiting).status_code == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_reset_midway_cuts_what_had_begun(stream: bool, fleet: Fleet, http: httpx.AsyncClient) -> None:  # noqa: FBT001 -- a parameter of the test
    cloud = fleet.clouds["openai"]
    await cloud.fail("reset-midway")
    body = {**CHAT, "stream": stream}
    async with http.stream("POST", cloud.address + "/v1/chat/completions", json=body, headers=key_of(cloud)) as answer:
        assert answer.status_code == 200
        received = await until_cut(answer)
    assert received
    assert not received.endswith(b"}" if not stream else b"\n\n")


async def test_a_stall_midway_falls_silent_after_some_words(fleet: Fleet, http: httpx.AsyncClient) -> None:
    cloud = fleet.clouds["anthropic"]
    await cloud.fail("stall-midway")
    body = {"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": CHAT["messages"], "stream": True}
    healing: list[asyncio.Future[None]] = []
    async with http.stream("POST", cloud.address + "/v1/messages", json=body, headers=key_of(cloud)) as answer:
        asyncio.get_running_loop().call_later(0.2, lambda: healing.append(asyncio.ensure_future(cloud.heal())))
        assert b"content_block_delta" in await until_cut(answer)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_garbled_answer_is_not_its_protocol(stream: bool, fleet: Fleet, http: httpx.AsyncClient) -> None:  # noqa: FBT001 -- a parameter of the test
    cloud = fleet.clouds["openai"]
    await cloud.fail("garbled")
    answer = await post(http, cloud, "/v1/chat/completions", {**CHAT, "stream": stream})
    assert answer.status_code == 200
    texts = [answer.content] if not stream else [line[6:] for line in answer.content.split(b"\n\n") if line]
    broken = 0
    for text in texts:
        try:
            json.loads(text)
        except ValueError:
            broken += text != b"[DONE]"
    assert broken


# --- The control port ------------------------------------------------------------------------------------------------


async def test_the_control_port_wants_its_token(fleet: Fleet, http: httpx.AsyncClient) -> None:
    assert (await http.get(fleet.control + "/status")).status_code == 401


async def test_a_configuration_is_ready_to_use(fleet: Fleet) -> None:
    from freehold.config.loading import parse

    config = parse(fleet.configuration(), "sandbox", {})
    assert set(config.accounts) == set(fleet.clouds)
    assert "assistant" in config.models
