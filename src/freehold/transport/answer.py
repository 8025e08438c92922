"""The answer of an upstream: its head at once, its body as it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Protocol, Self

from freehold.transport.connection import State
from freehold.transport.decoding import MAX_RATIO, BombError, Decoder, decoder_for
from freehold.transport.errors import AnswerTooLargeError, ProtocolError, TransportError, TruncatedError


class Source(Protocol):
    """Where an answer comes from: a connection, or a fake one."""

    @property
    def state(self) -> State:
        """`head`, `body`, `done` (all of it arrived) or `closed`."""
        ...

    @property
    def error(self) -> TransportError | None:
        """Why it is closed."""
        ...

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names in lower case."""
        ...

    @property
    def host(self) -> str:
        """The upstream, for messages."""
        ...

    def take(self) -> bytes:
        """Bytes of the body that have arrived."""
        ...

    def wait(self) -> asyncio.Future[None]:
        """Done when there is something new."""
        ...

    def release(self) -> None:
        """Nobody reads on."""
        ...

    def abort(self) -> None:
        """Cut it."""
        ...


class Answer:
    """Status, headers (names in lower case) and body of one answer.

    Read the body with `read`, or piece by piece with `receive` or `async for`. A reader that stops early calls
    `release` or `abort`, or leaves an `async with`; an answer that is dropped is aborted. While nobody reads, at most
    a quarter of a megabyte is held and the upstream has to wait. A `receive` that is cancelled loses nothing.
    """

    __slots__ = ("_decoder", "_source", "headers", "status")

    def __init__(
        self, status: int, headers: list[tuple[str, str]], source: Source, decoder: Decoder | None = None
    ) -> None:
        """As `of`, for an answer whose head is already read."""
        self.status = status
        self.headers = headers
        self._source: Source | None = source
        self._decoder = decoder

    @classmethod
    def of(cls, source: Source) -> Answer:
        """The answer that begins on this source.

        Raises:
            ProtocolError: it is compressed in a way that can not be undone.
        """
        headers = source.headers
        for name, value in headers:
            if name == "content-encoding":
                return cls._compressed(source, headers, value)
        return cls(source.status, headers, source)

    @classmethod
    def _compressed(cls, source: Source, headers: list[tuple[str, str]], encoding: str) -> Answer:
        if sum(name == "content-encoding" for name, _ in headers) > 1:
            encoding = "several encodings"
        try:
            decoder = decoder_for(encoding)
        except LookupError:
            source.abort()
            raise ProtocolError(
                f"{source.host} compressed its answer in a way we did not ask for and can not undo",
                phase="body",
                host=source.host,
            ) from None
        if decoder is not None:
            headers = [field for field in headers if field[0] not in ("content-encoding", "content-length")]
        return cls(source.status, headers, source, decoder)

    async def receive(self) -> bytes:
        """The next bytes of the body, as many as there are; empty at its end.

        Raises:
            TruncatedError: the body ended before its announced end. What was received before is valid.
            PhaseTimeoutError: the upstream was silent for too long, or the deadline passed.
            ProtocolError: the rest is not HTTP, or not what its Content-Encoding says.
        """
        if self._decoder is not None:
            return await self._receive_decoded(self._decoder)
        source = self._source
        if source is None:
            return b""
        while True:
            data = source.take()
            if source.state == "done":
                self._source = None
                source.release()
                return data
            if data:
                return data
            if source.state == "closed":
                self._source = None
                raise source.error or _cut(source)
            await source.wait()

    async def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            AnswerTooLargeError: it has more than `limit` bytes (after decompression).
            TransportError: as `receive`.
        """
        source = self._source
        pieces: list[bytes] = []
        size = 0
        try:
            while data := await self.receive():
                size += len(data)
                if size > limit:
                    break
                pieces.append(data)
        except BaseException:
            self._abort()
            raise
        if size > limit and source is not None:
            self._abort()
            raise AnswerTooLargeError(
                f"the answer of {source.host} is larger than {limit} bytes; raise the limit if it is meant to be",
                host=source.host,
                limit=limit,
            )
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece, as it arrives."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self.receive()
        if not data:
            raise StopAsyncIteration
        return data

    def release(self) -> None:
        """Stop reading; the connection is kept if little of the body is left, else closed."""
        source, self._source = self._source, None
        if source is not None:
            source.release()

    async def abort(self) -> None:
        """Cut the connection at once, so that the upstream stops working."""
        self._abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.release()
        else:
            self._abort()

    def __del__(self) -> None:
        if self._source is not None:
            self._abort()

    def _abort(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.abort()

    async def _receive_decoded(self, decoder: Decoder) -> bytes:
        source = self._source
        if source is None:
            return b""
        while True:
            try:
                data = decoder.pull()
            except BombError:
                self._abort()
                raise ProtocolError(
                    f"the compressed answer of {source.host} unpacks to more than {MAX_RATIO} times its size",
                    phase="body",
                    host=source.host,
                ) from None
            except ValueError:
                self._abort()
                raise ProtocolError(
                    f"the answer of {source.host} is not compressed as its Content-Encoding says",
                    phase="body",
                    host=source.host,
                ) from None
            if data:
                return data
            packed = source.take()
            if packed:
                decoder.feed(packed)
            elif source.state == "done":
                self._source = None
                source.release()
                if not decoder.whole:
                    raise TruncatedError(
                        f"the compressed answer of {source.host} ended before its end", phase="body", host=source.host
                    )
                return b""
            elif source.state == "closed":
                self._source = None
                raise source.error or _cut(source)
            else:
                await source.wait()


def _cut(source: Source) -> TruncatedError:
    return TruncatedError(f"the connection to {source.host} was cut from our side", phase="body", host=source.host)
