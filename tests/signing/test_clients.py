"""What official clients sign, verified on a real socket: boto3, Anthropic's AWS clients, OpenAI's Bedrock provider."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import anthropic
import boto3
import botocore.config
import botocore.exceptions
import openai
import pytest
from anthropic.lib.bedrock import AnthropicBedrock, AnthropicBedrockMantle
from openai.providers import bedrock

from freehold.signing.sigv4 import SignatureError, SigningKeys, check_claim, read_claim

ACCESS_KEY_ID = "FHAKABCDEFGHIJKLMNOP"
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00"
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/ab/c d"


class VerifyingServer(ThreadingHTTPServer):
    """Answers 200 to a request whose signature holds, else 403 in Bedrock's shape; remembers what it judged."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.verified: list[str] = []
        self.answer: dict[str, Any] = {}
        self.clock_offset = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: VerifyingServer  # pyright: ignore[reportIncompatibleVariableOverride]  it is started by no other
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path, _, query = self.path.partition("?")
        headers: list[tuple[str, str]] = list(self.headers.items())
        try:
            claim = read_claim(
                method=self.command,
                host=self.headers["host"],
                path=path,
                query=query,
                headers=headers,
                authorization=self.headers.get("authorization", ""),
                now=time.time() + self.server.clock_offset,
            )
            check_claim(claim, secret=SECRET, body=body, keys=SigningKeys())
        except SignatureError as error:
            self._answer(error.status, {"message": error.message}, error.aws_code)
            return
        self.server.verified.append(f"{claim.service} {path}")
        self._answer(200, self.server.answer)

    do_GET = do_POST  # noqa: N815  the base class looks for this name

    def _answer(self, status: int, value: dict[str, Any], error_type: str | None = None) -> None:
        encoded = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(encoded)))
        if error_type is not None:
            self.send_header("x-amzn-errortype", error_type)
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[VerifyingServer]:
    for name in ("AWS_BEARER_TOKEN_BEDROCK", "AWS_PROFILE", "AWS_SESSION_TOKEN", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with VerifyingServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()


def boto_client(server: VerifyingServer, service: str = "bedrock-runtime", secret: str = SECRET, path: str = "") -> Any:  # noqa: ANN401  boto3 makes its clients from data
    return boto3.client(
        service,
        region_name="eu-west-3",
        endpoint_url=server.url + path,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=secret,
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


CONVERSE: dict[str, Any] = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    "metrics": {"latencyMs": 1},
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
COMPLETION: dict[str, Any] = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
}


@pytest.mark.parametrize("prefix", ["", "/", "/prefix", "/prefix/"])
@pytest.mark.parametrize("model", ["m", MODEL, ARN])
def test_boto3(server: VerifyingServer, model: str, prefix: str) -> None:
    server.answer = CONVERSE
    client = boto_client(server, path=prefix)
    client.converse(modelId=model, messages=[{"role": "user", "content": [{"text": "é {}"}]}])
    client.invoke_model(modelId=model, body=b'{"prompt": "hi"}', trace="ENABLED")
    client.close()
    assert len(server.verified) == 2
    assert server.verified[0].startswith(f"bedrock {prefix.rstrip('/')}/model/")


def test_boto3_with_a_query(server: VerifyingServer) -> None:
    server.answer = {"inferenceProfileSummaries": []}
    client = boto_client(server, "bedrock")
    client.list_inference_profiles(typeEquals="SYSTEM_DEFINED", maxResults=5)
    client.close()
    assert server.verified == ["bedrock /inference-profiles"]


def test_boto3_is_told_in_its_own_words(server: VerifyingServer) -> None:
    client = boto_client(server, secret="x" * 40)
    with pytest.raises(botocore.exceptions.ClientError) as wrong:
        client.converse(modelId=MODEL, messages=[{"role": "user", "content": [{"text": "hi"}]}])
    assert wrong.value.response["Error"].get("Code") == "InvalidSignatureException"
    client.close()
    server.clock_offset = 400
    client = boto_client(server)
    with pytest.raises(botocore.exceptions.ClientError, match="Signature expired"):
        client.converse(modelId=MODEL, messages=[{"role": "user", "content": [{"text": "hi"}]}])
    client.close()


def ask(client: AnthropicBedrock | AnthropicBedrockMantle | anthropic.AnthropicAWS, model: str) -> None:
    with client:
        client.messages.create(model=model, max_tokens=5, messages=[{"role": "user", "content": "hi é"}])


@pytest.mark.parametrize("model", ["m", MODEL, ARN])
def test_anthropic_on_bedrock(server: VerifyingServer, model: str) -> None:
    server.answer = MESSAGE
    ask(
        AnthropicBedrock(
            aws_access_key=ACCESS_KEY_ID, aws_secret_key=SECRET, aws_region="eu-west-3", base_url=server.url
        ),
        model,
    )
    assert server.verified[0].startswith("bedrock /model/")


def test_anthropic_on_mantle_and_on_aws(server: VerifyingServer) -> None:
    server.answer = MESSAGE
    ask(
        AnthropicBedrockMantle(
            aws_access_key=ACCESS_KEY_ID,
            aws_secret_key=SECRET,
            aws_region="eu-west-3",
            base_url=f"{server.url}/anthropic",
        ),
        MODEL,
    )
    ask(
        anthropic.AnthropicAWS(
            aws_access_key=ACCESS_KEY_ID,
            aws_secret_key=SECRET,
            aws_region="eu-west-3",
            workspace_id="wrkspc_1",
            base_url=server.url,
        ),
        MODEL,
    )
    assert server.verified == ["bedrock-mantle /anthropic/v1/messages", "aws-external-anthropic /v1/messages"]


@pytest.mark.parametrize(("endpoint", "service"), [("mantle", "bedrock-mantle"), ("runtime", "bedrock")])
def test_openai_on_bedrock(server: VerifyingServer, endpoint: Literal["mantle", "runtime"], service: str) -> None:
    server.answer = COMPLETION
    provider = bedrock(
        endpoint=endpoint,
        region="us-east-1",
        base_url=f"{server.url}/openai/v1",
        access_key_id=ACCESS_KEY_ID,
        secret_access_key=SECRET,
    )
    with openai.OpenAI(provider=provider) as client:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi é"}])
    assert server.verified == [f"{service} /openai/v1/chat/completions"]
