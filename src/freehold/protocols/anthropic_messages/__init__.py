"""Anthropic Messages: requests, answers, streams, errors, token counts and listings.

Dialect flags: `adaptive-thinking` for models that decide themselves how much to think, `always-thinks` for those that
can not be told not to (see `reasoning`), `free-tool-choice` for those that can not be made to call a tool (`tools`).
The road looks for `prefill`: models that go on with an assistant turn which ends the conversation.
"""

from __future__ import annotations

from freehold.protocols.anthropic_messages.codec import CODEC, AnthropicMessages
from freehold.protocols.anthropic_messages.conversation import must_move_system
from freehold.protocols.anthropic_messages.language import LANGUAGE

__all__ = ["CODEC", "LANGUAGE", "AnthropicMessages", "must_move_system"]
