"""Azure OpenAI: the path names the deployment, the body is OpenAI's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from freehold.ir import Embed, Generate, ListModels, Message, Request, Text
from freehold.protocols.azure_openai import AzureOpenAI
from freehold.protocols.codec import Stamp, WireRequest
from freehold.protocols.openai_chat import CODEC as CHAT
from freehold.protocols.openai_embeddings import CODEC as EMBEDDINGS
from freehold.protocols.openai_responses import CODEC as RESPONSES
from freehold.protocols.spellings import first_difference, same_frames, same_text
from tests.protocols.openai_chat.recordings import (
    frames,
    is_stream,
    load,
    of_wires,
    raw_body,
    wire_request,
    wire_response,
)

CODEC = AzureOpenAI(chat=CHAT, responses=RESPONSES, embeddings=EMBEDDINGS)
STAMP = Stamp(id="exchange1", created=1_700_000_000)
RECORDINGS = [
    pytest.param(path, id=f"{path.parent.name}-{path.stem}")
    for path in of_wires("openai-chat", "openai-embeddings")
    if path.parent.name.startswith("azure-openai")
]


@pytest.mark.parametrize("path", RECORDINGS)
def test_a_recorded_exchange_comes_back_as_it_was(path: Path) -> None:
    exchange = load(path)
    wire = wire_request(exchange)
    request = CODEC.decode_request(wire)
    encoded = CODEC.encode_request(request)
    assert encoded.losses == ()
    assert first_difference(exchange["request"]["body"], json.loads(encoded.value.body)) is None
    if "/deployments/" in wire.path:
        assert encoded.value.path == wire.path.replace("//", "/")
    if is_stream(exchange):
        decoder, encoder = CODEC.decoder(request), CODEC.encoder(STAMP, request)
        written = [frame for sent in frames(exchange) for frame in encoder.feed(decoder.feed(sent))]
        assert same_frames(frames(exchange), written) != "different"
    elif exchange["response"]["status"] == 200:
        answer = CODEC.encode_response(CODEC.decode_response(wire_response(exchange), request), STAMP, request)
        assert same_text(raw_body(exchange), answer.value.body) != "different"
    else:
        answer = CODEC.encode_error(CODEC.decode_error(wire_response(exchange)), STAMP)
        assert same_text(raw_body(exchange), answer.body) != "different"


def asked(path: str, body: dict[str, Any] | None, method: str = "POST") -> Request:
    return CODEC.decode_request(WireRequest(path=path, body=json.dumps(body).encode(), method=method))


MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("model", [{}, {"model": None}, {"model": "another"}])
def test_the_deployment_in_the_path_wins_over_the_body(model: dict[str, Any]) -> None:
    body = {**model, "messages": MESSAGES}
    request = asked("/openai/deployments/my%20dep%2F1/chat/completions", body)
    assert isinstance(request, Generate)
    assert request.model == "my dep/1"
    encoded = CODEC.encode_request(request)
    assert encoded.value.path == "/openai/deployments/my%20dep%2F1/chat/completions"
    assert encoded.value.model == "my dep/1"
    assert json.loads(encoded.value.body) == body
    assert json.loads(CHAT.encode_request(request).value.body)["model"] == "my dep/1"


def test_embeddings_responses_and_models_have_their_paths() -> None:
    assert isinstance(asked("/openai/deployments/ada/embeddings", {"input": "Hi"}), Embed)
    assert asked("/openai/models", None, "GET") == ListModels(origin="azure-openai")
    request = asked("/openai/responses", {"model": "gpt-5", "input": "Hi"})
    assert isinstance(request, Generate)
    assert CODEC.encode_request(request).value.path == "/openai/responses"


def test_a_request_from_elsewhere_goes_to_the_deployment_as_chat() -> None:
    request = Generate(origin="elsewhere", model="gpt-5", messages=(Message(role="user", parts=(Text(text="Hi"),)),))
    encoded = CODEC.encode_request(request)
    assert encoded.value.path == "/openai/deployments/gpt-5/chat/completions"
    assert json.loads(encoded.value.body) == {"model": "gpt-5", "messages": MESSAGES}
