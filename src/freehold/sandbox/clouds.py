"""The clouds there are: whose wire language each speaks, its models, its credentials and its pace."""

from __future__ import annotations

import hmac
from typing import Final

import msgspec

EMBEDDING_MODEL: Final = "text-embedding-3-small"


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a cloud answers: seconds to the first token, then tokens a second."""

    first_token: float
    tokens_per_second: float


class CloudSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One emulated cloud.

    `provider` names the data file whose protocols, paths and ways to authenticate it has. `models` are real ids, so
    that real prices and context windows apply. `speaks` is what the model says of its whereabouts, `silicon` what it is
    emulated to run on; `jurisdiction` is stated where the provider's file does not know it.
    """

    name: str
    provider: str
    speaks: str
    models: tuple[str, ...]
    pace: Pace
    silicon: str
    region: str | None = None
    jurisdiction: str | None = None


_CLAUDE_ON_BEDROCK: Final = "anthropic.claude-sonnet-4-5-20250929-v1:0"

# Faster than the real ones, so that nobody waits for a demonstration; their order is what a survey would find.
CLOUDS: Final[tuple[CloudSpec, ...]] = (
    CloudSpec(
        name="openai",
        provider="openai",
        speaks="OpenAI",
        models=("gpt-5", "gpt-5-mini", EMBEDDING_MODEL),
        pace=Pace(first_token=0.040, tokens_per_second=350),
        silicon="nvidia-gpu",
    ),
    CloudSpec(
        name="azure",
        provider="azure",
        speaks="Azure OpenAI in swedencentral",
        models=("gpt-5", "gpt-5-mini", EMBEDDING_MODEL),
        pace=Pace(first_token=0.055, tokens_per_second=300),
        silicon="nvidia-gpu",
        region="swedencentral",
    ),
    CloudSpec(
        name="anthropic",
        provider="anthropic",
        speaks="Anthropic",
        models=("claude-sonnet-4-5", "claude-haiku-4-5"),
        pace=Pace(first_token=0.050, tokens_per_second=280),
        silicon="google-tpu",
    ),
    CloudSpec(
        name="bedrock-us",
        provider="bedrock",
        speaks="Amazon Bedrock in us-east-1",
        models=(_CLAUDE_ON_BEDROCK, "amazon.nova-lite-v1:0", "openai.gpt-oss-120b-1:0"),
        pace=Pace(first_token=0.065, tokens_per_second=260),
        silicon="aws-trainium",
        region="us-east-1",
    ),
    CloudSpec(
        name="bedrock-eu",
        provider="bedrock",
        speaks="Amazon Bedrock in eu-central-1",
        models=(_CLAUDE_ON_BEDROCK, "amazon.nova-lite-v1:0", "openai.gpt-oss-120b-1:0"),
        pace=Pace(first_token=0.080, tokens_per_second=250),
        silicon="aws-trainium",
        region="eu-central-1",
    ),
    CloudSpec(
        name="gemini",
        provider="gemini",
        speaks="Google Gemini",
        models=("gemini-2.5-flash", "gemini-2.5-pro"),
        pace=Pace(first_token=0.035, tokens_per_second=450),
        silicon="google-tpu",
    ),
    CloudSpec(
        name="rack",
        provider="openai-compatible",
        speaks="the server in your own rack",
        models=("qwen3-32b", "nomic-embed-text"),
        pace=Pace(first_token=0.020, tokens_per_second=200),
        silicon="nvidia-gpu",
        jurisdiction="DE",
    ),
)
"""In the order in which they are listed and started."""


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """What a cloud lets in: a key, or for AWS a key pair. Made from the seed: worth nothing anywhere else."""

    key: str
    access_key_id: str
    secret_access_key: str


def login_of(spec: CloudSpec, seed: int) -> Login:
    """The credentials of a cloud."""
    digest = hmac.digest(f"freehold sandbox {seed}".encode(), spec.name.encode(), "sha256").hex()
    return Login(
        key=f"sandbox-{spec.name}-{digest[:20]}",
        access_key_id=f"AKIASANDBOX{digest[20:29].upper()}",
        secret_access_key=digest[24:64],
    )
