"""Google's JSON as it is really written: names in two spellings, lists given as their only item, fields left out.

Google's servers read JSON as protocol buffers: `inlineData` and `inline_data` mean the same, and a repeated field may
hold a lone object.  `Node` reads both and marks which it was; `restore` writes it as it came.
"""

from __future__ import annotations

from typing import cast

from freehold.ir import Extra, Fields, JsonObject, JsonValue, Losses
from freehold.protocols.gemini_generate.language import ABSENT, INSIDE, LANGUAGE, MARKS, SINGLE, SNAKE, USUAL

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

    __slots__ = ("_absent", "_kept", "_single", "_snake", "_usual")

    def __init__(self, value: JsonValue, path: str = "") -> None:
        """Raises CallerError if the value is not an object."""
        super().__init__(value, LANGUAGE, path)
        self._snake: list[JsonValue] = []
        self._single: list[JsonValue] = []
        self._absent: list[JsonValue] = []
        self._usual: JsonObject = {}
        self._kept: dict[str, tuple[Node, bool]] | None = None
        left = self._left
        for name in [name for name in left if name in _CAMEL]:
            camel = _CAMEL[name]
            if camel not in left:
                left[camel] = left.pop(name)
                self._snake.append(camel)

    def child(self, name: str) -> Node | None:
        """The object in a field, taken; give it back with `keep`."""
        value = self.take_object(name)
        return None if value is None else Node(value, self.at(name))

    def keep(self, name: str, child: Node, *, hollow: bool = False) -> None:
        """Let what will be left of a child, and how it was written, ride along with this object.

        `hollow`: it is to be written even if the codec has nothing to put into it.
        """
        if self._kept is None:
            self._kept = {}
        self._kept[name] = (child, hollow)

    def take_items(self, name: str) -> list[JsonValue] | None:
        """The items of a list; a lone object counts as a list of it."""
        value = self._left.get(name)
        if isinstance(value, dict):
            del self._left[name]
            self._single.append(name)
            return [value]
        return self.take_list(name)

    def take_usual(self, name: str, value: JsonValue) -> None:
        """Take a field if it says what holds anyway."""
        if self.take_constant(name, value):
            self._usual[name] = value

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
        if self._snake or self._single or self._absent or self._usual or self._kept:
            extra = self.mark()
            return extra if extra.fields else None
        return Extra(LANGUAGE, self._left) if self._left else None

    def mark(self) -> Extra:
        """The same, also when it is nothing."""
        inside: JsonObject = {}
        for name, (child, hollow) in (self._kept or {}).items():
            self._take_in(name, child, inside)
            if hollow and name not in self._left:
                inside.setdefault(name, [])
        fields = self._left
        marks = ((SNAKE, self._snake), (SINGLE, self._single), (ABSENT, self._absent), (USUAL, self._usual))
        for mark, said in (*marks, (INSIDE, inside)):
            if said:
                fields[mark] = cast("JsonValue", said)
        return Extra(LANGUAGE, fields)

    def _take_in(self, name: str, child: Node, inside: JsonObject) -> None:
        """Lay a child's fields beside this object's own, so that each counts by itself where it is lost."""
        fields = child.mark().fields
        for mark, mine in ((SNAKE, self._snake), (SINGLE, self._single), (ABSENT, self._absent)):
            mine.extend(f"{name}.{item}" for item in cast("list[str]", fields.pop(mark, [])))
        usual, below = fields.pop(USUAL, {}), fields.pop(INSIDE, {})
        self._usual.update({f"{name}.{item}": value for item, value in cast("JsonObject", usual).items()})
        inside.update({f"{name}.{item}": names for item, names in cast("JsonObject", below).items()})
        if fields.keys() & self._left.keys():
            self._left[name] = fields
        elif fields:
            inside[name] = cast("JsonValue", list(fields))
            self._left.update(fields)


def restore(extra: Extra | None, into: JsonObject, losses: Losses, path: str) -> None:
    """Write back what rode along, as it was written; foreign extras are noted as lost."""
    if extra is None:
        return
    if extra.origin is not LANGUAGE:
        losses.drop_extra(extra, path)
        return
    repeat(extra.fields, into)


def repeat(fields: JsonObject, into: JsonObject) -> None:
    """Join what was left of an object with what is written of it.

    What was left is what the codec did not understand, so it replaces what the codec made up for lack of it.
    """
    if fields.keys().isdisjoint(MARKS):
        for name, value in fields.items():
            _join(name, value, into)
        return
    inside = _inside(fields, into)
    for name, value in fields.items():
        if name in MARKS or name in inside:
            continue
        _join(name, value, into)
    usual = fields.get(USUAL)
    for name, value in usual.items() if isinstance(usual, dict) else ():
        holder, key = _find(into, name)
        if holder is not None:
            holder.setdefault(key, value)
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


def _join(name: str, value: JsonValue, into: JsonObject) -> None:
    known = into.get(name)
    if isinstance(known, dict) and isinstance(value, dict):
        into[name] = {**known, **value}
    else:
        into[name] = value


def _inside(fields: JsonObject, into: JsonObject) -> set[str]:
    """Write back what was left of children, which are made where nothing else was left of them; gives their fields."""
    moved: set[str] = set()
    children = fields.get(INSIDE)
    for path, names in children.items() if isinstance(children, dict) else ():
        holder = into
        for step in path.split("."):
            inner = holder.get(step)
            if not isinstance(inner, dict):
                inner = {}
                holder[step] = inner
            holder = inner
        for name in cast("list[str]", names):
            _join(name, fields[name], holder)
            moved.add(name)
    return moved


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
