"""How accounts authenticate: which way is chosen, what it sends, and that nothing of it shows."""

import sys

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from freehold.config import Account, Secret
from freehold.errors import ConfigError
from freehold.providers import clouds
from freehold.providers.auth import Authenticator, Fixed, Grant, Signed, authenticator, choose
from freehold.providers.catalog import providers
from freehold.providers.schema import Query

NOW = 1_763_800_000.0


def made(provider: str, protocol: str, **fields: object) -> Authenticator:
    file = providers()[provider]
    spoken = file.protocol(protocol)
    assert spoken is not None
    return authenticator(file, spoken, account(provider, **fields), lambda: NOW)


def account(provider: str, **fields: object) -> Account:
    secrets = {"api_key", "secret_access_key", "session_token"}
    values = {name: Secret(str(value)) if name in secrets else value for name, value in fields.items()}
    return Account(provider=provider, name="a", **values)  # pyright: ignore[reportArgumentType]  keyword names are fields


async def grant(by: Authenticator, *, path: str = "/x", body: bytes = b"{}") -> Grant:
    return await by.grant(
        method="POST",
        host="bedrock-runtime.us-east-1.amazonaws.com",
        path=path,
        query="",
        headers=[("content-type", "application/json")],
        body=body,
    )


@pytest.mark.parametrize(
    ("provider", "protocol", "headers"),
    [
        ("openai", "openai-chat", (("authorization", "Bearer K"),)),
        ("anthropic", "anthropic-messages", (("x-api-key", "K"),)),
        ("gemini", "gemini-generate", (("x-goog-api-key", "K"),)),
        ("azure", "openai-chat", (("api-key", "K"),)),
        ("azure", "anthropic-messages", (("x-api-key", "K"), ("api-key", "K"))),
        ("bedrock", "bedrock-converse", (("authorization", "Bearer K"),)),
        ("vllm", "openai-chat", (("authorization", "Bearer K"),)),
    ],
)
async def test_a_key_goes_where_the_provider_looks(
    provider: str, protocol: str, headers: tuple[tuple[str, str], ...]
) -> None:
    assert (await grant(made(provider, protocol, api_key="K", region="us-east-1"))).headers == headers


async def test_a_server_of_ones_own_needs_no_key() -> None:
    assert await grant(made("ollama", "openai-chat")) == Grant()


async def test_the_accounts_own_headers_are_added() -> None:
    by = made("openai", "openai-chat", api_key="K", headers={"X-Proxy-Token": Secret("T")})
    assert (await grant(by)).headers == (("authorization", "Bearer K"), ("x-proxy-token", "T"))


def test_a_query_key_is_encoded() -> None:
    file = providers()["gemini"]
    spoken = file.protocols[0]
    import msgspec

    asked = msgspec.structs.replace(spoken, auth=(Query(name="key"),))
    by = authenticator(file, asked, account("gemini", api_key="a&b"), lambda: NOW)
    assert isinstance(by, Fixed)
    assert by.granted.query == "key=a%26b"


@pytest.mark.parametrize(
    ("protocol", "service"), [("bedrock-converse", "bedrock"), ("openai-responses", "bedrock-mantle")]
)
async def test_a_key_pair_signs_as_botocore_does(protocol: str, service: str) -> None:
    by = made(
        "bedrock",
        protocol,
        region="us-east-1",
        access_key_id="AKIDEXAMPLE",
        secret_access_key="s3cr3t",
        session_token="tok",
    )
    assert isinstance(by, Signed)
    path = "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse"
    sent = dict((await grant(by, path=path)).headers)
    assert f"/us-east-1/{service}/aws4_request" in sent["authorization"]
    request = botocore.awsrequest.AWSRequest(
        method="POST",
        url=f"https://bedrock-runtime.us-east-1.amazonaws.com{path}",
        data=b"{}",
        headers={"content-type": "application/json", "X-Amz-Date": sent["x-amz-date"]},
    )
    request.context["timestamp"] = sent["x-amz-date"]
    oracle = botocore.auth.SigV4Auth(
        botocore.credentials.Credentials("AKIDEXAMPLE", "s3cr3t", "tok"), service, "us-east-1"
    )
    request.headers["X-Amz-Security-Token"] = "tok"
    canonical = oracle.canonical_request(request)
    signature = oracle.signature(oracle.string_to_sign(request, canonical), request)
    assert sent["authorization"].endswith(str(signature))


async def test_the_aws_chain_is_asked_when_nothing_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDCHAIN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    by = made("bedrock", "bedrock-converse", region="eu-west-1")
    assert "Credential=AKIDCHAIN/" in dict((await grant(by)).headers)["authorization"]


def test_a_key_is_preferred_to_a_pair_and_a_pair_to_the_chain() -> None:
    file = providers()["bedrock"]
    spoken = file.protocols[0]
    assert choose(file, spoken, account("bedrock", api_key="K")) is file.auth[0]
    assert choose(file, spoken, account("bedrock", access_key_id="A", secret_access_key="S")) is file.auth[1]
    assert choose(file, spoken, account("bedrock")) is file.auth[2]


def test_without_a_credential_the_account_is_named() -> None:
    with pytest.raises(ConfigError, match=r"accounts\.a.*Anthropic.*api_key"):
        made("anthropic", "anthropic-messages")


@pytest.mark.parametrize(
    ("provider", "protocol", "extra"), [("vertex", "gemini-generate", "google"), ("azure", "openai-chat", "azure")]
)
def test_a_missing_library_is_named_with_its_remedy(
    provider: str, protocol: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clouds.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=rf"freehold\[{extra}\]"):
        made(provider, protocol, project="p")


async def test_a_google_token_is_a_bearer(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth

    class Given:
        token = "T"
        expiry = None

        def refresh(self, request: object) -> None:
            assert request is not None

    monkeypatch.setattr(google.auth, "default", lambda **_: (Given(), None))
    assert (await grant(made("vertex", "gemini-generate", project="p"))).headers == (("authorization", "Bearer T"),)


async def test_an_entra_token_is_a_bearer(monkeypatch: pytest.MonkeyPatch) -> None:
    import azure.identity

    class Given:
        def get_token(self, scope: str) -> object:
            assert scope == "https://cognitiveservices.azure.com/.default"

            class Token:
                token = "T"
                expires_on = int(NOW) + 3600

            return Token()

    monkeypatch.setattr(azure.identity, "DefaultAzureCredential", Given)
    assert (await grant(made("azure", "openai-chat"))).headers == (("authorization", "Bearer T"),)


def test_nothing_of_a_credential_shows() -> None:
    by = made("openai", "openai-chat", api_key="sk-planted")
    assert isinstance(by, Fixed)
    assert "sk-planted" not in repr(by.granted) + str(by.granted) + repr(by.granted.__rich_repr__())


def test_importing_this_imports_no_cloud_library() -> None:
    import subprocess

    code = (
        "import sys, freehold.providers.auth, freehold.routing.names\n"
        "heavy = {'botocore', 'google.auth', 'azure.identity', 'genai_prices', 'sqlalchemy'} & set(sys.modules)\n"
        "sys.exit(','.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
