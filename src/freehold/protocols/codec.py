"""The codec contract: pure functions between one wire language and the canonical one.

A codec has no socket, clock, log, randomness or global state.  What it needs from outside comes as a `Stamp`
(ids, time) or a `Dialect` (how this provider deviates).  It reads and writes whole messages (`WireRequest`,
`WireResponse`) and streams of `Frame`s; how frames become bytes is the transport's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Generic, Literal, Protocol, TypeVar

import msgspec

from freehold.errors import UpstreamError
from freehold.ir import Event, Failure, Language, Loss, Request, Result

Headers = tuple[tuple[str, str], ...]
"""Header fields in order, names in lower case."""

Operation = Literal["generate", "embed", "count", "list"]
Framing = Literal["sse", "event-stream", "json-array", "json-lines"]

CONTENT_TYPE_OF_FRAMING: dict[Framing, str] = {
    "sse": "text/event-stream",
    "event-stream": "application/vnd.amazon.eventstream",
    "json-array": "application/json",
    "json-lines": "application/x-ndjson",
}


class WireRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request of a protocol.

    `path` is percent-encoded as on the wire, without the query. `headers` holds only the protocol's own (version,
    beta), never credentials. `operation` and `model` let a provider's path template replace `path`.
    """

    path: str
    body: bytes
    method: str = "POST"
    query: str = ""
    headers: Headers = ()
    operation: Operation = "generate"
    model: str = ""
    stream: bool = False


class WireResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One complete HTTP response."""

    status: int
    body: bytes
    headers: Headers = (("content-type", "application/json"),)


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of a stream: an SSE event, an AWS event-stream message, an element of a JSON array.

    `event` is the SSE `event:` or the AWS `:event-type` / `:exception-type`; None where the protocol has none.
    `kind` tells AWS messages apart: `event`, `exception` (modelled), `error` (unmodelled; `event` is its code and
    `data` its message).
    """

    data: bytes
    event: str | None = None
    kind: Literal["event", "exception", "error"] = "event"


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What an encoder may not invent: the exchange's id (URL-safe letters and digits) and the time in Unix seconds.

    `created` is also the base for every other time that a protocol wants.
    """

    id: str
    created: int


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider deviates from a protocol, where the codec itself must know.

    `flags` are names that the codec's package documents. Plain renames and removals of body fields are edits that the
    provider's data file lists; they are applied after encoding and do not concern the codec.
    """

    provider: str = ""
    flags: frozenset[str] = frozenset()


PLAIN = Dialect()

T_co = TypeVar("T_co", covariant=True)


class Encoded(msgspec.Struct, Generic[T_co], frozen=True):
    """What was written, and what could not be said."""

    value: T_co
    losses: tuple[Loss, ...] = ()


class Unsupported(Exception):  # noqa: N818 -- an answer (501), not a failure of this program
    """This codec has no way to say this operation at all."""


class StreamDecoder(Protocol):
    """Frames in, events out; one per response, fed in order.

    `feed` gives the batch of one frame. `close` says that the connection ended: it gives what is left to say, an
    `ErrorEnd` included if the stream ended before its protocol's end. Neither raises: garbage becomes an `ErrorEnd`.
    """

    def feed(self, frame: Frame) -> list[Event]:
        """The batch of one frame; may be empty."""
        ...

    def close(self) -> list[Event]:
        """What the end of the connection means: nothing more, a `ResponseEnd`, or an `ErrorEnd`."""
        ...


class StreamEncoder(Protocol):
    """Batches of events in, frames out. `losses` grows while the stream goes on.

    Every stream that is fed a `ResponseEnd` or `ErrorEnd` ends as the protocol demands.
    """

    losses: list[Loss]

    def feed(self, events: Sequence[Event]) -> list[Frame]:
        """The frames of one batch; may be none."""
        ...


class Manners(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a protocol without reading a body: what the road needs to let one pass, and to answer.

    `request_id` is the answer's header in which clients look for the id that support asks for. `passed_headers` are a
    request's headers that are part of the protocol; nothing else of a client's head ever crosses. `keep_alive` is sent
    while a model is silent, so that nobody in between hangs up; empty where the protocol has no word for it.
    """

    request_id: str
    passed_headers: frozenset[str] = frozenset()
    keep_alive: bytes = b""
    model_in_body: bool = False
    """Whether the body names the model; else the path does."""
    stream_in_body: bool = False
    """Whether `stream` in the body asks for a stream; else the path does."""
    usage_on_demand: bool = False
    """Whether a stream has usage only where `stream_options` asks for it."""
    read_by_request: bool = False
    """Whether one path carries several families of bodies, so that what an answer is follows from what was asked."""
    bytes_in_base64: bool = False
    """Whether proofs of reasoning stand in slots for bytes, where a seal is encoded once more."""
    framing: Framing = "sse"
    """How a provider's stream travels where its answer does not say."""
    raises_in_band: bool = True
    """Whether clients raise an error that stands in a stream; else only the end of the connection tells them."""


COMMENT: Final = b": keep-alive\n\n"
"""The keep-alive of OpenAI's protocols: a comment, which server-sent events allow anywhere between two events."""


class Codec(Protocol):
    """One wire language."""

    @property
    def name(self) -> str:
        """As users write it: `openai-chat`."""
        ...

    @property
    def language(self) -> Language:
        """The origin that this codec's extras carry."""
        ...

    @property
    def manners(self) -> Manners:
        """What is known of it without reading a body."""
        ...

    def decode_request(self, wire: WireRequest) -> Request:
        """Raises CallerError, naming the place, for a body that can not be understood; Unsupported for other paths."""
        ...

    def encode_request(self, request: Request, dialect: Dialect = PLAIN) -> Encoded[WireRequest]:
        """The request as this protocol says it, with the protocol's standard path. Raises Unsupported."""
        ...

    def decode_response(self, wire: WireResponse, request: Request | None = None) -> Result:
        """A success. Raises UpstreamError for garbage and for errors dressed as success; `request` helps to read it."""
        ...

    def encode_response(self, result: Result, stamp: Stamp, request: Request | None = None) -> Encoded[WireResponse]:
        """The answer in this protocol; `request` is the caller's, where the protocol echoes parts of it."""
        ...

    def decode_error(self, wire: WireResponse) -> Failure:
        """An error answer, whatever its shape: JSON of the protocol, of something in between, or plain text."""
        ...

    def encode_error(self, failure: Failure, stamp: Stamp) -> WireResponse:
        """An error as the protocol's clients expect it: body, status, retry and error-type headers."""
        ...

    def decoder(self, request: Request | None = None) -> StreamDecoder:
        """A fresh decoder for one streamed answer."""
        ...

    def encoder(self, stamp: Stamp, request: Request | None = None) -> StreamEncoder:
        """A fresh encoder for one streamed answer."""
        ...

    def framing(self, request: Request) -> Framing:
        """How this protocol frames the streamed answer to this request."""
        ...


def garbled(codec: str, problem: str, body: bytes | None = None) -> UpstreamError:
    """The error for an answer that is not what its protocol promises."""
    return UpstreamError(
        f"the provider's {codec} answer could not be understood: {problem}",
        code="upstream_garbled",
        kind="bad_gateway",
        body=body,
    )
