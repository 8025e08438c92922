"""The canonical language: requests, responses and everything inside them, as frozen values.

Words are chosen so that a value means the same in every protocol:

- Messages stay in the order they were said, system and developer messages included.
- `ToolCall.arguments` is JSON *text*, exactly as the model wrote it.
- `Usage.input_tokens` includes cached tokens; `cache_read` and `cache_write` are subsets of it.
  `Usage.output_tokens` includes `reasoning`.
- A field that was not said is None (or empty); codecs never fill in a provider's defaults.
- What a codec did not understand rides along in `extra` and is repeated only by the language that said it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
JsonObject = dict[str, JsonValue]

# --- What rides along, and what got lost ---------------------------------------------------------------------------

LossKind = Literal["dropped", "clamped", "approximated", "moved", "simulated"]
Effect = Literal["content", "behaviour", "accounting", "unknown"]


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a translation could not say in the other language.

    `path` points into the canonical value (`messages[2].parts[0].annotations`); `effect` says what suffers:
    content (what a person or tool said), behaviour (how the model answers), accounting (what is reported about it),
    unknown (an extra that nobody has classified yet).
    """

    path: str
    kind: LossKind
    effect: Effect
    detail: str = ""


class Language(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A wire language as the origin of extras: its name, and what losing each of its known extras would mean.

    `effects` maps a field name (or an opaque value's type) to its effect; None marks bookkeeping that means nothing
    to anybody else (`object`, `id` of an item) and is not a loss. A name that is not listed counts as unknown.
    """

    name: str
    effects: Mapping[str, Effect | None]

    def __repr__(self) -> str:
        return f"Language({self.name!r})"


class Extra(msgspec.Struct, frozen=True):
    """Fields of a wire object that its codec did not take, kept for the same language only.

    An `Extra` with no fields is still a mark that the language wrote an object here where a shorthand exists.
    """

    origin: Language
    fields: JsonObject


class Opaque(msgspec.Struct, frozen=True, kw_only=True):
    """A whole block, tool or item that only its own language understands; `value` is its JSON."""

    origin: Language
    value: JsonObject


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider demands back to trust earlier reasoning: a signature, or encrypted or redacted content.

    `origin` names the language of `value` (its native form), or is `SEALED` when `value` is a seal that stands in
    for a proof of another language.
    """

    origin: str
    value: str


SEALED = "freehold-seal"

# --- Parts -----------------------------------------------------------------------------------------------------------


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """Words. `proof` is set where a provider signs plain text (Gemini)."""

    text: str
    proof: Proof | None = None
    extra: Extra | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Words by which the model declined."""

    text: str
    extra: Extra | None = None


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """The model's thinking: readable text (may be empty), and the proof that must return byte for byte.

    `redacted` marks thinking whose only content is the proof (Anthropic `redacted_thinking`).
    """

    text: str
    proof: Proof | None = None
    redacted: bool = False
    extra: Extra | None = None


class Inline(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes in the message; `data` is standard base64."""

    data: str


class PlainText(msgspec.Struct, frozen=True, kw_only=True):
    """A document given as its text."""

    text: str


class Url(msgspec.Struct, frozen=True, kw_only=True):
    """An address that the provider fetches: http(s), s3, gs."""

    url: str


class FileId(msgspec.Struct, frozen=True, kw_only=True):
    """A file that lies at the provider; meaningless anywhere else."""

    id: str


MediaKind = Literal["image", "audio", "video", "document"]


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """An image, sound, film or document. `media_type` is a MIME type where known; `name` a file name or title."""

    kind: MediaKind
    source: Inline | PlainText | Url | FileId
    media_type: str | None = None
    name: str | None = None
    proof: Proof | None = None
    extra: Extra | None = None


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """The model asks for a tool. `id` is "" where the protocol gave none; `arguments` is JSON text ("" = no arguments).

    `hosted` marks a tool that the provider runs itself: no client may be asked to run it.
    """

    id: str
    name: str
    arguments: str
    hosted: bool = False
    proof: Proof | None = None
    extra: Extra | None = None


class Structured(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON value that a tool returned as such, not as text."""

    value: JsonValue
    extra: Extra | None = None


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the tool of call `call_id` gave back. `name` is known only where the protocol says it (Gemini)."""

    call_id: str
    parts: tuple[Text | Media | Structured | CachePoint | Opaque, ...]
    name: str | None = None
    is_error: bool | None = None
    extra: Extra | None = None


class CachePoint(msgspec.Struct, frozen=True, kw_only=True):
    """Everything before this point is worth caching. `ttl` as the protocols write it ("5m", "1h"), None for default.

    Follows the part (or tool) it marks.
    """

    ttl: str | None = None
    extra: Extra | None = None


Part = Text | Refusal | Reasoning | Media | ToolCall | ToolResult | Structured | CachePoint | Opaque

Role = Literal["system", "developer", "user", "assistant", "tool"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One utterance. Neighbours of the same role are legal; an encoder whose protocol forbids it joins them."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    extra: Extra | None = None


# --- Requests --------------------------------------------------------------------------------------------------------


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function the client offers. `parameters` is a JSON schema, None where none was given."""

    name: str
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None
    extra: Extra | None = None


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Whether tools may, must or must not be called. `names` restricts to these tools (with mode `required`)."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()
    extra: Extra | None = None


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The form the answer must have: free text, any JSON, or JSON that fits `schema`."""

    kind: Literal["text", "json", "schema"]
    schema: JsonObject | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    extra: Extra | None = None


class ReasoningOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How much the model may think, and how much of it is shown.

    `mode`: off, on (with a budget or the default one), adaptive (the model decides). `effort` as written ("minimal",
    "low", "medium", "high", "xhigh", "max"…). `budget` in tokens. `summary`: "none", "auto", "concise", "detailed";
    "full" asks for the thoughts themselves.
    """

    mode: Literal["off", "on", "adaptive"] | None = None
    effort: str | None = None
    budget: int | None = None
    summary: str | None = None
    extra: Extra | None = None


class Generate(msgspec.Struct, frozen=True, kw_only=True):
    """Ask a model for its next turn.

    `origin` names the codec that decoded it. `model` is as the client wrote it. `candidates` is the number of answers
    wanted. `options` are deliberate provider options by provider name (`{"freehold": {"provider_options": …}}`).
    `headers` holds the protocol's own allow-listed headers.
    """

    origin: str
    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    stream_usage: bool | None = None
    tools: tuple[Tool | CachePoint | Opaque, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    candidates: int | None = None
    output_format: OutputFormat | None = None
    reasoning: ReasoningOptions | None = None
    user: str | None = None
    options: Mapping[str, JsonObject] = {}
    headers: Extra | None = None
    extra: Extra | None = None


class Embed(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for vectors. An input is text or a list of token numbers; `encoding` is float or base64.

    `batch` says that several vectors were asked for, also when there is one input.
    """

    origin: str
    model: str
    inputs: tuple[str | tuple[int, ...] | Media | Opaque, ...]
    batch: bool = False
    dimensions: int | None = None
    encoding: Literal["float", "base64"] | None = None
    purpose: str | None = None
    title: str | None = None
    user: str | None = None
    headers: Extra | None = None
    extra: Extra | None = None


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Ask how many tokens a request would take."""

    origin: str
    generate: Generate
    extra: Extra | None = None


class ListModels(msgspec.Struct, frozen=True, kw_only=True):
    """Ask which models there are; `model` names a single one."""

    origin: str
    model: str | None = None
    limit: int | None = None
    after: str | None = None
    extra: Extra | None = None


Request = Generate | Embed | Count | ListModels

# --- Answers ---------------------------------------------------------------------------------------------------------


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, as the provider counted them; None is unknown, not zero.

    `input_tokens` includes `cache_read` and `cache_write`; `output_tokens` includes `reasoning`.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    extra: Extra | None = None


FinishKind = Literal[
    "stop",  # the model had said all, or met a stop sequence
    "length",  # an output or context limit
    "tool_calls",  # it waits for tools
    "content_filter",  # the provider cut it off
    "refusal",  # the model declined
    "pause",  # a hosted turn is to be continued by sending it back
    "error",  # the model failed (malformed call, …)
    "other",
]


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """Why the model stopped: our word, beside it the provider's own (`raw`, in the language `origin`)."""

    kind: FinishKind
    raw: str | None = None
    origin: str | None = None
    stop_sequence: str | None = None


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate answer."""

    parts: tuple[Part, ...]
    finish: Finish | None = None
    index: int = 0
    extra: Extra | None = None


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A model's answer. `created` is Unix seconds. `id` and `model` are the provider's, None where it gives none."""

    origin: str
    choices: tuple[Choice, ...]
    id: str | None = None
    model: str | None = None
    created: int | None = None
    usage: Usage | None = None
    extra: Extra | None = None


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """One vector: floats, or base64 of little-endian float32 (as OpenAI sends it)."""

    vector: tuple[float, ...] | str
    extra: Extra | None = None


class Embeddings(msgspec.Struct, frozen=True, kw_only=True):
    """Vectors in the order of the inputs. `encoding`s other than float stay as the provider wrote them."""

    origin: str
    data: tuple[Embedding, ...]
    model: str | None = None
    usage: Usage | None = None
    extra: Extra | None = None


class TokenCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many input tokens a request would take."""

    origin: str
    input_tokens: int
    extra: Extra | None = None


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a listing. `created` in Unix seconds; windows in tokens."""

    id: str
    name: str | None = None
    created: int | None = None
    owner: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    extra: Extra | None = None


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """Models to choose from. `single` marks the answer to a question for one model."""

    origin: str
    models: tuple[Model, ...]
    single: bool = False
    extra: Extra | None = None


Result = Response | Embeddings | TokenCount | ModelList


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An error as a value, ready to be said in any protocol.

    `kind` is one of `freehold.errors.ErrorKind`; `code` and `param` as the provider (or Freehold) named them;
    `retry_after` in seconds. `body` is the raw text where the provider's error was not the protocol's JSON.
    """

    origin: str
    status: int
    kind: str
    message: str
    code: str | None = None
    type: str | None = None
    param: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    body: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    extra: Extra | None = None
