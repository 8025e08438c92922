"""Anthropic Messages: requests, answers, streams, errors, token counts and listings.

Dialect flags: `adaptive-thinking`, for models that decide themselves how much to think (see `reasoning`).
"""

from __future__ import annotations

from freehold.protocols.anthropic_messages.codec import CODEC, AnthropicMessages
from freehold.protocols.anthropic_messages.conversation import must_move_system
from freehold.protocols.anthropic_messages.language import LANGUAGE

__all__ = ["CODEC", "LANGUAGE", "AnthropicMessages", "must_move_system"]
