"""Conversations held with google-genai."""

from __future__ import annotations

from typing import Any

from google import genai
from google.genai import types

from tests.sdk.questions import DESCRIPTION, Question, Told, result_of
from tests.upstreams.scenarios import DOCUMENT, IMAGE, PARAMETERS, SCHEMA, STOP_SEQUENCE, SYSTEM


class GenerateContent:
    """google-genai, generate_content and generate_content_stream, in developer or Vertex mode."""

    cached_inside = True
    echoes_proofs = True

    def __init__(self, client: genai.Client, model: str) -> None:
        self.client = client
        self.model = model
        self.contents: list[types.Content] = []
        self.settings = types.GenerateContentConfig()
        self.calls: list[types.FunctionCall] = []

    def ask(self, question: Question, *, stream: bool) -> Told:
        parts = [types.Part(text=question.text)]
        if question.image:
            parts.append(types.Part.from_bytes(data=IMAGE, mime_type="image/png"))
        if question.document:
            parts.append(types.Part.from_bytes(data=DOCUMENT, mime_type="application/pdf"))
        self.contents.append(types.Content(role="user", parts=parts))
        settings = self.settings
        if question.system:
            settings.system_instruction = SYSTEM
        if question.stop:
            settings.stop_sequences = [STOP_SEQUENCE]
        if question.tools:
            weather = types.FunctionDeclaration(
                name="get_weather", description=DESCRIPTION, parameters_json_schema=PARAMETERS
            )
            cities = types.FunctionDeclaration(name="list_cities")
            settings.tools = [types.Tool(function_declarations=[weather, cities])]
        if question.schema:
            settings.response_mime_type = "application/json"
            settings.response_json_schema = SCHEMA
        if question.think:
            settings.thinking_config = types.ThinkingConfig(include_thoughts=True, thinking_budget=2048)
        return self._send(stream=stream)

    def _send(self, *, stream: bool) -> Told:
        asked: dict[str, Any] = {"model": self.model, "contents": self.contents, "config": self.settings}
        models = self.client.models
        chunks = list(models.generate_content_stream(**asked)) if stream else [models.generate_content(**asked)]
        parts: list[types.Part] = []
        for chunk in chunks:
            for candidate in chunk.candidates or []:
                if candidate.content is not None:
                    parts.extend(candidate.content.parts or [])
        self.contents.append(types.Content(role="model", parts=parts))
        self.calls = [part.function_call for part in parts if part.function_call is not None]
        last = chunks[-1]
        usage = last.usage_metadata
        assert usage is not None
        assert last.candidates
        reason = last.candidates[0].finish_reason
        thoughts = usage.thoughts_token_count or 0
        return Told(
            text="".join(part.text for part in parts if part.text and not part.thought),
            thought="".join(part.text for part in parts if part.text and part.thought),
            calls=[(call.name or "", call.args or {}) for call in self.calls],
            stop="" if reason is None else reason.value,
            prompt=usage.prompt_token_count,
            cached=usage.cached_content_token_count,
            output=(usage.candidates_token_count or 0) + thoughts,
            reasoning=thoughts,
        )

    def give_results(self, *, stream: bool) -> Told:
        answers = [
            types.FunctionResponse(id=call.id, name=call.name, response={"output": result_of(call.args or {})})
            for call in self.calls
        ]
        parts = [types.Part(function_response=answer) for answer in answers]
        self.contents.append(types.Content(role="user", parts=parts))
        return self._send(stream=stream)
