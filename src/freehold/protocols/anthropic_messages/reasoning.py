"""How much the model may think: `thinking` and `output_config.effort`, and others' efforts and budgets."""

from __future__ import annotations

import msgspec

from freehold.ir import Fields, Generate, JsonObject, Losses, ReasoningOptions
from freehold.protocols.anthropic_messages.language import LANGUAGE
from freehold.protocols.codec import Dialect

ADAPTIVE = "adaptive-thinking"
"""Dialect flag: the model decides how much to think (Claude Opus 4.6 and later), so an effort is said as such.
Without it, thinking is switched on with a budget, which every older model understands."""

ALWAYS = "always-thinks"
"""Dialect flag: thinking can not be switched off (Claude Opus 5.5, Fable and Mythos answer 400 to `disabled`)."""

SMALLEST_BUDGET = 1024
"""The API refuses smaller budgets."""

_BUDGET_OF_EFFORT = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 31_999,
}
"""Tokens that stand for an effort. 31,999 is what Claude Code asks for at most; the others halve it about each step."""

_EFFORT = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
"""Efforts of other protocols by those of this one."""

_SUMMARY_OF_DISPLAY = {"summarized": "auto", "omitted": "none"}
_DISPLAY_OF_SUMMARY = {
    "auto": "summarized",
    "concise": "summarized",
    "detailed": "summarized",
    "full": "summarized",
    "none": "omitted",
}

DEFAULT_MAX_TOKENS = 20_000
"""`max_tokens` where nobody set a limit, which this protocol demands. Anthropic's SDKs take 128,000 tokens an hour as
the pace of an answer and insist on streaming when one may take more than ten minutes, which is 21,333 tokens."""

DEFAULT_MAX_TOKENS_STREAMED = 32_000
"""The same for a stream, which no time-out cuts: the longest answer of the smallest current model (Claude Opus 4.1)."""


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says about thinking, and the limit that has to leave room for it. `on`: the model will think."""

    value: JsonObject | None = None
    effort: str | None = None
    max_tokens: int | None = None
    on: bool = False


# --- Reading ---------------------------------------------------------------------------------------------------------


def read_reasoning(fields: Fields) -> ReasoningOptions | None:
    """`thinking` and `output_config.effort`; a form of thinking that nobody knows rides along."""
    effort = _take_effort(fields)
    thinking = _take_thinking(fields)
    if thinking is None:
        return None if effort is None else ReasoningOptions(effort=effort)
    return thinking if effort is None else msgspec.structs.replace(thinking, effort=effort)


def _take_effort(fields: Fields) -> str | None:
    config = fields.peek("output_config")
    if not isinstance(config, dict) or not isinstance(config.get("effort"), str):
        return None
    inner = Fields(fields.take("output_config"), LANGUAGE)
    effort = inner.take_str("effort")
    left = inner.rest()
    if left is not None:
        fields.put_back("output_config", left.fields)
    return effort


def _take_thinking(fields: Fields) -> ReasoningOptions | None:
    value = fields.peek("thinking")
    if not isinstance(value, dict):
        return None
    inner = Fields(value, LANGUAGE)
    display = inner.peek("display")
    summary = _SUMMARY_OF_DISPLAY.get(display) if isinstance(display, str) else None
    if summary is not None:
        inner.take("display")
    match inner.take("type"):
        case "enabled":
            budget = inner.take_int("budget_tokens")
            options = ReasoningOptions(mode="on", budget=budget, summary=summary, extra=inner.rest())
        case "adaptive":
            options = ReasoningOptions(mode="adaptive", summary=summary, extra=inner.rest())
        case "disabled":
            options = ReasoningOptions(mode="off", summary=summary, extra=inner.rest())
        case _:
            return None
    fields.take("thinking")
    return options


# --- Writing ---------------------------------------------------------------------------------------------------------


def write_reasoning(request: Generate, losses: Losses, dialect: Dialect, *, native: bool, unsigned: bool) -> Thinking:
    """Thinking, effort and `max_tokens`.

    `unsigned`: the model goes on from tool results in a turn whose thinking can not be shown.  The API then refuses
    thinking with a budget: such a turn must begin with a signed thought.
    """
    thinking = _said(request, losses, dialect, native=native)
    if not unsigned or thinking.value is None or thinking.value.get("type") != "enabled":
        return thinking
    losses.add("reasoning", "dropped", "behaviour", "the turn that is resumed has no signed thought")
    return Thinking(effort=thinking.effort, max_tokens=thinking.max_tokens)


def _said(request: Generate, losses: Losses, dialect: Dialect, *, native: bool) -> Thinking:
    options = request.reasoning
    if native:
        return _native_thinking(request, options, losses)
    limit = _limit(request, losses)
    if options is None:
        return Thinking(max_tokens=limit)
    losses.drop_extra(options.extra, "reasoning")
    if options.mode == "off" or options.effort == "none":
        return _off(limit, losses, dialect)
    if options.mode is None and options.effort is None and options.budget is None:
        if options.summary not in (None, "none"):
            losses.add("reasoning.summary", "dropped", "behaviour", "thoughts are shown only where thinking is on")
        return Thinking(max_tokens=limit)
    if request.tool_choice is not None and request.tool_choice.mode == "required" and ALWAYS not in dialect.flags:
        losses.add("reasoning", "dropped", "behaviour", "no thinking while a tool is forced")
        return Thinking(max_tokens=limit)
    if ADAPTIVE in dialect.flags or ALWAYS in dialect.flags:
        return _adaptive(options, limit, losses)
    return _budgeted(options, limit, losses, free=request.max_output_tokens is None)


def _off(limit: int, losses: Losses, dialect: Dialect) -> Thinking:
    if ALWAYS not in dialect.flags:
        return Thinking(value={"type": "disabled"}, max_tokens=limit)
    losses.add("reasoning", "approximated", "behaviour", "thinking can not be switched off, only made short")
    return Thinking(effort="low", max_tokens=limit, on=True)


def _native_thinking(request: Generate, options: ReasoningOptions | None, losses: Losses) -> Thinking:
    limit = request.max_output_tokens
    if options is None:
        return Thinking(max_tokens=limit)
    if options.mode is None:
        return Thinking(effort=options.effort, max_tokens=limit)
    value: JsonObject = {"type": {"on": "enabled", "off": "disabled", "adaptive": "adaptive"}[options.mode]}
    if options.budget is not None:
        value["budget_tokens"] = options.budget
    if options.summary is not None:
        value["display"] = _DISPLAY_OF_SUMMARY.get(options.summary, "summarized")
    losses.repeat(options.extra, LANGUAGE, value, "reasoning")
    return Thinking(value=value, effort=options.effort, max_tokens=limit, on=options.mode != "off")


def _limit(request: Generate, losses: Losses) -> int:
    if request.max_output_tokens is not None:
        if request.max_output_tokens >= 1:
            return request.max_output_tokens
        losses.add("max_output_tokens", "clamped", "behaviour", f"{request.max_output_tokens} to 1")
        return 1
    limit = DEFAULT_MAX_TOKENS_STREAMED if request.stream else DEFAULT_MAX_TOKENS
    losses.add("max_output_tokens", "simulated", "behaviour", f"a limit is demanded: {limit}")
    return limit


def _adaptive(options: ReasoningOptions, limit: int, losses: Losses) -> Thinking:
    effort = None if options.effort is None else _EFFORT.get(options.effort)
    if options.effort is not None and effort != options.effort:
        losses.add("reasoning.effort", "approximated", "behaviour", f"{options.effort} as {effort or 'the default'}")
    if effort is None and options.budget is not None and options.budget > 0:
        effort = _effort_of_budget(options.budget)
        losses.add("reasoning.budget", "approximated", "behaviour", f"{options.budget} tokens as effort {effort}")
    return Thinking(value=_shown({"type": "adaptive"}, options), effort=effort, max_tokens=limit, on=True)


def _effort_of_budget(budget: int) -> str:
    reached = [effort for effort, tokens in _BUDGET_OF_EFFORT.items() if tokens <= budget and effort != "minimal"]
    return reached[-1] if reached else "low"


def _budgeted(options: ReasoningOptions, limit: int, losses: Losses, *, free: bool) -> Thinking:
    """Thinking with a budget, which must leave room for the answer itself."""
    wanted = options.budget
    if wanted is None or wanted < 0:
        wanted = _BUDGET_OF_EFFORT.get(options.effort or "medium", _BUDGET_OF_EFFORT["medium"])
        losses.add(
            "reasoning.effort", "approximated", "behaviour", f"{options.effort or 'thinking'} as {wanted} tokens"
        )
    elif wanted == 0:
        return Thinking(value={"type": "disabled"}, max_tokens=limit)
    if free and wanted >= limit:
        limit = wanted + DEFAULT_MAX_TOKENS
    budget = max(SMALLEST_BUDGET, min(wanted, limit // 2 if wanted >= limit else wanted))
    if budget >= limit:
        losses.add("reasoning", "dropped", "behaviour", f"max_tokens {limit} leaves no room to think")
        return Thinking(max_tokens=limit)
    if budget != wanted:
        losses.add("reasoning.budget", "clamped", "behaviour", f"{wanted} to {budget}")
    return Thinking(value=_shown({"type": "enabled", "budget_tokens": budget}, options), max_tokens=limit, on=True)


def _shown(value: JsonObject, options: ReasoningOptions) -> JsonObject:
    """With `display` where the request says whether it wants to see the thoughts."""
    display = _DISPLAY_OF_SUMMARY.get(options.summary) if options.summary is not None else None
    return value if display is None else {**value, "display": display}
