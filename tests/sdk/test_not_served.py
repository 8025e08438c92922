"""What is not served yet is a 404 that each official client raises as such, with the address of the list of paths."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from botocore.exceptions import ClientError
from google.genai import errors as google_errors

from tests.sdk.conftest import Clients
from tests.upstreams.gateway import Gateway

DOCS = "https://freehold.dev/docs/reference/paths"

Ask = Callable[[Any], object]


def document(size: int = 3_000_000) -> io.BytesIO:
    """More than what fits into a socket's buffers: it is still under way when the answer comes."""
    file = io.BytesIO(b"x" * size)
    file.name = "a.txt"
    return file


OPENAI: dict[str, Ask] = {
    "upload": lambda client: client.files.create(file=document(), purpose="assistants"),
    "files": lambda client: client.files.list(),
    "file": lambda client: client.files.content("file-1"),
    "file-deleted": lambda client: client.files.delete("file-1"),
    "batches": lambda client: client.batches.create(
        input_file_id="f", endpoint="/v1/responses", completion_window="24h"
    ),
    "conversations": lambda client: client.conversations.create(),
    "items": lambda client: client.conversations.items.list("conv_1"),
    "response": lambda client: client.responses.retrieve("resp_1"),
    "compact": lambda client: client.responses.compact(model="gpt-5", input="a"),
    "images": lambda client: client.images.generate(model="gpt-image-1", prompt="a cat"),
    "image-edit": lambda client: client.images.edit(model="gpt-image-1", image=document(99), prompt="a cat"),
    "speech": lambda client: client.audio.speech.create(model="tts-1", voice="alloy", input="a"),
    "transcription": lambda client: client.audio.transcriptions.create(model="whisper-1", file=document()),
    "moderations": lambda client: client.moderations.create(input="a"),
    "completions": lambda client: client.completions.create(model="gpt", prompt="a"),
    "fine-tuning": lambda client: client.fine_tuning.jobs.list(),
    "vector-stores": lambda client: client.vector_stores.create(),
    "model-deleted": lambda client: client.models.delete("ft:gpt-5:acme::Ab"),
}
AZURE: dict[str, Ask] = {
    name: OPENAI[name] for name in ("upload", "files", "batches", "images", "transcription", "speech", "conversations")
}
ANTHROPIC: dict[str, Ask] = {
    "batches": lambda client: client.messages.batches.create(
        requests=[{"custom_id": "a", "params": {"model": "c", "max_tokens": 1, "messages": []}}]
    ),
    "batch": lambda client: client.messages.batches.retrieve("msgbatch_1"),
    "batch-deleted": lambda client: client.messages.batches.delete("msgbatch_1"),
    "upload": lambda client: client.files.upload(file=document()),
    "files": lambda client: client.files.list(),
    "file": lambda client: client.files.download("file_1"),
    "skills": lambda client: client.skills.list(),
    "agents": lambda client: client.beta.agents.list(),
}
GEMINI: dict[str, Ask] = {
    "caches": lambda client: client.caches.create(model="gemini-2.5-pro", config={"contents": "a"}),
    "cache": lambda client: client.caches.get(name="cachedContents/a"),
    "upload": lambda client: client.files.upload(file=document(), config={"mime_type": "text/plain"}),
    "files": lambda client: list(client.files.list()),
    "file-deleted": lambda client: client.files.delete(name="files/a"),
    "batches": lambda client: client.batches.create(
        model="gemini-2.5-pro", src=[{"contents": [{"parts": [{"text": "a"}]}]}]
    ),
}
VERTEX: dict[str, Ask] = {
    "caches": GEMINI["caches"],
    "batches": lambda client: client.batches.create(model="gemini-2.5-pro", src="gs://a/b", config={"dest": "gs://c"}),
    "tuning": lambda client: list(client.tunings.list()),
}
BEDROCK: dict[str, Ask] = {
    "guardrail": lambda client: client.apply_guardrail(
        guardrailIdentifier="g", guardrailVersion="1", source="INPUT", content=[{"text": {"text": "a"}}]
    ),
    "async-invoke": lambda client: client.start_async_invoke(
        modelId="amazon.nova-reel-v1:0",
        modelInput={},
        outputDataConfig={"s3OutputDataConfig": {"s3Uri": "s3://bucket/a"}},
    ),
    "async-invokes": lambda client: client.list_async_invokes(),
    "one-async-invoke": lambda client: client.get_async_invoke(
        invocationArn="arn:aws:bedrock:us-east-1:123456789012:async-invoke/abcdefghijkl"
    ),
}


@pytest.mark.parametrize("name", OPENAI)
def test_openai(gateway: Gateway, clients: Clients, name: str) -> None:
    del gateway
    with pytest.raises(openai.NotFoundError, match=DOCS) as caught:
        OPENAI[name](clients["openai"])
    assert caught.value.code == "path_not_served"


@pytest.mark.parametrize("name", AZURE)
def test_azure(gateway: Gateway, clients: Clients, name: str) -> None:
    del gateway
    with pytest.raises(openai.NotFoundError, match=DOCS) as caught:
        AZURE[name](clients["azure"])
    assert caught.value.code


@pytest.mark.parametrize("name", ANTHROPIC)
def test_anthropic(gateway: Gateway, clients: Clients, name: str) -> None:
    del gateway
    with pytest.raises(anthropic.NotFoundError, match=DOCS) as caught:
        ANTHROPIC[name](clients["anthropic"])
    assert caught.value.type == "not_found_error"


@pytest.mark.parametrize("name", GEMINI)
def test_gemini(gateway: Gateway, clients: Clients, name: str) -> None:
    del gateway
    with pytest.raises(google_errors.ClientError, match=DOCS) as caught:
        GEMINI[name](clients["gemini"])
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("name", VERTEX)
def test_vertex(gateway: Gateway, clients: Clients, name: str) -> None:
    del gateway
    with pytest.raises(google_errors.ClientError, match=DOCS) as caught:
        VERTEX[name](clients["vertex"])
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("name", BEDROCK)
def test_bedrock(gateway: Gateway, clients: Clients, name: str) -> None:
    del gateway
    with pytest.raises(ClientError, match=DOCS) as caught:
        BEDROCK[name](clients["boto3"])
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
