"""How much the model may think: each vendor's own fields, and others' efforts and budgets in their terms."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from freehold.ir import Extra, Fields, Generate, JsonObject, JsonValue, Losses, ReasoningOptions
from freehold.protocols.bedrock_converse.families import Family
from freehold.protocols.bedrock_converse.language import LANGUAGE, SPELLING, ours, repeat

SMALLEST_BUDGET = 1024
"""Claude refuses smaller budgets."""

_BUDGET_OF_EFFORT = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 31_999,
}
"""Tokens that stand for an effort. 31,999 is what Claude Code asks for at most; the others halve it about each step."""

_THREE_EFFORTS = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
"""Efforts as models with three levels know them."""

_CLAUDE_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}

# --- Reading ---------------------------------------------------------------------------------------------------------


def take_reasoning(more: Fields, config: Fields) -> ReasoningOptions | None:
    """The first form that is understood, from `additionalModelRequestFields`, then `outputConfig.effort`.

    The extra's spelling says which field it was.
    """
    for name, reader in _READERS.items():
        value = more.peek(name)
        options = None if value is None else reader(value)
        if options is not None:
            more.take(name)
            left = options.extra.fields if options.extra is not None else {}
            options = msgspec.structs.replace(options, extra=Extra(LANGUAGE, {SPELLING: name, **left}))
            effort = config.take_str("effort") if options.effort is None else None
            return options if effort is None else msgspec.structs.replace(options, effort=effort)
    effort = config.take_str("effort")
    return None if effort is None else ReasoningOptions(effort=effort, extra=Extra(LANGUAGE, {SPELLING: "effort"}))


def _read_thinking(value: JsonValue) -> ReasoningOptions | None:
    if isinstance(value, str):
        return ReasoningOptions(effort=value)
    if not isinstance(value, dict):
        return None
    inner = Fields(value, LANGUAGE)
    match inner.take("type"):
        case "enabled":
            return ReasoningOptions(mode="on", budget=inner.take_int("budget_tokens"), extra=inner.rest())
        case "adaptive":
            return ReasoningOptions(mode="adaptive", extra=inner.rest())
        case "disabled":
            return ReasoningOptions(mode="off", extra=inner.rest())
        case _:
            return None


def _read_nova(value: JsonValue) -> ReasoningOptions | None:
    if not isinstance(value, dict):
        return None
    inner = Fields(value, LANGUAGE)
    match inner.take("type"):
        case "enabled":
            return ReasoningOptions(mode="on", effort=inner.take_str("maxReasoningEffort"), extra=inner.rest())
        case "disabled":
            return ReasoningOptions(mode="off", extra=inner.rest())
        case _:
            return None


def _read_effort(value: JsonValue) -> ReasoningOptions | None:
    return ReasoningOptions(effort=value) if isinstance(value, str) else None


_READERS: dict[str, Callable[[JsonValue], ReasoningOptions | None]] = {
    "thinking": _read_thinking,
    "reasoning_config": _read_thinking,
    "reasoningConfig": _read_nova,
    "reasoning_effort": _read_effort,
}

_MODES = {"on": "enabled", "adaptive": "adaptive", "off": "disabled"}

# --- Writing ---------------------------------------------------------------------------------------------------------


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says about thinking: fields of `additionalModelRequestFields`, and `outputConfig.effort`.

    `on`: the model will think.
    """

    fields: JsonObject = {}
    effort: str | None = None
    on: bool = False


def write_native_reasoning(options: ReasoningOptions, losses: Losses) -> Thinking:
    """In the field it came from."""
    said = ours(options.extra) or {}
    name = said.get(SPELLING)
    value: JsonObject = {}
    match name:
        case "thinking" | "reasoning_config" if options.mode is not None:
            value["type"] = _MODES[options.mode]
            if options.budget is not None:
                value["budget_tokens"] = options.budget
            repeat(options.extra, value, losses, "reasoning")
            return Thinking(fields={name: value}, effort=options.effort, on=options.mode != "off")
        case "reasoningConfig" if options.mode is not None:
            value["type"] = _MODES[options.mode]
            if options.effort is not None:
                value["maxReasoningEffort"] = options.effort
            repeat(options.extra, value, losses, "reasoning")
            return Thinking(fields={name: value})
        case "thinking" | "reasoning_config" | "reasoning_effort":
            return Thinking(fields={name: options.effort})
        case _:
            return Thinking(effort=options.effort)


def write_reasoning(request: Generate, family: Family, losses: Losses, *, unproven: bool) -> Thinking:
    """Another language's wish in the family's terms. `unproven`: no signed thought began the tool turn under way."""
    options = request.reasoning
    if options is None:
        return Thinking()
    losses.drop_extra(options.extra, "reasoning")
    off = options.mode == "off" or options.effort == "none" or options.budget == 0
    if options.mode is None and options.effort is None and options.budget is None:
        return Thinking()
    if family.reasoning == "none":
        if not off:
            losses.add("reasoning", "dropped", "behaviour", f"{request.model} can not be told how to think")
        return Thinking()
    if not off and family.strict_thinking:
        forced = request.tool_choice is not None and request.tool_choice.mode == "required" and request.tools
        if forced and family.choices != "auto":
            losses.add("reasoning", "dropped", "behaviour", "no thinking while a tool is forced")
            return Thinking()
        if unproven:
            losses.add("reasoning", "dropped", "behaviour", "the tool calls under way have no thought that was signed")
            return Thinking()
    match family.reasoning:
        case "budget":
            return Thinking(fields={"thinking": {"type": "disabled"}}) if off else _budgeted(request, options, losses)
        case "adaptive":
            return _off(family, losses) if off else _adaptive(options, losses)
        case "nova":
            if off:
                return Thinking(fields={"reasoningConfig": {"type": "disabled"}})
            effort = _effort(options, _THREE_EFFORTS, losses)
            return Thinking(fields={"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}})
        case "effort" | "level":
            return _leveled(family, options, losses, off=off)


def _budgeted(request: Generate, options: ReasoningOptions, losses: Losses) -> Thinking:
    """Thinking with a budget, which must leave room for the answer itself."""
    wanted = options.budget
    if wanted is None or wanted < 0:
        wanted = _BUDGET_OF_EFFORT.get(options.effort or "medium", _BUDGET_OF_EFFORT["medium"])
        said = options.effort or "thinking"
        losses.add("reasoning.effort", "approximated", "behaviour", f"{said} as {wanted} tokens")
    limit = request.max_output_tokens
    budget = wanted if limit is None or wanted < limit else limit // 2
    budget = max(SMALLEST_BUDGET, budget)
    if limit is not None and budget >= limit:
        losses.add("reasoning", "dropped", "behaviour", f"maxTokens {limit} leaves no room to think")
        return Thinking()
    if budget != wanted:
        losses.add("reasoning.budget", "clamped", "behaviour", f"{wanted} to {budget}")
    return Thinking(fields={"thinking": {"type": "enabled", "budget_tokens": budget}}, on=True)


def _off(family: Family, losses: Losses) -> Thinking:
    if not family.always_thinks:
        return Thinking(fields={"thinking": {"type": "disabled"}})
    losses.add("reasoning", "approximated", "behaviour", "thinking can not be switched off, only made short")
    return Thinking(effort="low", on=True)


def _adaptive(options: ReasoningOptions, losses: Losses) -> Thinking:
    if options.effort is None and options.budget is None:
        return Thinking(fields={"thinking": {"type": "adaptive"}}, on=True)
    effort = _effort(options, _CLAUDE_EFFORTS, losses)
    return Thinking(fields={"thinking": {"type": "adaptive"}}, effort=effort, on=True)


def _leveled(family: Family, options: ReasoningOptions, losses: Losses, *, off: bool) -> Thinking:
    if off and family.reasoning == "level":
        return Thinking()
    if off:
        losses.add("reasoning", "approximated", "behaviour", "thinking can not be switched off, only made short")
        return Thinking(fields={"reasoning_effort": "low"})
    effort = _effort(options, _THREE_EFFORTS, losses)
    return Thinking(fields={"reasoning_effort" if family.reasoning == "effort" else "reasoning_config": effort})


def _effort(options: ReasoningOptions, known: dict[str, str], losses: Losses) -> str:
    """The effort in the family's words; a budget is rounded to one."""
    if options.effort is not None:
        effort = known.get(options.effort, "medium")
        if effort != options.effort:
            losses.add("reasoning.effort", "approximated", "behaviour", f"{options.effort} as {effort}")
        return effort
    if options.budget is not None and options.budget > 0:
        reached = [effort for effort, tokens in _BUDGET_OF_EFFORT.items() if tokens <= options.budget]
        effort = known[reached[-1] if reached else "low"]
        losses.add("reasoning.budget", "approximated", "behaviour", f"{options.budget} tokens as effort {effort}")
        return effort
    return "medium"
