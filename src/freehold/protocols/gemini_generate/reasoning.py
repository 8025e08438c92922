"""How much the model may think: `thinkingConfig`, and others' efforts and budgets."""

from __future__ import annotations

from freehold.ir import Generate, JsonObject, Losses, ReasoningOptions
from freehold.protocols.gemini_generate.language import STYLE, is_gemini_3
from freehold.protocols.gemini_generate.wire import Node, restore

_BUDGET_OF_EFFORT = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}
"""Tokens that stand for an effort on Gemini 2.5, as Google's own OpenAI-compatible endpoint counts them."""

_LEVEL_OF_EFFORT = {
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
"""Levels of Gemini 3; XHIGH is not offered by every model."""

_BUDGETS = (
    ("gemini-2.5-pro", 128, 32_768),
    ("gemini-2.5-flash-lite", 512, 24_576),
    ("gemini-2.5-flash", 0, 24_576),
)
"""Smallest and largest thinking budget by model (ai.google.dev/gemini-api/docs/thinking)."""


def read_reasoning(node: Node) -> ReasoningOptions:
    """`thinkingConfig`. A level is an effort in capitals; any other spelling of it rides along."""
    shown = node.take_bool("includeThoughts")
    budget = node.take_int("thinkingBudget")
    level = node.peek("thinkingLevel")
    effort = level.lower() if isinstance(level, str) else None
    if effort is not None:
        node.take("thinkingLevel")
        if level != effort.upper():
            node.note(STYLE, level)
    mode = None if budget is None else {0: "off", -1: "adaptive"}.get(budget, "on")
    return ReasoningOptions(
        mode=mode,  # pyright: ignore[reportArgumentType] -- the three words above
        effort=effort,
        budget=budget if mode == "on" else None,
        summary=None if shown is None else "full" if shown else "none",
        extra=node.mark(),
    )


def write_native(options: ReasoningOptions, losses: Losses) -> JsonObject:
    """`thinkingConfig` as it was said."""
    wire: JsonObject = {}
    if options.summary is not None:
        wire["includeThoughts"] = options.summary != "none"
    budget = {"off": 0, "adaptive": -1}.get(options.mode or "", options.budget)
    if budget is not None:
        wire["thinkingBudget"] = budget
    if options.effort is not None:
        style = None if options.extra is None else options.extra.fields.get(STYLE)
        same = isinstance(style, str) and style.lower() == options.effort
        wire["thinkingLevel"] = style if same else options.effort.upper()
    restore(options.extra, wire, losses, "reasoning")
    return wire


def write_foreign(request: Generate, options: ReasoningOptions, losses: Losses) -> JsonObject | None:
    """Another language's wish in the words that the model knows: levels from Gemini 3 on, budgets before."""
    losses.drop_extra(options.extra, "reasoning")
    wire: JsonObject = {}
    shown = options.mode in ("on", "adaptive") if options.summary is None else options.summary != "none"
    off = options.mode == "off" or options.effort == "none"
    if shown and not off:
        wire["includeThoughts"] = True
    if off:
        _switch_off(request.model, wire, losses)
    elif is_gemini_3(request.model):
        _write_level(options, wire, losses)
    else:
        _write_budget(request.model, options, wire, losses)
    return wire or None


def _switch_off(model: str, wire: JsonObject, losses: Losses) -> None:
    if is_gemini_3(model):
        losses.add("reasoning.mode", "approximated", "behaviour", "the model always thinks: as little as it can")
        wire["thinkingLevel"] = "LOW" if "pro" in model else "MINIMAL"
        return
    least, _ = _limits(model)
    if least == 128:
        losses.add("reasoning.mode", "approximated", "behaviour", "the model always thinks: as little as it can")
        wire["thinkingBudget"] = least
    else:
        wire["thinkingBudget"] = 0


def _limits(model: str) -> tuple[int, int]:
    return next(((least, most) for prefix, least, most in _BUDGETS if prefix in model), (0, 32_768))


def _write_level(options: ReasoningOptions, wire: JsonObject, losses: Losses) -> None:
    if options.effort is not None:
        level = _LEVEL_OF_EFFORT.get(options.effort.lower())
        if level is None or level != options.effort.upper():
            losses.add("reasoning.effort", "approximated", "behaviour", f"{options.effort} as {level}")
        if level is not None:
            wire["thinkingLevel"] = level
    elif options.budget is not None:
        wire["thinkingBudget"] = options.budget


def _write_budget(model: str, options: ReasoningOptions, wire: JsonObject, losses: Losses) -> None:
    budget = options.budget
    if budget is None and options.effort is not None:
        budget = _BUDGET_OF_EFFORT.get(options.effort.lower())
        losses.add("reasoning.effort", "approximated", "behaviour", f"{options.effort} as {budget} tokens")
    elif budget is None and options.mode == "adaptive":
        budget = -1
    if budget is None:
        return
    least, most = _limits(model)
    if budget >= 0 and not least <= budget <= most:
        clamped = min(max(budget, least), most)
        losses.add("reasoning.budget", "clamped", "behaviour", f"{budget} to {clamped}")
        budget = clamped
    wire["thinkingBudget"] = budget
