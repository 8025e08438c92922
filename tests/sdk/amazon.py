"""Conversations held with boto3: Converse, and InvokeModel with the body that Claude has on Bedrock."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from tests.sdk.questions import DESCRIPTION, Question, Told, result_of
from tests.upstreams.scenarios import (
    DOCUMENT,
    DOCUMENT_TEXT,
    IMAGE,
    IMAGE_TEXT,
    PARAMETERS,
    SCHEMA,
    STOP_SEQUENCE,
    SYSTEM,
)

Boto: TypeAlias = Any
"""boto3 makes its clients' methods at run time."""


class Converse:
    """boto3, converse and converse_stream."""

    cached_inside = False
    echoes_proofs = True

    def __init__(self, client: Boto, model: str) -> None:
        self.client = client
        self.model = model
        self.messages: list[dict[str, Any]] = []
        self.options: dict[str, Any] = {}

    def ask(self, question: Question, *, stream: bool) -> Told:
        blocks: list[dict[str, Any]] = [{"text": question.text}]
        if question.image:
            blocks.append({"image": {"format": "png", "source": {"bytes": IMAGE}}})
        if question.document:
            blocks.append({"document": {"format": "pdf", "name": "a", "source": {"bytes": DOCUMENT}}})
        self.messages.append({"role": "user", "content": blocks})
        settings: dict[str, Any] = {"maxTokens": 4096}
        if question.system:
            self.options["system"] = [{"text": SYSTEM}]
        if question.stop:
            settings["stopSequences"] = [STOP_SEQUENCE]
        if question.tools:
            empty = {"type": "object", "properties": {}}
            specs = [
                {"name": "get_weather", "description": DESCRIPTION, "inputSchema": {"json": PARAMETERS}},
                {"name": "list_cities", "inputSchema": {"json": empty}},
            ]
            self.options["toolConfig"] = {"tools": [{"toolSpec": spec} for spec in specs]}
        if question.schema:
            structure = {"jsonSchema": {"schema": json.dumps(SCHEMA), "name": "weather"}}
            self.options["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": structure}}
        if question.think:
            thinking = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
            self.options["additionalModelRequestFields"] = thinking
        self.options["inferenceConfig"] = settings
        return self._send(stream=stream)

    def _send(self, *, stream: bool) -> Told:
        send = self.client.converse_stream if stream else self.client.converse
        answer = send(modelId=self.model, messages=self.messages, **self.options)
        if stream:
            answer = gathered(answer["stream"])
        content = answer["output"]["message"]["content"]
        self.messages.append({"role": "assistant", "content": content})
        usage = answer["usage"]
        cached = usage.get("cacheReadInputTokens", 0)
        whole = usage["inputTokens"] + usage["outputTokens"] + cached + usage.get("cacheWriteInputTokens", 0)
        assert usage["totalTokens"] == whole
        thoughts = [block["reasoningContent"] for block in content if "reasoningContent" in block]
        return Told(
            text="".join(block["text"] for block in content if "text" in block),
            thought="".join(part["reasoningText"].get("text", "") for part in thoughts if "reasoningText" in part),
            calls=[(block["toolUse"]["name"], block["toolUse"]["input"]) for block in content if "toolUse" in block],
            stop=answer["stopReason"],
            prompt=usage["inputTokens"],
            cached=cached,
            output=usage["outputTokens"],
        )

    def give_results(self, *, stream: bool) -> Told:
        calls = [block["toolUse"] for block in self.messages[-1]["content"] if "toolUse" in block]
        results = [
            {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": result_of(call["input"])}]}}
            for call in calls
        ]
        self.messages.append({"role": "user", "content": results})
        return self._send(stream=stream)


def gathered(stream: Boto) -> dict[str, Any]:
    """A stream of Converse as the whole answer would be; also checks the order of its events."""
    blocks: dict[int, dict[str, Any]] = {}
    answer: dict[str, Any] = {}
    arguments: dict[int, str] = {}
    kinds: list[str] = []
    for event in stream:
        [(kind, value)] = event.items()
        kinds.append(kind)
        match kind:
            case "contentBlockStart":
                blocks[value["contentBlockIndex"]] = {"toolUse": dict(value["start"]["toolUse"])}
                arguments[value["contentBlockIndex"]] = ""
            case "contentBlockDelta":
                _grow(blocks, arguments, value["contentBlockIndex"], value["delta"])
            case "messageStop":
                answer["stopReason"] = value["stopReason"]
            case "metadata":
                answer["usage"] = value["usage"]
            case _:
                pass
    assert kinds[0] == "messageStart"
    assert kinds[-2:] == ["messageStop", "metadata"]
    for index, text in arguments.items():
        blocks[index]["toolUse"]["input"] = json.loads(text or "{}")
    content = [blocks[index] for index in sorted(blocks)]
    return {**answer, "output": {"message": {"role": "assistant", "content": content}}}


def _grow(blocks: dict[int, dict[str, Any]], arguments: dict[int, str], index: int, delta: dict[str, Any]) -> None:
    if "text" in delta:
        block = blocks.setdefault(index, {"text": ""})
        block["text"] += delta["text"]
    elif "toolUse" in delta:
        arguments[index] += delta["toolUse"]["input"]
    elif "redactedContent" in delta["reasoningContent"]:
        blocks[index] = {"reasoningContent": {"redactedContent": delta["reasoningContent"]["redactedContent"]}}
    else:
        block = blocks.setdefault(index, {"reasoningContent": {"reasoningText": {"text": ""}}})
        thought = block["reasoningContent"]["reasoningText"]
        for name in ("text", "signature"):
            if name in delta["reasoningContent"]:
                thought[name] = thought.get(name, "") + delta["reasoningContent"][name]


class Invoke:
    """boto3, invoke_model and invoke_model_with_response_stream, in Claude's words."""

    cached_inside = False
    echoes_proofs = True

    def __init__(self, client: Boto, model: str) -> None:
        self.client = client
        self.model = model
        self.body: dict[str, Any] = {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 4096,
            "messages": [],
        }

    def ask(self, question: Question, *, stream: bool) -> Told:
        body = self.body
        blocks: list[dict[str, Any]] = [{"type": "text", "text": question.text}]
        if question.image:
            source = {"type": "base64", "media_type": "image/png", "data": IMAGE_TEXT}
            blocks.append({"type": "image", "source": source})
        if question.document:
            source = {"type": "base64", "media_type": "application/pdf", "data": DOCUMENT_TEXT}
            blocks.append({"type": "document", "source": source})
        body["messages"].append({"role": "user", "content": blocks})
        if question.system:
            body["system"] = SYSTEM
        if question.stop:
            body["stop_sequences"] = [STOP_SEQUENCE]
        if question.tools:
            body["tools"] = [
                {"name": "get_weather", "description": DESCRIPTION, "input_schema": PARAMETERS},
                {"name": "list_cities", "input_schema": {"type": "object", "properties": {}}},
            ]
        if question.schema:
            body["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        if question.think:
            body["thinking"] = {"type": "enabled", "budget_tokens": 2048}
        return self._send(stream=stream)

    def _send(self, *, stream: bool) -> Told:
        body = json.dumps(self.body)
        if stream:
            answer = self.client.invoke_model_with_response_stream(modelId=self.model, body=body)
            message = _gathered_chunks(answer["body"])
        else:
            message = json.loads(self.client.invoke_model(modelId=self.model, body=body)["body"].read())
        content = message["content"]
        self.body["messages"].append({"role": "assistant", "content": content})
        return Told(
            text="".join(block["text"] for block in content if block["type"] == "text"),
            thought="".join(block["thinking"] for block in content if block["type"] == "thinking"),
            calls=[(block["name"], block["input"]) for block in content if block["type"] == "tool_use"],
            stop=message["stop_reason"],
            prompt=message["usage"]["input_tokens"],
            cached=message["usage"].get("cache_read_input_tokens"),
            output=message["usage"]["output_tokens"],
        )

    def give_results(self, *, stream: bool) -> Told:
        calls = [block for block in self.body["messages"][-1]["content"] if block["type"] == "tool_use"]
        results = [
            {"type": "tool_result", "tool_use_id": call["id"], "content": result_of(call["input"])} for call in calls
        ]
        self.body["messages"].append({"role": "user", "content": results})
        return self._send(stream=stream)


def _gathered_chunks(stream: Boto) -> dict[str, Any]:
    message: dict[str, Any] = {}
    arguments: dict[int, str] = {}
    kinds: list[str] = []
    for event in stream:
        value = json.loads(event["chunk"]["bytes"])
        kinds.append(value["type"])
        match value["type"]:
            case "message_start":
                message = value["message"]
            case "content_block_start":
                message["content"].append(value["content_block"])
                if value["content_block"]["type"] == "tool_use":
                    arguments[value["index"]] = ""
            case "content_block_delta":
                delta = value["delta"]
                if delta["type"] == "input_json_delta":
                    arguments[value["index"]] += delta["partial_json"]
                    continue
                name = delta["type"].removesuffix("_delta")
                block = message["content"][value["index"]]
                block[name] = block.get(name, "") + delta[name]
            case "message_delta":
                message.update(value["delta"])
                message["usage"].update(value["usage"])
            case _:
                pass
    assert kinds[-1] == "message_stop"
    for index, text in arguments.items():
        message["content"][index]["input"] = json.loads(text or "{}")
    return message
