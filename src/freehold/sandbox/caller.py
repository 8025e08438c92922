"""Sends what a vendor's client would send to a gateway, over a real connection, and measures."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from freehold.ir import JsonValue, write_json
from freehold.protocols.codec import Framing
from freehold.sandbox.clients import VendorClient, Wire
from freehold.signing.sigv4 import Credentials, Signer
from freehold.transport.answer import Answer
from freehold.transport.client import Client
from freehold.transport.endpoint import Endpoint, Timeouts, split_url
from freehold.transport.framing import frame_parser

_BODY = 16 * 1024 * 1024
_PATIENCE = Timeouts(connect=5.0, first_byte=10.0, idle=10.0, total=20.0)


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway minted for the demo: a bearer key, and a key pair for clients that sign."""

    bearer: str
    pair: Credentials


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One answer as its client saw it. Times are seconds; `first` is when the first words came."""

    exchange: str
    status: int
    text: str
    body: JsonValue
    seconds: float
    first: float | None = None
    target: str = ""


class Caller:
    """The applications: they know the gateway's address and their keys, nothing else."""

    def __init__(self, client: Client, url: str, keys: Keys) -> None:
        """Raises ValueError for what is no address."""
        origin = split_url(url)
        self._client = client
        self._endpoint = Endpoint(scheme=origin.scheme, host=origin.host, port=origin.port, timeouts=_PATIENCE)
        self._keys = keys
        self._signer = Signer(region="us-east-1", service="bedrock")

    async def ask(self, vendor: VendorClient, model: str, question: str) -> Reply:
        """One question, one whole answer. Raises TransportError."""
        return await self.send(vendor, vendor.ask(model, question, False))  # noqa: FBT003 -- whether to stream

    async def send(self, vendor: VendorClient, wire: Wire) -> Reply:
        """A request written out, and its whole answer. Raises TransportError."""
        began = time.perf_counter()
        answer = await self._send(vendor, wire)
        raw = await answer.read(_BODY)
        seconds = time.perf_counter() - began
        body = _parsed(raw)
        text = vendor.said(body) if answer.status == 200 else raw.decode("utf-8", "replace")
        return _reply(answer, text=text, body=body, seconds=seconds)

    async def stream(self, vendor: VendorClient, model: str, question: str, hear: Callable[[str], None]) -> Reply:
        """One question, its answer word by word into `hear`. Raises TransportError, FramingError."""
        began = time.perf_counter()
        first: float | None = None
        heard: list[str] = []
        answer = await self._send(vendor, vendor.ask(model, question, True))  # noqa: FBT003 -- whether to stream
        parser = frame_parser(_framing(answer))
        async for data in answer:
            for frame in parser.feed(data):
                piece = vendor.piece(frame)
                if piece:
                    first = first or time.perf_counter() - began
                    heard.append(piece)
                    hear(piece)
        return _reply(answer, text="".join(heard), body=None, seconds=time.perf_counter() - began, first=first)

    async def _send(self, vendor: VendorClient, wire: Wire) -> Answer:
        body = write_json(wire.body)
        headers = [("content-type", "application/json"), *wire.headers]
        match vendor.key:
            case "signature":
                headers += self._signer.sign(
                    method="POST",
                    host=self._endpoint.authority,
                    path=wire.path,
                    query=wire.query,
                    headers=headers,
                    body=body,
                    credentials=self._keys.pair,
                    now=time.time(),
                )
            case "authorization":
                headers.append(("authorization", f"Bearer {self._keys.bearer}"))
            case name:
                headers.append((name, self._keys.bearer))
        target = f"{wire.path}?{wire.query}" if wire.query else wire.path
        return await self._client.send(self._endpoint, "POST", target, headers, body)


def _reply(answer: Answer, *, text: str, body: JsonValue, seconds: float, first: float | None = None) -> Reply:
    headers = dict(answer.headers)
    return Reply(
        exchange=headers.get("freehold-exchange", ""),
        status=answer.status,
        text=text,
        body=body,
        seconds=seconds,
        first=first,
        target=headers.get("freehold-target", ""),
    )


def _framing(answer: Answer) -> Framing:
    kind = dict(answer.headers).get("content-type", "")
    return "event-stream" if kind.startswith("application/vnd.amazon.eventstream") else "sse"


def _parsed(raw: bytes) -> JsonValue:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return None
