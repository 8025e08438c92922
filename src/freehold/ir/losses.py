"""Turning what rides along into losses, when another language can not repeat it."""

from __future__ import annotations

from freehold.ir.values import Effect, Extra, JsonObject, Language, Loss, LossKind, Opaque


class Losses:
    """The losses of one encoding, collected while it writes."""

    __slots__ = ("items",)

    def __init__(self) -> None:
        self.items: list[Loss] = []

    def add(self, path: str, kind: LossKind, effect: Effect, detail: str = "") -> None:
        """Note one loss."""
        self.items.append(Loss(path=path, kind=kind, effect=effect, detail=detail))

    def repeat(self, extra: Extra | None, language: Language, into: JsonObject, path: str) -> None:
        """Write extras back if `language` said them (keys already written win); otherwise note them as lost."""
        if extra is None:
            return
        if extra.origin is language:
            for name, value in extra.fields.items():
                into.setdefault(name, value)
            return
        self.drop_extra(extra, path)

    def drop_extra(self, extra: Extra | None, path: str) -> None:
        """Note the extras that mean something and can not be said. Nulls and bookkeeping are no loss."""
        if extra is None:
            return
        effects = extra.origin.effects
        for name, value in extra.fields.items():
            if value is None:
                continue
            effect = effects.get(name, "unknown")
            if effect is not None:
                where = f"{path}.{name}" if path else name
                self.add(where, "dropped", effect, f"{extra.origin.name} only")

    def drop_opaque(self, opaque: Opaque, path: str, *, default: Effect = "content") -> None:
        """Note a block that only its own language understands; its type decides what suffers."""
        kind = opaque.value.get("type")
        name = kind if isinstance(kind, str) else next(iter(opaque.value), "")
        effect = opaque.origin.effects.get(name, default)
        if effect is not None:
            self.add(path, "dropped", effect, f"{opaque.origin.name} {name}".rstrip())

    def done(self) -> tuple[Loss, ...]:
        """All of them, in the order they were met."""
        return tuple(self.items)
