"""Bedrock Converse: one request form for every model that Amazon Bedrock serves."""

from __future__ import annotations

from freehold.protocols.bedrock_converse.codec import CODEC, BedrockConverse
from freehold.protocols.bedrock_converse.language import LANGUAGE

__all__ = ["CODEC", "LANGUAGE", "BedrockConverse"]
