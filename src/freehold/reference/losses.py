"""The kinds and effects of losses, the levels of strictness, and what each language's own fields would lose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from freehold.exchange.lanes import Strictness
from freehold.ir import Effect, Language
from freehold.ir.values import LossKind
from freehold.protocols.registry import CODECS
from freehold.reference.markdown import code, codes, table

KINDS: Final[Mapping[LossKind, str]] = {
    "dropped": "It is not in what was sent.",
    "clamped": "A number was out of the range that the other side takes; the nearest one that it takes was sent.",
    "approximated": "Something near it was sent: an effort for a number of tokens, text for a document.",
    "moved": "It was sent, at another place: a system message from mid-conversation at the top.",
    "simulated": "The other side has no such thing; it was asked for in words instead.",
}

EFFECTS: Final[Mapping[Effect, str]] = {
    "content": "Something that a person or a tool said: text, media, documents, tool calls and results, system text.",
    "behaviour": "How the model answers: sampling, limits, how much to think, offered tools, reasoning without a "
    "usable proof.",
    "accounting": "What is reported about the answer: usage details, annotations, cache marks.",
    "unknown": "A field of the client's protocol that nobody has classified yet. Most are new; a report is welcome.",
}

STRICTNESS: Final[Mapping[Strictness, str]] = {
    "report": "Nothing is refused; losses are reported.",
    "reject-content": "A target that would lose content is not asked; other losses are reported. The default.",
    "reject": "A target that would lose anything is not asked.",
}

_HEAD: Final = """# Losses

A loss is one thing that a translation could not say in the other protocol. It has a `path` into the request or the
answer in the canonical language, a `kind` (what became of it), an `effect` (what suffers) and a `detail` for people.

Losses stand in the header [`Freehold-Loss`](headers.md#freehold-loss) as far as they are known before the body, and
all of them on the [exchange record](exchange-record.md). Within one protocol nothing is lost. How often each loss
occurs between two protocols is in the [translation matrix](translation-matrix.md).
"""


def page() -> str:
    """The whole page."""
    lines = [_HEAD, "## Kinds", ""]
    for kind in get_args(LossKind):
        lines += [f"### `{kind}`", "", KINDS[kind], ""]
    lines += ["## Effects", ""]
    for effect in get_args(Effect):
        lines += [f"### `{effect}`", "", EFFECTS[effect], ""]
    lines += [
        "## Strictness",
        "",
        "What is refused is decided by the request header [`Freehold-On-Loss`](headers.md#freehold-on-loss).",
        "",
        *table(("Value", "Meaning"), ((code(name), STRICTNESS[name]) for name in get_args(Strictness))),
        "",
        "## Fields that only one protocol has",
        "",
        (
            "Fields that a codec does not translate ride along and return to their own protocol. On the way to another "
            "one they are losses with the effect below. Fields that mean nothing to anybody else (`object`, an item's "
            "`id`) are left out here and are no loss. A field in neither list counts as `unknown`."
        ),
        "",
    ]
    for language in _languages():
        lines += [f"### {language.name}", "", *_fields(language), ""]
    return "\n".join(lines)


def _languages() -> list[Language]:
    """Each language once, though several codecs may share one."""
    return list({codec.language.name: codec.language for codec in CODECS.values()}.values())


def _fields(language: Language) -> list[str]:
    rows: list[tuple[str, str]] = []
    for effect in get_args(Effect):
        names = sorted(name for name, known in language.effects.items() if known == effect)
        if names:
            rows.append((effect, codes(names)))
    return table(("Effect", "Fields"), rows) if rows else ["None."]
