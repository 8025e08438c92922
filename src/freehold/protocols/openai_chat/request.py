"""Requests: a chat to continue, or the models to list."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import parse_qs, quote, unquote, urlencode

from freehold.ir import Extra, Fields, Generate, JsonObject, ListModels, Losses, parse_object, write_json
from freehold.ir.fields import BOOLEAN, INTEGER, NUMBER, STRING, Plain
from freehold.protocols.codec import Dialect, Encoded, Headers, Unsupported, WireRequest
from freehold.protocols.openai_chat.language import LANGUAGE, NAME, SPELLING, native, repeat_plain, unpack
from freehold.protocols.openai_chat.messages import MessageWriter, decode_messages
from freehold.protocols.openai_chat.options import (
    take_output_format,
    take_reasoning_options,
    take_tool_choice,
    take_tools,
    write_output_format,
    write_reasoning_options,
    write_tool_choice,
    write_tools,
)

PATH = "/v1/chat/completions"
MODELS = "/v1/models"

HEADERS = frozenset({"openai-beta"})
"""The protocol's own headers, passed on to servers that speak it."""

MAX_STOPS = 4
"""OpenAI takes up to four stop sequences."""

# --- Reading ----------------------------------------------------------------------------------------------------------


def decode_request(wire: WireRequest) -> Generate | ListModels:
    """Raises CallerError, or Unsupported for another path."""
    path = wire.path.rstrip("/")
    if path.endswith("/chat/completions"):
        return _decode_generate(parse_object(wire.body), wire.headers)
    if wire.method == "GET" and (listing := decode_listing(path, wire.query)) is not None:
        return listing
    raise Unsupported(f"{NAME} does not speak {wire.method} {wire.path}")


def decode_listing(path: str, query: str) -> ListModels | None:
    """`GET …/models` or `…/models/{id}`; None for any other path."""
    _, found, model = path.partition("/models")
    if not found or (model and not model.startswith("/")):
        return None
    options = parse_qs(query)
    limit = options.get("limit", [""])[0]
    return ListModels(
        origin=NAME,
        model=unquote(model.strip("/")) or None,
        limit=int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 10 else None,
        after=options.get("after", [None])[0],
    )


def _decode_generate(body: JsonObject, headers: Headers) -> Generate:
    fields = Fields(body, LANGUAGE)
    messages = decode_messages(fields)
    stream = fields.take_constant("stream", value=True)
    settings = fields.take_plain(_PLAIN)
    for name, canonical in _OTHER_NAMES:
        # The usual name wins; another one alone is remembered as the spelling.
        if canonical not in settings and (value := fields.take_int(name)) is not None:
            settings[canonical] = value
            fields.put_back(SPELLING + canonical, name)
    if fields.holds_any(_COMPOSED):
        settings.update(_take_composed(fields))
    return Generate(
        origin=NAME,
        model=settings.pop("model", ""),
        messages=messages,
        stream=stream,
        headers=_own_headers(headers) if headers else None,
        extra=fields.mark(),
        **settings,
    )


_PLAIN: Plain = {
    "model": ("model", STRING),
    "parallel_tool_calls": ("parallel_tools", BOOLEAN),
    "max_completion_tokens": ("max_output_tokens", INTEGER),
    "temperature": ("temperature", NUMBER),
    "top_p": ("top_p", NUMBER),
    "top_k": ("top_k", INTEGER),
    "seed": ("seed", INTEGER),
    "frequency_penalty": ("frequency_penalty", NUMBER),
    "presence_penalty": ("presence_penalty", NUMBER),
    "n": ("candidates", INTEGER),
    "user": ("user", STRING),
}

_OTHER_NAMES = (("max_tokens", "max_output_tokens"), ("random_seed", "seed"))
"""Older names, and Mistral's."""

_COMPOSED = frozenset(
    {
        "function_call",
        "functions",
        "reasoning",
        "reasoning_effort",
        "response_format",
        "stop",
        "stream_options",
        "thinking",
        "tool_choice",
        "tools",
    }
)
"""Fields with forms or spellings to tell apart, read by `_take_composed`."""


def _take_composed(fields: Fields) -> dict[str, Any]:
    """Fields with forms to tell apart."""
    return {
        "stream_usage": _take_stream_usage(fields),
        "tools": tuple(take_tools(fields)),
        "tool_choice": take_tool_choice(fields),
        "stop": _take_stop(fields),
        "output_format": take_output_format(fields),
        "reasoning": take_reasoning_options(fields),
    }


def _take_stream_usage(fields: Fields) -> bool | None:
    inner = unpack(fields, "stream_options")
    if inner is None:
        return None
    wanted = inner.take_bool("include_usage")
    fields.put_back("stream_options", inner.mark().fields)
    return wanted


def _take_stop(fields: Fields) -> tuple[str, ...]:
    match fields.peek("stop"):
        case str(stop) if stop:
            fields.take("stop")
            fields.put_back(f"{SPELLING}stop", "string")
            return (stop,)
        case [*stops] if stops and all(isinstance(stop, str) for stop in stops):
            fields.take("stop")
            return tuple(str(stop) for stop in stops)
        case _:
            return ()


def _own_headers(headers: Headers) -> Extra | None:
    own: JsonObject = {name: value for name, value in headers if name in HEADERS}
    return Extra(LANGUAGE, own) if own else None


# --- Writing ----------------------------------------------------------------------------------------------------------


def encode_request(request: Generate, dialect: Dialect) -> Encoded[WireRequest]:
    """The request in this protocol, losses beside it."""
    losses = Losses()
    body = _Body(request, dialect, losses).write()
    headers = _write_headers(request.headers, losses)
    wire = WireRequest(path=PATH, body=write_json(body), headers=headers, model=request.model, stream=request.stream)
    return Encoded(wire, losses.done())


def encode_listing(request: ListModels) -> Encoded[WireRequest]:
    """`GET /v1/models`, or one of them."""
    losses = Losses()
    losses.drop_extra(request.extra, "")
    options = {"limit": request.limit, "after": request.after}
    query = urlencode({name: value for name, value in options.items() if value is not None})
    path = MODELS if request.model is None else f"{MODELS}/{quote(request.model, safe=':@')}"
    wire = WireRequest(path=path, body=b"", method="GET", query=query, operation="list", model=request.model or "")
    return Encoded(wire, losses.done())


def _write_headers(headers: Extra | None, losses: Losses) -> Headers:
    own = native(headers)
    if own is None:
        losses.drop_extra(headers, "headers")
        return ()
    return tuple((name, str(value)) for name, value in own.items())


class _Body:
    """The body of one request being written."""

    def __init__(self, request: Generate, dialect: Dialect, losses: Losses) -> None:
        self._request = request
        self._dialect = dialect
        self._losses = losses
        own = native(request.extra)
        self._native = own is not None
        self._own: JsonObject = {} if own is None else own
        self._body: JsonObject = {}

    def write(self) -> JsonObject:
        request, body, losses = self._request, self._body, self._losses
        if request.model or not self._native:
            body["model"] = request.model
        body["messages"] = MessageWriter(request, self._dialect, losses).write(request.messages)
        self._sampling()
        self._limits()
        write_tools(request, body, losses, cached="cache-control" in self._dialect.flags)
        write_tool_choice(request, body, losses)
        if request.parallel_tools is not None and (self._native or "tools" in body):
            body["parallel_tool_calls"] = request.parallel_tools
        write_output_format(request, body, losses)
        write_reasoning_options(request, body, losses, form=_reasoning_form(self._dialect))
        if request.user is not None:
            body["user"] = request.user
        self._streaming()
        self._rest()
        return body

    def _sampling(self) -> None:
        request = self._request
        self._number("temperature", request.temperature, 0, 2)
        self._number("top_p", request.top_p, 0, 1)
        self._number("frequency_penalty", request.frequency_penalty, -2, 2)
        self._number("presence_penalty", request.presence_penalty, -2, 2)
        if request.top_k is not None:
            if self._native or "top-k" in self._dialect.flags:
                self._body["top_k"] = request.top_k
            else:
                self._losses.add("top_k", "dropped", "behaviour", "Chat Completions has no top_k")
        if request.seed is not None:
            self._body[self._spelled("seed", "seed")] = request.seed

    def _number(self, name: str, value: float | None, least: float, most: float) -> None:
        if value is None:
            return
        within = value if self._native else min(max(value, least), most)
        if within != value:
            self._losses.add(name, "clamped", "behaviour", f"{value} is outside of {least} to {most}")
        self._body[name] = within

    def _limits(self) -> None:
        request = self._request
        if request.max_output_tokens is not None:
            usual = "max_tokens" if "max-tokens" in self._dialect.flags else "max_completion_tokens"
            self._body[self._spelled("max_output_tokens", usual)] = request.max_output_tokens
        if request.candidates is not None:
            self._body["n"] = request.candidates
        stops = request.stop
        if not stops:
            return
        if len(stops) > MAX_STOPS and not self._native:
            self._losses.add("stop", "clamped", "behaviour", f"only the first {MAX_STOPS} stop sequences are kept")
            stops = stops[:MAX_STOPS]
        as_string = len(stops) == 1 and self._spelled("stop", "") == "string"
        self._body["stop"] = stops[0] if as_string else [*stops]

    def _spelled(self, name: str, usual: str) -> str:
        """Under which name this body had a field, or the usual one."""
        spelled = self._own.get(SPELLING + name)
        return spelled if isinstance(spelled, str) else usual

    def _streaming(self) -> None:
        request = self._request
        if request.stream:
            self._body["stream"] = True
        own = self._own.get("stream_options")
        options: JsonObject = dict(own) if isinstance(own, dict) else {}
        if request.stream_usage is not None and (request.stream or self._native):
            options["include_usage"] = request.stream_usage
        if options or isinstance(own, dict):
            self._body["stream_options"] = options

    def _rest(self) -> None:
        if self._native:
            repeat_plain(self._own, self._body)
        else:
            self._losses.drop_extra(self._request.extra, "")


def _reasoning_form(dialect: Dialect) -> Literal["effort", "reasoning", "thinking"]:
    if "reasoning-form:reasoning" in dialect.flags:
        return "reasoning"
    return "thinking" if "reasoning-form:thinking" in dialect.flags else "effort"
