"""What Bedrock wants differently from the protocols whose bodies it takes: Messages, Chat Completions, Converse."""

from __future__ import annotations

import re

from freehold.ir import Generate, JsonObject, JsonValue, Losses, write_json
from freehold.protocols.codec import Dialect, Frame

BESIDE = "beside"
"""What is remembered of a body: fields that stand in Bedrock's paths or nowhere."""

VERSION = "bedrock-2023-05-31"
"""`anthropic_version` where the client said none; the only one that Bedrock documents."""

BETAS = frozenset(
    {
        "computer-use-2024-10-22",
        "computer-use-2025-01-24",
        "computer-use-2025-11-24",
        "context-1m-2025-08-07",
        "context-management-2025-06-27",
        "dev-full-thinking-2025-05-14",
        "effort-2025-11-24",
        "fine-grained-tool-streaming-2025-05-14",
        "interleaved-thinking-2025-05-14",
        "output-128k-2025-02-19",
        "token-efficient-tools-2025-02-19",
        "tool-examples-2025-10-29",
        "tool-search-tool-2025-10-19",
    }
)
"""Betas that Bedrock's documentation of Claude lists; it refuses a request with any other."""


_ANTHROPIC_DELTA = re.compile(rb'\{"type":"content_block_delta","index":\d+,"delta":\{"type":"')
_CONVERSE_DELTA = re.compile(rb'(?s)\{"contentBlockIndex":(\d+),"delta":(\{.*\})\}')
_NOVA_DELTA = re.compile(rb'(?s)\{"contentBlockDelta":\{"delta":\{.*\},"contentBlockIndex":\d+\}\}')


def _take(body: JsonObject, names: tuple[str, ...]) -> tuple[JsonObject, JsonObject]:
    """The body without some fields, and these fields under one name, if there are any."""
    beside: JsonObject = {name: body[name] for name in names if name in body}
    bare = {name: value for name, value in body.items() if name not in beside}
    return bare, {BESIDE: beside} if beside else {}


def _beside(own: JsonObject | None) -> JsonObject:
    beside = None if own is None else own.get(BESIDE)
    return beside if isinstance(beside, dict) else {}


class Anthropic:
    """Claude: the Messages API without `model` and `stream`, its version and betas in the body."""

    def path(self, model: str) -> str:  # noqa: ARG002 -- the manner's contract
        """Messages."""
        return "/v1/messages"

    def undress(self, body: JsonObject, model: str, *, stream: bool) -> tuple[JsonObject, JsonObject]:
        """With the model and whether it streams; the version and betas are Bedrock's, Anthropic refuses them here."""
        bare, own = _take(body, ("model", "stream"))
        own |= {name: bare.pop(name) for name in ("anthropic_version", "anthropic_beta") if name in bare}
        bare["model"] = model
        if stream:
            bare["stream"] = True
        return bare, own

    def dress(self, body: JsonObject, request: Generate, own: JsonObject | None, losses: Losses) -> JsonObject:
        """A foreign request's betas come from its headers, as far as Bedrock knows them."""
        body.pop("model", None)
        body.pop("stream", None)
        head: JsonObject = {}
        if own is None:
            head["anthropic_version"] = VERSION
            betas = _betas(request, losses)
            if betas:
                head["anthropic_beta"] = betas
        else:
            head = {name: own[name] for name in ("anthropic_version", "anthropic_beta") if name in own}
        return {**head, **body, **_beside(own)}

    def dress_answer(self, body: JsonObject) -> JsonObject:
        """The same at Bedrock."""
        return body

    def dialect(self, dialect: Dialect, model: str) -> Dialect:  # noqa: ARG002 -- the manner's contract
        """As the provider's data file says it."""
        return dialect

    def to_frame(self, chunk: JsonObject) -> Frame:
        """An event."""
        kind = chunk.get("type")
        return Frame(event=kind if isinstance(kind, str) else None, data=write_json(chunk))

    def from_frame(self, frame: Frame) -> bytes | None:
        """Its data."""
        return frame.data

    def plain_frame(self, payload: bytes) -> Frame | None:
        """Deltas are written as they always come."""
        if _ANTHROPIC_DELTA.match(payload):
            return Frame(event="content_block_delta", data=payload)
        return None


def _betas(request: Generate, losses: Losses) -> list[JsonValue]:
    """Those of the header, and those that Vertex AI has in its body, too."""
    fields = {} if request.headers is None else request.headers.fields
    said, listed = fields.get("anthropic-beta"), fields.get("anthropic_beta")
    found = [*(said.split(",") if isinstance(said, str) else ()), *(listed if isinstance(listed, list) else ())]
    wanted = list(dict.fromkeys(beta.strip() for beta in found if isinstance(beta, str)))
    known: list[JsonValue] = [beta for beta in wanted if beta in BETAS]
    refused = [beta for beta in wanted if beta and beta not in BETAS]
    if refused:
        losses.add("headers.anthropic-beta", "dropped", "behaviour", f"Bedrock knows no {', '.join(refused)}")
    return known


class Chat:
    """Chat Completions without `model` and `stream`."""

    def path(self, model: str) -> str:  # noqa: ARG002 -- the manner's contract
        """Chat Completions."""
        return "/v1/chat/completions"

    def undress(self, body: JsonObject, model: str, *, stream: bool) -> tuple[JsonObject, JsonObject]:
        """With the model and whether it streams."""
        bare, own = _take(body, ("model", "stream"))
        bare["model"] = model
        if stream:
            bare["stream"] = True
        return bare, own

    def dress(self, body: JsonObject, request: Generate, own: JsonObject | None, losses: Losses) -> JsonObject:  # noqa: ARG002 -- the manner's contract
        """Usage comes with every stream, so nobody asks for it."""
        for name in ("model", "stream") if own is not None else ("model", "stream", "stream_options"):
            body.pop(name, None)
        return {**body, **_beside(own)}

    def dress_answer(self, body: JsonObject) -> JsonObject:
        """The same at Bedrock."""
        return body

    def dialect(self, dialect: Dialect, model: str) -> Dialect:
        """Only OpenAI's own models know the newer name of the output limit."""
        if "openai." in model:
            return dialect
        return Dialect(provider=dialect.provider, flags=dialect.flags | {"max-tokens"})

    def to_frame(self, chunk: JsonObject) -> Frame:
        """A chunk."""
        return Frame(data=write_json(chunk))

    def from_frame(self, frame: Frame) -> bytes | None:
        """All but `[DONE]`, which is a habit of server-sent events."""
        return None if frame.data == b"[DONE]" else frame.data

    def plain_frame(self, payload: bytes) -> Frame | None:
        """The other codec keeps the order of a chunk's members, but for the usage, which it writes last."""
        return None if b'"usage"' in payload else Frame(data=payload)


class Nova:
    """Nova: Converse's body with a schema version, and `topK` among the inference parameters."""

    _LIMIT = "max_new_tokens"

    def path(self, model: str) -> str:
        """Converse."""
        return f"/model/{model.replace('/', '%2F')}/converse"

    def undress(self, body: JsonObject, model: str, *, stream: bool) -> tuple[JsonObject, JsonObject]:  # noqa: ARG002 -- the manner's contract
        """Knobs that Converse has elsewhere or by another name are put there."""
        bare, own = _take(body, ("schemaVersion", "model", "stream"))
        config = bare.get("inferenceConfig")
        if not isinstance(config, dict):
            return bare, own
        config = dict(config)
        if isinstance(config.get("topK"), int):
            bare["additionalModelRequestFields"] = {"top_k": config.pop("topK")}
        if isinstance(config.get(self._LIMIT), int) and "maxTokens" not in config:
            config["maxTokens"] = config.pop(self._LIMIT)
            own = {**own, "spelling": self._LIMIT}
        bare["inferenceConfig"] = config
        return bare, own

    def dress(self, body: JsonObject, request: Generate, own: JsonObject | None, losses: Losses) -> JsonObject:  # noqa: ARG002 -- the manner's contract
        """The reverse; reasoning stays where Converse has it, at the top level here."""
        more = body.pop("additionalModelRequestFields", None)
        config = body.get("inferenceConfig")
        known: JsonObject = dict(config) if isinstance(config, dict) else {}
        if isinstance(more, dict):
            top_k = more.pop("top_k", None)
            inner = more.pop("inferenceConfig", None)
            known.update(inner if isinstance(inner, dict) else {} if top_k is None else {"topK": top_k})
            known.update({} if top_k is None else {"topK": top_k})
            body.update({name: value for name, value in more.items() if name not in body})
        if own is not None and own.get("spelling") == self._LIMIT and "maxTokens" in known:
            known[self._LIMIT] = known.pop("maxTokens")
        if known or isinstance(config, dict):
            body["inferenceConfig"] = known
        if own is None:
            body["schemaVersion"] = "messages-v1"
        return {**body, **_beside(own)}

    def dress_answer(self, body: JsonObject) -> JsonObject:
        """Without metrics, which only Converse measures."""
        body.pop("metrics", None)
        return body

    def dialect(self, dialect: Dialect, model: str) -> Dialect:  # noqa: ARG002 -- the manner's contract
        """As the provider's data file says it."""
        return dialect

    def to_frame(self, chunk: JsonObject) -> Frame:
        """A chunk is an object whose one member is the event."""
        if len(chunk) == 1:
            name, value = next(iter(chunk.items()))
            return Frame(event=name, data=write_json(value))
        return Frame(event="", data=write_json(chunk))

    def from_frame(self, frame: Frame) -> bytes | None:
        """The reverse; Nova puts a delta's index last."""
        if not frame.event:
            return frame.data
        delta = _CONVERSE_DELTA.fullmatch(frame.data)
        if delta is not None and frame.event == "contentBlockDelta":
            return b'{"contentBlockDelta":{"delta":%b,"contentBlockIndex":%b}}' % (delta[2], delta[1])
        return b'{"%b":%b}' % (frame.event.encode(), frame.data)

    def plain_frame(self, payload: bytes) -> Frame | None:
        """Deltas are written as they always come."""
        if _NOVA_DELTA.fullmatch(payload):
            return Frame(event="contentBlockDelta", data=payload[len(b'{"contentBlockDelta":') : -1])
        return None
