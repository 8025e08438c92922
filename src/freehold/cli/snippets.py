"""How to point each vendor's SDK, and each coding agent, at a gateway: only the address and the key change."""

from __future__ import annotations

from typing import Final

_SNIPPETS: Final[dict[str, str]] = {
    "openai": """\
from openai import OpenAI

client = OpenAI(base_url="{address}/v1", api_key="{key}")
answer = client.chat.completions.create(model="{model}", messages=[{{"role": "user", "content": "Hello"}}])
print(answer.choices[0].message.content)""",
    "AzureOpenAI": """\
from openai import AzureOpenAI

client = AzureOpenAI(azure_endpoint="{address}", api_key="{key}", api_version="2024-10-21")
answer = client.chat.completions.create(model="{model}", messages=[{{"role": "user", "content": "Hello"}}])
print(answer.choices[0].message.content)""",
    "anthropic": """\
from anthropic import Anthropic

client = Anthropic(base_url="{address}", api_key="{key}")
answer = client.messages.create(
    model="{model}", max_tokens=500, messages=[{{"role": "user", "content": "Hello"}}]
)
print(answer.content[0].text)""",
    "boto3": """\
import boto3

# A key pair of `freehold keys create --name NAME --aws`
client = boto3.client(
    "bedrock-runtime",
    endpoint_url="{address}",
    region_name="us-east-1",
    aws_access_key_id="{access_key_id}",
    aws_secret_access_key="{secret_access_key}",
)
answer = client.converse(modelId="{model}", messages=[{{"role": "user", "content": [{{"text": "Hello"}}]}}])
print(answer["output"]["message"]["content"][0]["text"])""",
    "google-genai": """\
from google import genai

client = genai.Client(api_key="{key}", http_options={{"base_url": "{address}"}})
answer = client.models.generate_content(model="{model}", contents="Hello")
print(answer.text)""",
    "Claude Code": """\
export ANTHROPIC_BASE_URL={address}
export ANTHROPIC_AUTH_TOKEN={key}
export ANTHROPIC_MODEL={model}
claude""",
    "Codex": """\
# ~/.codex/config.toml
model = "{model}"
model_provider = "freehold"

[model_providers.freehold]
name = "Freehold"
base_url = "{address}/v1"
wire_api = "responses"
env_key = "FREEHOLD_KEY"

# and in the shell: export FREEHOLD_KEY={key}; codex""",
    "Gemini CLI": """\
export GOOGLE_GEMINI_BASE_URL={address}
export GEMINI_API_KEY={key}
gemini -m {model}""",
}


def snippets(
    address: str,
    model: str,
    *,
    key: str = "KEY",
    access_key_id: str = "ACCESS_KEY_ID",
    secret_access_key: str = "SECRET_ACCESS_KEY",  # noqa: S107 -- a word that stands for a secret, to be replaced
) -> dict[str, str]:
    """A ready snippet for each client. `key` may be any word while `require_keys` is off and nothing was minted."""
    return {
        title: text.format(
            address=address,
            model=model,
            key=key,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
        )
        for title, text in _SNIPPETS.items()
    }
