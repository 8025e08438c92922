"""Complete answers, and lists of models."""

from __future__ import annotations

from typing import assert_never

from freehold.errors import CallerError
from freehold.ir import (
    Choice,
    Embeddings,
    Fields,
    Finish,
    FinishKind,
    JsonObject,
    JsonValue,
    ListModels,
    Losses,
    Model,
    ModelList,
    Part,
    Request,
    Response,
    Result,
    TokenCount,
    ToolCall,
    parse_object,
    write_json,
)
from freehold.ir.fields import INTEGER, STRING, Plain
from freehold.protocols.codec import Encoded, Stamp, Unsupported, WireResponse, garbled
from freehold.protocols.openai_chat.assistant import AssistantWriter, Manner
from freehold.protocols.openai_chat.content import repeat_or_drop
from freehold.protocols.openai_chat.language import (
    ELSEWHERE,
    LANGUAGE,
    NAME,
    keep_inner,
    native,
    repeat_inner,
    repeat_plain,
)
from freehold.protocols.openai_chat.names import give_back, own_names
from freehold.protocols.openai_chat.parts import take_assistant_parts
from freehold.protocols.openai_chat.usage import decode_usage, encode_usage
from freehold.protocols.openai_errors import error_in_success

MESSAGE = "message."
"""Before the names of extras that stood in a choice's message."""

_KINDS: dict[str, FinishKind] = {
    "stop": "stop",
    "eos": "stop",  # Together, Hugging Face
    "eos_token": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",  # Mistral
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "error": "error",
    "abort": "error",  # vLLM
    "insufficient_system_resource": "error",  # DeepSeek
}

_RAW: dict[FinishKind, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "error": "stop",
    "other": "stop",
}


def finish_of(raw: str, *, called: bool) -> Finish:
    """A finish reason by its word and by what was said: calls count more than `stop` (WIRE_FACTS 13)."""
    kind = _KINDS.get(raw, "other")
    if called and kind == "stop":
        kind = "tool_calls"
    return Finish(kind=kind, raw=raw, origin=NAME)


def raw_finish(finish: Finish | None, *, called: bool) -> str:
    """The word for a finish: its own where this language said it, else by what was said."""
    if finish is None:
        return "tool_calls" if called else "stop"
    if finish.origin == NAME and finish.raw is not None:
        return finish.raw
    if called and finish.kind in {"stop", "other", "tool_calls"}:
        return "tool_calls"
    return "stop" if finish.kind == "tool_calls" else _RAW[finish.kind]


def calls_tools(parts: tuple[Part, ...]) -> bool:
    """Whether a client is asked to run a tool."""
    return any(isinstance(part, ToolCall) and not part.hosted for part in parts)


# --- Reading ----------------------------------------------------------------------------------------------------------


def decode_response(wire: WireResponse, request: Request | None) -> Response | ModelList:
    """Raises UpstreamError."""
    try:
        body = parse_object(wire.body)
        error_in_success(body, wire)
        if isinstance(request, ListModels) or (request is None and "choices" not in body):
            return decode_models(body)
        return give_back(_decode_answer(body), own_names(request))
    except CallerError as error:
        raise garbled(NAME, error.message, wire.body) from None


def _decode_answer(body: JsonObject) -> Response:
    fields = Fields(body, LANGUAGE)
    choices = fields.need_list("choices")
    usage = fields.take_object("usage")
    return Response(
        origin=NAME,
        choices=tuple([_decode_choice(choice, at) for at, choice in enumerate(choices)]),
        usage=None if usage is None else decode_usage(usage),
        **fields.take_plain(_PLAIN),
        extra=fields.mark(),
    )


_PLAIN: Plain = {"id": ("id", STRING), "model": ("model", STRING), "created": ("created", INTEGER)}


def _decode_choice(value: JsonValue, at: int) -> Choice:
    fields = Fields(value, LANGUAGE, f"choices[{at}]")
    message = Fields(fields.need_object("message"), LANGUAGE, fields.at("message"))
    parts = tuple(take_assistant_parts(message))
    keep_inner(fields, MESSAGE, message)
    raw = fields.take_str("finish_reason") if fields.peek("finish_reason") else None
    finish = None if raw is None else finish_of(raw, called=calls_tools(parts))
    index = fields.take_int("index")
    if index is None:
        fields.put_back(ELSEWHERE, "index")
    return Choice(parts=parts, finish=finish, index=at if index is None else index, extra=fields.mark())


def decode_models(body: JsonObject) -> ModelList:
    """A list of models, or one of them. Raises CallerError."""
    fields = Fields(body, LANGUAGE)
    if isinstance(body.get("id"), str):
        return ModelList(origin=NAME, models=(_decode_model(body, ""),), single=True)
    rows = fields.need_list("data") if body.get("data") else []
    models = tuple(_decode_model(row, f"data[{at}]") for at, row in enumerate(rows))
    return ModelList(origin=NAME, models=models, extra=fields.mark())


def _decode_model(value: JsonValue, path: str) -> Model:
    fields = Fields(value, LANGUAGE, path)
    return Model(
        id=fields.need_str("id"),
        name=fields.take_str("name"),
        created=fields.take_int("created"),
        owner=fields.take_str("owned_by"),
        context_window=fields.take_int("context_window"),
        extra=fields.mark(),
    )


# --- Writing ----------------------------------------------------------------------------------------------------------


def encode_response(result: Result, stamp: Stamp) -> Encoded[WireResponse]:
    """A complete answer. Raises Unsupported."""
    losses = Losses()
    match result:
        case Response():
            body = _write_answer(result, stamp, losses)
        case ModelList():
            body = write_models(result, losses)
        case Embeddings() | TokenCount():
            raise Unsupported(f"{NAME} has no {type(result).__name__}")
        case _:
            assert_never(result)
    headers = (("content-type", "application/json"), ("x-request-id", stamp.id))
    return Encoded(WireResponse(status=200, body=write_json(body), headers=headers), losses.done())


def _write_answer(response: Response, stamp: Stamp, losses: Losses) -> JsonObject:
    fields = native(response.extra)
    body: JsonObject = envelope(response, stamp, "chat.completion")
    names = CallNames(stamp)
    body["choices"] = [
        _write_choice(choice, f"choices[{at}]", stamp, names, losses) for at, choice in enumerate(response.choices)
    ]
    if response.usage is not None:
        body["usage"] = encode_usage(response.usage, losses)
    if fields is not None:
        repeat_plain(fields, body)
    else:
        losses.drop_extra(response.extra, "")
    return body


def envelope(response: Response, stamp: Stamp, kind: str) -> JsonObject:
    """What stands around the choices: ids of another protocol are replaced, and nothing needed is missing."""
    fields = native(response.extra)
    if fields is None:
        return {
            "id": f"chatcmpl-{stamp.id}",
            "object": kind,
            "created": stamp.created if response.created is None else response.created,
            "model": response.model or "",
        }
    body: JsonObject = {}
    if response.id is not None:
        body["id"] = response.id
    if "object" in fields:
        body["object"] = fields["object"] if kind == "chat.completion" else kind
    if response.created is not None:
        body["created"] = response.created
    if response.model is not None:
        body["model"] = response.model
    return body


class CallNames:
    """Ids for the calls that have none, numbered through one answer."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._count = 0

    def __call__(self, call: ToolCall) -> str:
        """The id of the next call."""
        self._count += 1
        if call.id or native(call.extra) is not None:
            return call.id
        return f"call_{self._stamp.id}_{self._count}"


def spoken_answer(stamp: Stamp) -> JsonObject:
    """What an answer's sound has beside its data: OpenAI keeps it an hour."""
    return {"id": f"audio_{stamp.id}", "expires_at": stamp.created + 3600, "transcript": ""}


def _write_choice(choice: Choice, path: str, stamp: Stamp, names: CallNames, losses: Losses) -> JsonObject:
    fields = native(choice.extra)
    manner = Manner(reasoning="reasoning_content", audio=spoken_answer(stamp))
    writer = AssistantWriter(losses, manner, names)
    writer.add(choice.parts, path)
    said = writer.done()
    written: JsonObject = {"index": choice.index}
    if fields is None:
        losses.drop_extra(choice.extra, path)
        written["message"] = {"role": "assistant", "content": None, "refusal": None, **said}
        written["logprobs"] = None
        written["finish_reason"] = raw_finish(choice.finish, called="tool_calls" in said)
        return written
    if ELSEWHERE in fields:
        del written["index"]
    message: JsonObject = {}
    if "message.role" in fields:
        message["role"] = fields["message.role"]
    message.update(said)
    repeat_inner(fields, MESSAGE, message)
    written["message"] = message
    if choice.finish is not None:
        written["finish_reason"] = raw_finish(choice.finish, called="tool_calls" in said)
    repeat_plain(fields, written, (MESSAGE,))
    return written


def write_models(listing: ModelList, losses: Losses) -> JsonObject:
    """A list of models, or the one that was asked for."""
    rows: list[JsonValue] = [_write_model(model, f"models[{at}]", losses) for at, model in enumerate(listing.models)]
    if listing.single and len(rows) == 1 and isinstance(rows[0], dict):
        return rows[0]
    body: JsonObject = {"object": "list", "data": rows}
    if native(listing.extra) is not None:
        body = {"data": rows} if rows else {}
    repeat_or_drop(listing.extra, body, "", losses)
    return body


def _write_model(model: Model, path: str, losses: Losses) -> JsonObject:
    row: JsonObject = {"id": model.id}
    fields = native(model.extra)
    if fields is None:
        losses.drop_extra(model.extra, path)
        row |= {"object": "model", "created": model.created or 0, "owned_by": model.owner or "system"}
        return row
    for name, value in (
        ("created", model.created),
        ("owned_by", model.owner),
        ("name", model.name),
        ("context_window", model.context_window),
    ):
        if value is not None:
            row[name] = value
    repeat_plain(fields, row)
    return row
