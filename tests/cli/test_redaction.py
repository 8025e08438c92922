"""Recordings hold no secret."""

import pytest

from freehold.cli.redaction import Redaction
from freehold.protocols.codec import Frame
from freehold.transport.framing import frame_parser, frame_writer


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("key sk-proj-abcdefghijklmnop1234 used", "key sk-REDACTED used"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstu", "KEY-REDACTED"),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAREDACTED"),
        ("organization org-AbCdEf123456 and proj_AbCdEf123456", "organization org-REDACTED and proj_REDACTED"),
        ("arn:aws:bedrock:eu-west-1:123456789012:profile/x", "arn:aws:bedrock:eu-west-1:000000000000:profile/x"),
        ("write to jane.doe@corp.example.org.", "write to user@example.com."),
        ("projects/acme-prod-1/locations/eu", "projects/PROJECT/locations/eu"),
        ("my own word: hunter22", "my own word: REDACTED"),
        ("nothing to hide: model gpt-5, id chatcmpl-123", "nothing to hide: model gpt-5, id chatcmpl-123"),
    ],
)
def test_what_is_masked_and_what_is_not(text: str, masked: str) -> None:
    redaction = Redaction(["hunter22"], [])
    assert redaction.text(text) == masked
    assert redaction.json({"deep": [{"text": text}]}) == {"deep": [{"text": masked}]}


def test_only_the_protocol_s_own_headers_are_kept() -> None:
    redaction = Redaction([], ["x-request-id"])
    headers = [
        ("Content-Type", "application/json"),
        ("Authorization", "Bearer x"),
        ("Set-Cookie", "a=b"),
        ("X-Request-Id", "req_1"),
        ("openai-organization", "acme"),
        ("x-ratelimit-remaining-tokens", "9"),
    ]
    assert redaction.headers(headers) == {
        "content-type": "application/json",
        "x-request-id": "req_1",
        "x-ratelimit-remaining-tokens": "9",
    }


def test_an_event_stream_is_masked_and_still_whole() -> None:
    writer = frame_writer("event-stream")
    frames = [Frame(data=b'{"text":"hunter22 and you"}', event="contentBlockDelta"), Frame(data=b"{}", event="x")]
    data = b"".join(writer.write(frame) for frame in frames)
    masked = Redaction(["hunter22"], []).event_stream(data)
    parser = frame_parser("event-stream")
    assert [frame.data for frame in parser.feed(masked)] == [b'{"text":"REDACTED and you"}', b"{}"]
    assert Redaction([], []).event_stream(data) == data
