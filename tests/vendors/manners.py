"""What the real APIs refuse although their types allow it: order, pairing, alphabets, empty words."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Any

from tests.vendors.typed import Problem

JsonObject = dict[str, Any]


def anthropic(body: JsonObject) -> list[Problem]:
    """Messages: turns alternate, words are not blank, every call is answered at once and by its id."""
    found = [*_alternation(body["messages"]), *_names(body.get("tools", []), r"[a-zA-Z0-9_-]{1,128}")]
    asked: list[str] = []
    for index, message in enumerate(body["messages"]):
        path = f"$.messages[{index}]"
        blocks = _blocks(message["content"])
        found += _no_blank_text(blocks, path)
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        found += _answered(asked, results, path)
        kinds = [block["type"] == "tool_result" for block in blocks]
        if kinds != sorted(kinds, reverse=True):
            found.append(Problem(path, "tool results must come first"))
        asked = [block["id"] for block in blocks if block["type"] == "tool_use"]
        found += _alphabet(asked, r"[a-zA-Z0-9_-]+", path)
        for block in blocks:
            if block["type"] == "tool_result":
                found += _no_blank_text(_blocks(block.get("content") or []), f"{path}.tool_result")
    if body["messages"] and body["messages"][-1]["role"] == "assistant":
        found += _unended(body["messages"][-1])
    found += _no_blank_text(_blocks(body.get("system") or []), "$.system")
    return found + _anthropic_settings(body)


def _unended(message: JsonObject) -> list[Problem]:
    blocks = _blocks(message["content"])
    text = blocks[-1].get("text", "") if blocks else ""
    return [Problem("$.messages[-1]", "a prefill may not end in white space")] if text != text.rstrip() else []


def _anthropic_settings(body: JsonObject) -> list[Problem]:
    found: list[Problem] = []
    thinking = body.get("thinking", {"type": "disabled"})
    choice = body.get("tool_choice", {"type": "auto"})
    if "tool_choice" in body and not body.get("tools"):
        found.append(Problem("$.tool_choice", "there are no tools"))
    if not 0 <= body.get("temperature", 1) <= 1:
        found.append(Problem("$.temperature", f"{body['temperature']} is not within 0 and 1"))
    if body.get("max_tokens", 1) < 1:
        found.append(Problem("$.max_tokens", "must be at least 1"))
    if thinking["type"] == "enabled":
        if not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
            found.append(Problem("$.thinking.budget_tokens", f"{thinking} with max_tokens {body['max_tokens']}"))
        if body.get("temperature", 1) != 1 or "top_k" in body:
            found.append(Problem("$.temperature", "thinking allows none, nor top_k"))
        if choice["type"] in {"any", "tool"}:
            found.append(Problem("$.tool_choice", "thinking allows no forced tool"))
    return found


def converse(body: JsonObject) -> list[Problem]:
    """Converse: as Anthropic, begun by the user; tools are declared where they are used; documents have plain names."""
    messages = body.get("messages", [])
    found = [] if not messages or messages[0]["role"] == "user" else [Problem("$.messages", "the user must begin")]
    found += _alternation(messages)
    asked: list[str] = []
    uses_tools = False
    for index, message in enumerate(messages):
        path = f"$.messages[{index}]"
        found += [
            Problem(path, "a text is blank")
            for block in message["content"]
            if "text" in block and not block["text"].strip()
        ]
        results = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        found += _answered(asked, results, path)
        asked = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
        uses_tools = uses_tools or bool(asked or results)
        documents = [block["document"]["name"] for block in message["content"] if "document" in block]
        found += _alphabet(documents, r"(?!.*\s\s)[a-zA-Z0-9 ()\[\]-]{1,200}", path)
        if documents and not any("text" in block for block in message["content"]):
            found.append(Problem(path, "a document needs a text beside it"))
        if len(set(documents)) != len(documents):
            found.append(Problem(path, "two documents have one name"))
    if uses_tools and not body.get("toolConfig", {}).get("tools"):
        found.append(Problem("$.toolConfig", "tools are used but not declared"))
    tools = [tool["toolSpec"] for tool in body.get("toolConfig", {}).get("tools", []) if "toolSpec" in tool]
    return found + _names(tools, r"[a-zA-Z0-9_-]{1,64}")


def gemini(body: JsonObject) -> list[Problem]:
    """Gemini: the user begins, no turn is empty, and the turn after calls answers as many as were made."""
    found: list[Problem] = []
    contents = body.get("contents", [])
    if contents and contents[0].get("role", "user") != "user":
        found.append(Problem("$.contents[0]", "the user must begin"))
    calls = 0
    for index, content in enumerate(contents):
        path = f"$.contents[{index}]"
        if not content.get("parts"):
            found.append(Problem(path, "has no parts"))
        if content.get("role") not in {None, "user", "model"}:
            found.append(Problem(path, f"{content['role']} is no role"))
        found += [Problem(path, "a part is empty") for part in content.get("parts", []) if not part]
        answers = sum("functionResponse" in part for part in content.get("parts", []))
        if answers != calls:
            found.append(Problem(path, f"answers {answers} of {calls} calls"))
        calls = sum("functionCall" in part for part in content.get("parts", []))
    declared = [tool for group in body.get("tools", []) for tool in group.get("functionDeclarations", [])]
    return found + _names(declared, r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")


def chat(body: JsonObject) -> list[Problem]:
    """Chat Completions: every call is answered by tool messages that follow it, and nothing is said with nothing."""
    found: list[Problem] = []
    open_calls: list[str] = []
    for index, message in enumerate(body["messages"]):
        path = f"$.messages[{index}]"
        if message["role"] == "tool":
            if message["tool_call_id"] in open_calls:
                open_calls.remove(message["tool_call_id"])
            else:
                found.append(Problem(path, f"answers {message['tool_call_id']!r}, which nobody asked"))
            continue
        if open_calls:
            found.append(Problem(path, f"the calls {open_calls} were not answered"))
        calls = message.get("tool_calls", [])
        open_calls = [call["id"] for call in calls]
        found += _alphabet(open_calls, r".{1,40}", path)
        if message["role"] == "assistant" and "tool_calls" in message and not calls:
            found.append(Problem(path, "an empty list of calls"))
        if not calls and message.get("content") in (None, []) and not message.get("refusal"):
            found.append(Problem(path, "says nothing"))
    tools = [tool["function"] for tool in body.get("tools", []) if tool["type"] == "function"]
    found += _names(tools, r"[a-zA-Z0-9_-]{1,64}")
    form = body.get("response_format", {})
    if form.get("type") == "json_schema":
        found += _alphabet([form["json_schema"]["name"]], r"[a-zA-Z0-9_-]{1,64}", "$.response_format")
    return found + _openai_settings(body)


def responses(body: JsonObject) -> list[Problem]:
    """Responses: outputs answer calls that came before, item ids say their kind, call ids stay short."""
    found: list[Problem] = []
    items = body.get("input", [])
    calls: dict[str, bool] = {}
    prefixes = {"message": "msg_", "function_call": "fc_", "reasoning": "rs_"}
    for index, item in enumerate(items if isinstance(items, list) else []):
        path = f"$.input[{index}]"
        kind = item.get("type", "message")
        if "id" in item and kind in prefixes and not item["id"].startswith(prefixes[kind]):
            found.append(Problem(path, f"{item['id']!r} is no id of a {kind}"))
        if kind == "function_call":
            found += _alphabet([item["call_id"]], r".{1,64}", path)
            found += _alphabet([item["name"]], r"[a-zA-Z0-9_-]{1,128}", path)
            calls[item["call_id"]] = False
        if kind == "function_call_output":
            if calls.get(item["call_id"]) is not False:
                found.append(Problem(path, f"answers {item['call_id']!r}, which nobody asked"))
            calls[item["call_id"]] = True
        if kind == "message" and item.get("content") in (None, []):
            found.append(Problem(path, "says nothing"))
    found += [Problem("$.input", f"the call {name!r} was not answered") for name, done in calls.items() if not done]
    tools = [tool for tool in body.get("tools", []) if tool["type"] == "function"]
    found += _names(tools, r"[a-zA-Z0-9_-]{1,64}")
    if body.get("max_output_tokens", 16) < 16:
        found.append(Problem("$.max_output_tokens", f"{body['max_output_tokens']} is less than 16"))
    if not body.get("text", {}).get("format", {}).get("name", "answer"):
        found.append(Problem("$.text.format.name", "is empty"))
    return found + _openai_settings(body)


def _openai_settings(body: JsonObject) -> list[Problem]:
    found: list[Problem] = []
    if not 0 <= (body.get("temperature") or 0) <= 2:
        found.append(Problem("$.temperature", f"{body['temperature']} is not within 0 and 2"))
    if isinstance(body.get("stop"), list) and len(body["stop"]) > 4:
        found.append(Problem("$.stop", "more than four"))
    if "tool_choice" in body and not body.get("tools"):
        found.append(Problem("$.tool_choice", "there are no tools"))
    if "parallel_tool_calls" in body and not body.get("tools"):
        found.append(Problem("$.parallel_tool_calls", "there are no tools"))
    if "stream_options" in body and not body.get("stream"):
        found.append(Problem("$.stream_options", "only for streams"))
    return found


def _alternation(messages: list[JsonObject]) -> list[Problem]:
    pairs = pairwise(messages)
    return [
        Problem(f"$.messages[{index}]", f"two {one['role']} turns in a row")
        for index, (one, other) in enumerate(pairs)
        if one["role"] == other["role"]
    ]


def _blocks(content: str | list[JsonObject]) -> list[JsonObject]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _no_blank_text(blocks: list[JsonObject], path: str) -> list[Problem]:
    if not blocks and not path.endswith(("system", "tool_result")):
        return [Problem(path, "says nothing")]
    return [
        Problem(path, f"a text is blank: {block['text']!r}")
        for block in blocks
        if block["type"] == "text" and not block["text"].strip()
    ]


def _answered(asked: list[str], results: list[str], path: str) -> list[Problem]:
    return [] if Counter(asked) == Counter(results) else [Problem(path, f"{asked} were asked, {results} answered")]


def _alphabet(names: list[str], pattern: str, path: str) -> list[Problem]:
    return [
        Problem(path, f"{name!r:.80} does not match {pattern}") for name in names if not re.fullmatch(pattern, name)
    ]


def _names(tools: list[JsonObject], pattern: str) -> list[Problem]:
    names = [tool["name"] for tool in tools if "name" in tool]
    doubled = [Problem("$.tools", f"{name!r} twice") for name, count in Counter(names).items() if count > 1]
    return [*doubled, *_alphabet(names, pattern, "$.tools")]
