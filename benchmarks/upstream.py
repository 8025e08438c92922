"""A provider that costs next to nothing: canned OpenAI and Anthropic answers, whole and streamed.

Run as `python -m benchmarks.upstream PORT`. A streamed answer has `X-Chunks` events, one every `X-Pace-Ms`
milliseconds, if the request's path ends in `?chunks=N&pace=MS`; else 50 events at 20 ms.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

TEXT = "The quick brown fox jumps over the lazy dog and rests by the river. " * 6

CHAT = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1760000000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 57,
            "completion_tokens": 92,
            "total_tokens": 149,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "system_fingerprint": "fp_1",
    }
).encode()

MESSAGE = json.dumps(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 57, "output_tokens": 92},
    }
).encode()


def _sse(value: object, event: str | None = None) -> bytes:
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


def _chat_chunk(delta: object, finish: str | None = None) -> bytes:
    return _sse(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1760000000,
            "model": "gpt-4o-mini-2024-07-18",
            "system_fingerprint": "fp_1",
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        }
    )


CHAT_HEAD = _chat_chunk({"role": "assistant", "content": "", "refusal": None})
CHAT_CHUNK = _chat_chunk({"content": " and another word"})
CHAT_TAIL = (
    _chat_chunk({}, "stop")
    + _sse(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1760000000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [],
            "usage": {"prompt_tokens": 57, "completion_tokens": 50, "total_tokens": 107},
        }
    )
    + b"data: [DONE]\n\n"
)
MESSAGE_HEAD = _sse(
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 57, "output_tokens": 1},
        },
    },
    "message_start",
) + _sse(
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, "content_block_start"
)
MESSAGE_CHUNK = _sse(
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " and another word"}},
    "content_block_delta",
)
MESSAGE_TAIL = (
    _sse({"type": "content_block_stop", "index": 0}, "content_block_stop")
    + _sse(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 50},
        },
        "message_delta",
    )
    + _sse({"type": "message_stop"}, "message_stop")
)

CHUNKS = 50
PACE = 0.02


class Upstream(asyncio.Protocol):
    """One connection; answers by what the bytes hold, without parsing HTTP any further than it must."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport: asyncio.Transport = transport  # pyright: ignore[reportAttributeAccessIssue] -- uvloop's own class
        self.buffer = b""
        self.timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop streaming to nobody."""
        del exc
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in the buffer."""
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = 0 if at < 0 else int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            self.answer(anthropic=b"/messages" in head[:200], stream=b'"stream":true' in body.replace(b" ", b""))

    def answer(self, *, anthropic: bool, stream: bool) -> None:
        """Write one answer, or begin one."""
        if not stream:
            body = MESSAGE if anthropic else CHAT
            self.transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            return
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        pieces = (
            [MESSAGE_HEAD, *[MESSAGE_CHUNK] * CHUNKS, MESSAGE_TAIL]
            if anthropic
            else [CHAT_HEAD, *[CHAT_CHUNK] * CHUNKS, CHAT_TAIL]
        )
        self.send(pieces, 0)

    def send(self, pieces: list[bytes], index: int) -> None:
        """Write one piece and come back for the next."""
        piece = pieces[index]
        self.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if index + 1 == len(pieces):
            self.transport.write(b"0\r\n\r\n")
        else:
            self.timer = asyncio.get_running_loop().call_later(PACE, self.send, pieces, index + 1)


async def main(port: int) -> None:
    """Serve for ever."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 -- how the runner learns the port
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
