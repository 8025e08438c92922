"""Conversations held with the clients of OpenAI and Anthropic."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
from anthropic.lib.bedrock import AnthropicBedrock
from anthropic.lib.vertex import AnthropicVertex
from openai.types.responses import Response

from tests.sdk.questions import DESCRIPTION, Question, Told, result_of
from tests.upstreams.scenarios import (
    DOCUMENT_TEXT,
    IMAGE_TEXT,
    PARAMETERS,
    SCHEMA,
    STOP_SEQUENCE,
    SYSTEM,
)


class Chat:
    """openai, Chat Completions."""

    cached_inside = True
    echoes_proofs = False

    def __init__(self, client: openai.OpenAI, model: str) -> None:
        self.client = client
        self.model = model
        self.messages: list[Any] = []
        self.options: dict[str, Any] = {}

    def ask(self, question: Question, *, stream: bool) -> Told:
        if question.system:
            self.messages.append({"role": "system", "content": SYSTEM})
        parts: list[dict[str, Any]] = [{"type": "text", "text": question.text}]
        if question.image:
            parts.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE_TEXT}"}})
        if question.document:
            data = f"data:application/pdf;base64,{DOCUMENT_TEXT}"
            parts.append({"type": "file", "file": {"filename": "a.pdf", "file_data": data}})
        self.messages.append({"role": "user", "content": parts if len(parts) > 1 else question.text})
        if question.tools:
            functions = [
                {"name": "get_weather", "description": DESCRIPTION, "parameters": PARAMETERS},
                {"name": "list_cities", "parameters": {"type": "object", "properties": {}}},
            ]
            self.options["tools"] = [{"type": "function", "function": function} for function in functions]
        if question.schema:
            shape = {"name": "weather", "schema": SCHEMA, "strict": True}
            self.options["response_format"] = {"type": "json_schema", "json_schema": shape}
        if question.stop:
            self.options["stop"] = [STOP_SEQUENCE]
        if question.think:
            self.options["reasoning_effort"] = "medium"
        return self._send(stream=stream)

    def _send(self, *, stream: bool) -> Told:
        if stream:
            with self.client.chat.completions.stream(
                model=self.model, messages=self.messages, stream_options={"include_usage": True}, **self.options
            ) as events:
                for _ in events:
                    pass
                try:
                    completion = events.get_final_completion()
                except openai.LengthFinishReasonError as cut:
                    completion = cut.completion
        else:
            completion = self.client.chat.completions.create(model=self.model, messages=self.messages, **self.options)
        choice = completion.choices[0]
        calls = [call for call in choice.message.tool_calls or [] if call.type == "function"]
        self.messages.append({"role": "assistant", "content": choice.message.content})
        if calls:
            self.messages[-1]["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
                for call in calls
            ]
        usage = completion.usage
        assert usage is not None
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        inside, outside = usage.prompt_tokens_details, usage.completion_tokens_details
        return Told(
            text=choice.message.content or "",
            calls=[(call.function.name, json.loads(call.function.arguments)) for call in calls],
            stop=choice.finish_reason,
            prompt=usage.prompt_tokens,
            cached=None if inside is None else inside.cached_tokens,
            output=usage.completion_tokens,
            reasoning=None if outside is None else outside.reasoning_tokens,
        )

    def give_results(self, *, stream: bool) -> Told:
        for call in self.messages[-1]["tool_calls"]:
            text = result_of(json.loads(call["function"]["arguments"]))
            self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})
        return self._send(stream=stream)


class Responses:
    """openai, Responses, with the whole conversation in `input`."""

    cached_inside = True
    echoes_proofs = True

    def __init__(self, client: openai.OpenAI, model: str) -> None:
        self.client = client
        self.model = model
        self.items: list[Any] = []
        self.options: dict[str, Any] = {"store": False}
        self.calls: list[Any] = []

    def ask(self, question: Question, *, stream: bool) -> Told:
        if question.system:
            self.options["instructions"] = SYSTEM
        parts: list[dict[str, Any]] = [{"type": "input_text", "text": question.text}]
        if question.image:
            url = f"data:image/png;base64,{IMAGE_TEXT}"
            parts.append({"type": "input_image", "image_url": url, "detail": "auto"})
        if question.document:
            data = f"data:application/pdf;base64,{DOCUMENT_TEXT}"
            parts.append({"type": "input_file", "filename": "a.pdf", "file_data": data})
        self.items.append({"role": "user", "content": parts if len(parts) > 1 else question.text})
        if question.tools:
            weather = {"name": "get_weather", "description": DESCRIPTION, "parameters": PARAMETERS}
            cities = {"name": "list_cities", "parameters": {"type": "object", "properties": {}}}
            self.options["tools"] = [
                {"type": "function", "strict": False, **function} for function in (weather, cities)
            ]
        if question.schema:
            shape = {"type": "json_schema", "name": "weather", "schema": SCHEMA, "strict": True}
            self.options["text"] = {"format": shape}
        if question.think:
            self.options["reasoning"] = {"effort": "medium", "summary": "auto"}
            self.options["include"] = ["reasoning.encrypted_content"]
        return self._send(stream=stream)

    def _send(self, *, stream: bool) -> Told:
        if stream:
            response = self._streamed()
        else:
            response = self.client.responses.create(model=self.model, input=self.items, **self.options)
        self.items.extend(item.to_dict(exclude_none=True) for item in response.output)
        for item in self.items:
            item.pop("parsed", None)
            item.pop("parsed_arguments", None)
            for part in item.get("content") or []:
                if isinstance(part, dict):
                    part.pop("parsed", None)
        self.calls = [item for item in response.output if item.type == "function_call"]
        thoughts = [item for item in response.output if item.type == "reasoning"]
        usage = response.usage
        assert usage is not None
        incomplete = response.incomplete_details
        return Told(
            text=response.output_text,
            thought="".join(part.text for item in thoughts for part in item.summary)
            or "".join(part.text for item in thoughts for part in item.content or []),
            calls=[(item.name, json.loads(item.arguments)) for item in self.calls],
            stop=f"{response.status}" if incomplete is None else f"{response.status}:{incomplete.reason}",
            prompt=usage.input_tokens,
            cached=usage.input_tokens_details.cached_tokens,
            output=usage.output_tokens,
            reasoning=usage.output_tokens_details.reasoning_tokens,
        )

    def _streamed(self) -> Response:
        with self.client.responses.stream(model=self.model, input=self.items, **self.options) as events:
            for event in events:
                if event.type == "response.incomplete":
                    return event.response  # the helper knows only `response.completed` as an end
            return events.get_final_response()

    def give_results(self, *, stream: bool) -> Told:
        for call in self.calls:
            output = result_of(json.loads(call.arguments))
            self.items.append({"type": "function_call_output", "call_id": call.call_id, "output": output})
        return self._send(stream=stream)


class Messages:
    """anthropic, Messages; its Bedrock and Vertex clients as well."""

    cached_inside = False
    echoes_proofs = True

    def __init__(self, client: anthropic.Anthropic | AnthropicBedrock | AnthropicVertex, model: str) -> None:
        self.client = client
        self.model = model
        self.messages: list[Any] = []
        self.options: dict[str, Any] = {"max_tokens": 4096}
        self.calls: list[Any] = []

    def ask(self, question: Question, *, stream: bool) -> Told:
        if question.system:
            self.options["system"] = SYSTEM
        blocks: list[dict[str, Any]] = [{"type": "text", "text": question.text}]
        if question.image:
            source = {"type": "base64", "media_type": "image/png", "data": IMAGE_TEXT}
            blocks.append({"type": "image", "source": source})
        if question.document:
            source = {"type": "base64", "media_type": "application/pdf", "data": DOCUMENT_TEXT}
            blocks.append({"type": "document", "source": source})
        self.messages.append({"role": "user", "content": blocks if len(blocks) > 1 else question.text})
        if question.tools:
            self.options["tools"] = [
                {"name": "get_weather", "description": DESCRIPTION, "input_schema": PARAMETERS},
                {"name": "list_cities", "input_schema": {"type": "object", "properties": {}}},
            ]
        if question.schema:
            self.options["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        if question.stop:
            self.options["stop_sequences"] = [STOP_SEQUENCE]
        if question.think:
            self.options["thinking"] = {"type": "enabled", "budget_tokens": 2048}
        return self._send(stream=stream)

    def _send(self, *, stream: bool) -> Told:
        if stream:
            with self.client.messages.stream(model=self.model, messages=self.messages, **self.options) as events:
                for _ in events:
                    pass
                message = events.get_final_message()
        else:
            message = self.client.messages.create(model=self.model, messages=self.messages, **self.options)
        self.messages.append(
            {"role": "assistant", "content": [block.to_dict(exclude_none=True) for block in message.content]}
        )
        for block in self.messages[-1]["content"]:
            block.pop("parsed_output", None)
        self.calls = [block for block in message.content if block.type == "tool_use"]
        return Told(
            text="".join(block.text for block in message.content if block.type == "text"),
            thought="".join(block.thinking for block in message.content if block.type == "thinking"),
            calls=[(block.name, block.input) for block in self.calls],
            stop=message.stop_reason or "",
            prompt=message.usage.input_tokens,
            cached=message.usage.cache_read_input_tokens,
            output=message.usage.output_tokens,
        )

    def give_results(self, *, stream: bool) -> Told:
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": result_of(call.input)} for call in self.calls
        ]
        self.messages.append({"role": "user", "content": results})
        return self._send(stream=stream)
