"""Google's JSON as it is really written: names in two spellings, lists given as their only item, fields left out.

Google's servers read JSON as protocol buffers: `inlineData` and `inline_data` mean the same, and a repeated field may
hold a lone object.  `Node` reads both and marks which it was; `restore` writes it as it came.
"""

from __future__ import annotations

from typing import cast

from freehold.ir import Extra, Fields, JsonObject, JsonValue, Losses
from freehold.protocols.gemini_generate.language import ABSENT, LANGUAGE, MARKS, SINGLE, SNAKE

_NAMES = (
    "systemInstruction",
    "generationConfig",
    "toolConfig",
    "safetySettings",
    "cachedContent",
    "functionDeclarations",
    "parametersJsonSchema",
    "responseJsonSchema",
    "functionCallingConfig",
    "allowedFunctionNames",
    "inlineData",
    "fileData",
    "mimeType",
    "fileUri",
    "displayName",
    "functionCall",
    "functionResponse",
    "thoughtSignature",
    "videoMetadata",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
    "partialArgs",
    "willContinue",
    "candidateCount",
    "stopSequences",
    "maxOutputTokens",
    "topP",
    "topK",
    "responseMimeType",
    "responseSchema",
    "presencePenalty",
    "frequencyPenalty",
    "thinkingConfig",
    "includeThoughts",
    "thinkingBudget",
    "thinkingLevel",
    "generateContentRequest",
    "outputDimensionality",
    "taskType",
)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


_CAMEL = {_snake(name): name for name in _NAMES}
"""The names that the codec reads, by their other spelling."""


class Node(Fields):
    """The fields of one of Google's objects, under their camelCase names, whatever was written."""

    __slots__ = ("_absent", "_single", "_snake")

    def __init__(self, value: JsonValue, path: str = "") -> None:
        """Raises CallerError if the value is not an object."""
        super().__init__(value, LANGUAGE, path)
        self._snake: list[JsonValue] = []
        self._single: list[JsonValue] = []
        self._absent: list[JsonValue] = []
        left = self._left
        for name in [name for name in left if name in _CAMEL]:
            camel = _CAMEL[name]
            if camel not in left:
                left[camel] = left.pop(name)
                self._snake.append(camel)

    def child(self, name: str) -> Node | None:
        """The object in a field, taken; give it back with `keep` when it has been read."""
        value = self.take_object(name)
        return None if value is None else Node(value, self.at(name))

    def keep(self, name: str, child: Node) -> None:
        """Let what is left of a child, and how it was written, ride along with this object."""
        if child._left:
            self._left[name] = child._left
        for mine, its in (
            (self._snake, child._snake),
            (self._single, child._single),
            (self._absent, child._absent),
        ):
            mine.extend(f"{name}.{item}" for item in its)

    def take_items(self, name: str) -> list[JsonValue] | None:
        """The items of a list; a lone object counts as a list of it."""
        value = self._left.get(name)
        if isinstance(value, dict):
            del self._left[name]
            self._single.append(name)
            return [value]
        return self.take_list(name)

    def note_absent(self, name: str) -> None:
        """Mark a field that is not there, so that it will not be written."""
        self._absent.append(name)

    def note(self, mark: str, value: JsonValue) -> None:
        """Set a mark of another kind."""
        self._left[mark] = value

    @property
    def left(self) -> JsonObject:
        """What was not taken, without the marks."""
        return self._left

    def rest(self) -> Extra | None:
        """What was not taken, with the marks of how it was written; None if there is neither."""
        if not (self._snake or self._single or self._absent):
            return Extra(LANGUAGE, self._left) if self._left else None
        return self.mark()

    def mark(self) -> Extra:
        """The same, also when it is nothing."""
        fields = self._left
        for name, items in ((SNAKE, self._snake), (SINGLE, self._single), (ABSENT, self._absent)):
            if items:
                fields[name] = items
        return Extra(LANGUAGE, fields)


def restore(extra: Extra | None, into: JsonObject, losses: Losses, path: str) -> None:
    """Write back what rode along, as it was written; foreign extras are noted as lost."""
    if extra is None:
        return
    if extra.origin is not LANGUAGE:
        losses.drop_extra(extra, path)
        return
    repeat(extra.fields, into)


def repeat(fields: JsonObject, into: JsonObject) -> None:
    """Join what was left of an object with what is known of it; what is known wins."""
    for name, value in fields.items():
        if name in MARKS:
            continue
        known = into.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            into[name] = {**known, **{key: item for key, item in value.items() if key not in known}}
        else:
            into.setdefault(name, value)
    for name in _marked(fields, ABSENT):
        holder, key = _find(into, name)
        if holder is not None:
            holder.pop(key, None)
    for name in _marked(fields, SINGLE):
        holder, key = _find(into, name)
        items = None if holder is None else holder.get(key)
        if holder is not None and isinstance(items, list) and len(items) == 1:
            holder[key] = items[0]
    # Deepest first: a renamed object is not found any more.
    for name in sorted(_marked(fields, SNAKE), key=lambda path: -path.count(".")):
        holder, key = _find(into, name)
        if holder is not None and key in holder:
            holder[_snake(key)] = holder.pop(key)


def _marked(fields: JsonObject, mark: str) -> list[str]:
    return cast("list[str]", fields.get(mark, []))


def _find(root: JsonObject, path: str) -> tuple[JsonObject | None, str]:
    *above, name = path.split(".")
    holder = root
    for step in above:
        inner = holder.get(step)
        if not isinstance(inner, dict):
            return None, name
        holder = inner
    return holder, name


def flagged(extra: Extra | None, mark: str, name: str) -> bool:
    """Whether a mark of this language names a field."""
    return extra is not None and extra.origin is LANGUAGE and name in _marked(extra.fields, mark)
