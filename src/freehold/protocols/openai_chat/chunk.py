"""A chunk being put together again from what was left of it."""

from __future__ import annotations

from freehold.ir import (
    JsonObject,
    JsonValue,
    ToolCall,
)
from freehold.protocols.openai_chat.language import (
    EVENT,
    TAKEN,
)


def place_text(delta: JsonObject, places: tuple[str, ...], text: str) -> None:
    """Put words into a delta: into its fields, or as a typed part into its content."""
    for place in places:
        match place:
            case "text" | "thinking":
                _fill_block(delta, place, text)
            case _:
                earlier = delta.get(place)
                delta[place] = earlier + text if isinstance(earlier, str) else text


def _fill_block(delta: JsonObject, kind: str, text: str) -> None:
    said: JsonValue = text if kind == "text" else [{"type": "text", "text": text}]
    blocks = delta.get("content")
    blocks = [*blocks] if isinstance(blocks, list) else []
    for at, block in enumerate(blocks):
        if isinstance(block, dict) and isinstance(left := block.get(TAKEN), dict):
            blocks[at] = {**left, kind: said}
            break
    else:
        blocks.append({"type": kind, kind: said})
    delta["content"] = blocks


class Chunk:
    """A chunk being put together again from what was left of it; the leftovers themselves stay as they are."""

    def __init__(self, left: JsonObject) -> None:
        self.fields: JsonObject = dict(left)
        event = self.fields.pop(EVENT, None)
        self.event = event if isinstance(event, str) else None
        choices = left.get("choices")
        self._choices: list[JsonValue] = []
        if isinstance(choices, list):
            self._choices = [_thaw(choice) for choice in choices]
            self.fields["choices"] = self._choices

    def choice(self, number: int) -> JsonObject:
        """The choice with this number; made if the chunk has none, as after an edit."""
        for choice in self._choices:
            if isinstance(choice, dict) and choice.get("index", 0) == number:
                return choice
        made: JsonObject = {"index": number, "delta": {}}
        self._choices.append(made)
        self.fields["choices"] = self._choices
        return made

    def _delta(self, number: int) -> JsonObject:
        choice = self.choice(number)
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice["delta"] = {}
        return delta

    def add_text(self, number: int, places: tuple[str, ...], text: str) -> None:
        """Put words back."""
        place_text(self._delta(number), places, text)

    def start_call(self, number: int, call: ToolCall, identity: str, at: int) -> None:
        """Put a call's beginning back into the entry it was taken from."""
        made: JsonObject = {"index": at, "type": "function", "function": {"arguments": ""}}
        entry, function = self._entry(number, made)
        if identity:
            entry["id"] = identity
        function["name"] = call.name
        if call.arguments:
            function["arguments"] = call.arguments

    def add_arguments(self, number: int, places: tuple[str, ...], at: int, text: str) -> None:
        """Put a fragment back."""
        if places == ("function_call",):
            function = self._function(number)
            function["arguments"] = text
        else:
            self._entry(number, {"index": at})[1]["arguments"] = text

    def start_function(self, number: int, call: ToolCall) -> None:
        """Put the name of a call of 2023 back."""
        self._function(number)["name"] = call.name

    def _function(self, number: int) -> JsonObject:
        delta = self._delta(number)
        function = delta.get("function_call")
        if not isinstance(function, dict):
            function = delta["function_call"] = {}
        return function

    def _entry(self, number: int, usual: JsonObject) -> tuple[JsonObject, JsonObject]:
        """The next entry of `tool_calls` that an event was taken from, and its function."""
        delta = self._delta(number)
        calls = delta.get("tool_calls")
        if not isinstance(calls, list):
            calls = delta["tool_calls"] = []
        for at, entry in enumerate(calls):
            if isinstance(entry, dict) and isinstance(left := entry.get(TAKEN), dict):
                found = dict(left)
                calls[at] = found
                break
        else:
            found = dict(usual)
            calls.append(found)
        inner = found.get("function")
        function: JsonObject = dict(inner) if isinstance(inner, dict) else {}
        found["function"] = function
        return found, function

    def add_usage(self, usage: JsonObject) -> None:
        """Put usage back to where it was taken from."""
        match self.fields.get("x_groq"):
            case {"usage": str(mark)} as groq if mark == TAKEN:
                self.fields["x_groq"] = {**groq, "usage": usage}
            case _:
                self.fields["usage"] = usage


def _thaw(choice: JsonValue) -> JsonValue:
    """A copy of a choice whose delta, and the lists in it, may be written to."""
    if not isinstance(choice, dict):
        return choice
    copied = dict(choice)
    delta = copied.get("delta")
    if isinstance(delta, dict):
        copied["delta"] = {name: [*value] if isinstance(value, list) else value for name, value in delta.items()}
        function = delta.get("function_call")
        if isinstance(function, dict):
            copied["delta"]["function_call"] = dict(function)
    return copied
