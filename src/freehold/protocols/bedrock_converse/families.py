"""What Bedrock's models differ in where one request form serves them all: told by the model's id."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

ReasoningForm = Literal["budget", "adaptive", "nova", "effort", "level", "none"]
"""How a family is told to think: Claude's `thinking` with a budget, or adaptive with an effort; Nova's
`reasoningConfig`; OpenAI's `reasoning_effort`; Qwen's `reasoning_config` with one word; not at all."""


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """The traits of a model that a request has to respect."""

    reasoning: ReasoningForm = "none"
    top_k: tuple[str, ...] = ()
    """Path of top_k inside of `additionalModelRequestFields`; empty where there is none."""
    caches: bool = False
    caches_tools: bool = False
    result_status: bool = False
    """`toolResult.status` is taken (documentation: Amazon Nova and Anthropic Claude only)."""
    system: bool = True
    choices: Literal["auto", "any", "tool"] = "tool"
    """What `toolChoice` may say at most (documentation: ToolChoice)."""
    schemas: bool = False
    """Answers can be held to a schema (documentation: structured outputs)."""
    one_sampler: bool = False
    """Temperature and top_p are refused beside each other (Claude Opus 4.1 and later)."""
    strict_thinking: bool = False
    """While thinking, the API refuses forced tools and other sampling than the default (Claude)."""
    always_thinks: bool = False
    """Thinking can not be switched off (Claude Opus 5.5, Fable, Mythos)."""
    samples: bool = True
    """Temperature and its like are taken at all (Claude: up to 4.6)."""


_NO_SYSTEM = re.compile(r"(?:amazon\.titan|ai21\.j2|cohere\.command-(?:text|light)|mistral\.mi[sx]tral-(?:7b|8x7b))")
"""Models that refuse system prompts (documentation: supported models and features of Converse)."""

_CLAUDE = re.compile(
    r"claude-(?:v?(?P<old>\d+)(?:-(?P<old_minor>\d))?(?!\d)|(?P<name>[a-z]+)-(?P<new>\d+)(?:-(?P<minor>\d))?(?!\d))"
)

_STRUCTURED = re.compile(
    r"(?:openai|qwen|google|minimax|moonshot|nvidia|zai)\.|deepseek\.v3|mistral\.(?:magistral|ministral|mistral-large-3|voxtral)"
)
"""Models other than Claude whose answers can be held to a schema."""

_CLAUDE_FIRST_TO_THINK = (3, 7)
_CLAUDE_FIRST_ONE_SAMPLER = (4, 1)
_CLAUDE_FIRST_STRUCTURED = (4, 5)
_CLAUDE_FIRST_ADAPTIVE = (4, 6)
"""From here on the model decides how much to think, and an effort is said as such."""
_CLAUDE_FIRST_WITHOUT_SAMPLING = (4, 7)
_CLAUDE_FIRST_ALWAYS_THINKING = {"opus": (5, 5), "fable": (5, 0), "mythos": (0, 0)}
_CLAUDE_FIRST_WITHOUT_FORCED_TOOLS = {"opus": (5, 5), "fable": (5, 1)}
"""By line of models, as the release notes of Opus 5.5 and the guides for moving to Fable and Mythos say."""


def family_of(model: str) -> Family:
    """The family of a model id, an inference profile's id, or an ARN that ends in one."""
    name = model.rpartition("/")[2]
    if "anthropic." in name or name.startswith("claude"):
        return _claude(*_claude_version(name))
    schemas = _STRUCTURED.search(name) is not None
    if "amazon.nova" in name:
        return Family(
            reasoning="nova" if "nova-2" in name else "none",
            top_k=("inferenceConfig", "topK"),
            caches=True,
            result_status=True,
        )
    if "openai." in name:
        return Family(reasoning="effort", schemas=schemas)
    if "qwen." in name or "deepseek.v3" in name:
        return Family(reasoning="level", schemas=schemas)
    if _NO_SYSTEM.search(name):
        return Family(system=False)
    if "mistral." in name:
        return Family(top_k=("top_k",), choices="any", schemas=schemas)
    if "meta." in name or "cohere." in name:
        return Family(choices="auto")
    return Family(schemas=schemas)


def _claude(line: str, version: tuple[int, int]) -> Family:
    reasoning: ReasoningForm = "budget" if version < _CLAUDE_FIRST_ADAPTIVE else "adaptive"
    free = _CLAUDE_FIRST_WITHOUT_FORCED_TOOLS.get(line)
    always = _CLAUDE_FIRST_ALWAYS_THINKING.get(line)
    return Family(
        reasoning="none" if version < _CLAUDE_FIRST_TO_THINK else reasoning,
        top_k=("top_k",),
        caches=True,
        caches_tools=True,
        result_status=True,
        schemas=version >= _CLAUDE_FIRST_STRUCTURED,
        one_sampler=version >= _CLAUDE_FIRST_ONE_SAMPLER,
        strict_thinking=True,
        choices="tool" if free is None or version < free else "auto",
        always_thinks=always is not None and version >= always,
        samples=version < _CLAUDE_FIRST_WITHOUT_SAMPLING,
    )


def _claude_version(name: str) -> tuple[str, tuple[int, int]]:
    """Line and version, in both forms of names: `claude-3-5-sonnet`, `claude-sonnet-4-5`; no number means a new one."""
    match = _CLAUDE.search(name)
    if match is None:
        return "mythos" if "mythos" in name else "", (99, 0)
    if match["old"] is not None:
        return "", (int(match["old"]), int(match["old_minor"] or 0))
    return match["name"], (int(match["new"]), int(match["minor"] or 0))
