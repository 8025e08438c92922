"""The plain Bedrock request: a bare prompt, signed by a minted pair, answered by whatever the name stands for."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.sdk.conftest import Clients, amazon
from tests.upstreams.gateway import SPOKEN, Gateway

BODY = json.dumps({"prompt": "Say hello (scenario=text)", "max_tokens": 512, "temperature": 0.7}).encode()
WORDS = "Hello from Lisbon — já é verão 🌞!"


@pytest.fixture(scope="module")
def pair(running: Gateway) -> tuple[str, str]:
    return running.mint(aws=True)


def signed(gateway: Gateway, pair: tuple[str, str], model: str, *, late: timedelta = timedelta()) -> dict[str, str]:
    """Headers that botocore signs; `late` shifts the date."""
    url = f"{gateway.url}/model/{model}/invoke"
    request = AWSRequest(method="POST", url=url, data=BODY, headers={"content-type": "application/json"})
    request.headers["host"] = f"{gateway.host}:{gateway.port}"
    stamp = (datetime.now(UTC) - late).strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    signer = SigV4Auth(Credentials(*pair), "bedrock", "us-west-2")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    return dict(request.headers.items())


def post(
    gateway: Gateway, model: str, headers: dict[str, str], body: bytes = BODY
) -> tuple[int, dict[str, str], dict[str, object]]:
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=20)
    try:
        connection.request("POST", f"/model/{model}/invoke", body, headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(answer.read())
    finally:
        connection.close()


def strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from strings(item)
        case list():
            for item in value:
                yield from strings(item)
        case _:
            pass


@pytest.mark.parametrize("upstream", SPOKEN)
def test_it_is_answered_by_whatever_is_configured(gateway: Gateway, pair: tuple[str, str], upstream: str) -> None:
    status, headers, value = post(gateway, upstream, signed(gateway, pair, upstream))
    assert status == 200
    assert headers["freehold-target"].startswith(f"{upstream}/")
    assert WORDS in list(strings(value))
    sent = json.loads(gateway.emulators[upstream].asked[-1].body)
    limits = {"max_tokens", "max_completion_tokens", "max_output_tokens", "maxTokens", "maxOutputTokens"}
    flat = {**sent, **(sent.get("generationConfig") or {}), **(sent.get("inferenceConfig") or {})}
    assert [flat[name] for name in limits if name in flat] == [512]
    assert gateway.records()[-1].region == "us-west-2"


def test_a_wrong_secret_is_refused(gateway: Gateway, pair: tuple[str, str]) -> None:
    status, headers, value = post(gateway, "openai-chat", signed(gateway, (pair[0], "x" * 40), "openai-chat"))
    assert (status, headers["x-amzn-errortype"].partition(":")[0]) == (403, "InvalidSignatureException")
    assert value["message"]
    assert gateway.emulators["openai-chat"].asked == []


def test_a_changed_body_is_refused(gateway: Gateway, pair: tuple[str, str]) -> None:
    headers = signed(gateway, pair, "openai-chat")
    status, said, value = post(gateway, "openai-chat", headers, BODY.replace(b"512", b"513"))
    assert (status, said["x-amzn-errortype"].partition(":")[0]) == (403, "InvalidSignatureException")
    assert value["message"]
    assert gateway.emulators["openai-chat"].asked == []


def test_a_stale_date_is_refused(gateway: Gateway, pair: tuple[str, str]) -> None:
    headers = signed(gateway, pair, "openai-chat", late=timedelta(minutes=6))
    status, said, value = post(gateway, "openai-chat", headers)
    assert status == 403
    assert said["x-amzn-errortype"].partition(":")[0] in {"InvalidSignatureException", "ExpiredTokenException"}
    assert value["message"]
    assert gateway.emulators["openai-chat"].asked == []


def test_an_unknown_pair_is_refused(gateway: Gateway, pair: tuple[str, str]) -> None:
    status, said, _ = post(gateway, "openai-chat", signed(gateway, ("FHAKAAAAAAAAAAAAAAAA", "x" * 40), "openai-chat"))
    assert (status, said["x-amzn-errortype"].partition(":")[0]) == (403, "UnrecognizedClientException")


def test_boto3_raises_its_own_exceptions(gateway: Gateway, clients: Clients, pair: tuple[str, str]) -> None:
    client = amazon(gateway.url, pair[0], "wrong" * 8)
    with pytest.raises(ClientError) as caught:
        client.converse(modelId="openai-chat", messages=[{"role": "user", "content": [{"text": "hi"}]}])
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
    client.close()
    with pytest.raises(clients["boto3"].exceptions.ResourceNotFoundException):
        clients["boto3"].converse(modelId="no-such-model", messages=[{"role": "user", "content": [{"text": "hi"}]}])
