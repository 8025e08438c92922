"""Counting without asking anybody: measured against what providers said in recorded exchanges."""

from __future__ import annotations

import base64
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path

import msgspec
import pytest

from freehold.ir import (
    Extra,
    FileId,
    Generate,
    Inline,
    Language,
    Media,
    Message,
    Opaque,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Url,
)
from freehold.providers.catalog import providers
from freehold.reference.token_counts import Measure, measure
from freehold.routing.images import ImageRule, image_size, image_tokens
from freehold.routing.tokenizers import BYTES_A_TOKEN, MOST_BYTES_A_TOKEN, Tokenizer, tokenizer_of, tokenizers
from freehold.routing.tokens import count, roughly
from freehold.routing.vocabulary import SLICE, count_text

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "dd-trace-py-362f37a1",  # the Responses API in its first month put 18 tokens more around instructions
    "ruby-llm-86501f64",  # Grok counts its earlier thoughts, of which it gives out a summary
}
"""Recordings in which the provider counted what nobody outside can see."""


@cache
def measures() -> tuple[Measure, ...]:
    return tuple(measure(ROOT / "tests" / "exchanges"))


def chat(*texts: str, model: str = "gpt-4o") -> Generate:
    said = tuple(Message(role="user", parts=(Text(text=text),)) for text in texts)
    return Generate(origin="openai-chat", model=model, messages=said)


def test_what_is_called_exact_is_what_the_provider_counted() -> None:
    exact = [one for one in measures() if one.estimate.exact]
    assert len(exact) > 15
    assert {one.id for one in exact if one.estimate.tokens != one.said} <= ELSEWHERE


def test_hardly_any_provider_counts_more_than_the_bound() -> None:
    bounded = [one for one in measures() if one.estimate.upper_bound is not None]
    assert len(bounded) > 250
    assert {one.id for one in bounded if one.above} <= ELSEWHERE


def test_the_estimate_is_near() -> None:
    errors = sorted(one.error for one in measures() if one.estimate.upper_bound is not None)
    assert errors[len(errors) // 2] < 0.15
    long = [one.error for one in measures() if one.estimate.upper_bound is not None and one.said > 1000]
    assert len(long) > 10
    assert sorted(long)[len(long) // 2] < 0.1


def test_a_long_text_counts_as_much_in_slices() -> None:
    words = "It is a truth, universally acknowledged: 12 men's *code* {x: [1, 2]}\n\n  ends; "
    text = words * (3 * SLICE // len(words))
    for vocabulary in {found.vocabulary for found in tokenizers()}:
        whole = count_text(text[:SLICE], vocabulary)
        assert count_text(text, vocabulary) > 2.9 * whole
    from splintr import Tokenizer as Library

    assert count_text(text, "o200k_base") == len(Library.from_pretrained("o200k_base").encode_ordinary(text))


def test_a_text_without_spaces_is_sliced_all_the_same() -> None:
    text = "=" * (2 * SLICE + 5)
    assert abs(count_text(text, "o200k_base") - count_text("=" * SLICE, "o200k_base") * 2) <= 3


def test_marks_of_a_template_are_text_like_any_other() -> None:
    assert count_text("<|endoftext|>", "o200k_base") > 1
    assert count(chat("<|im_start|>"), tokenizer_of("gpt-4o")).tokens > count(chat("hi"), tokenizer_of("gpt-4o")).tokens


@pytest.mark.parametrize(
    "part",
    [
        ToolCall(id="c", name="look", arguments="{}"),
        ToolResult(call_id="c", parts=(Text(text="seen"),)),
        Reasoning(text="hm"),
    ],
)
def test_only_plain_text_is_exact(part: ToolCall | ToolResult | Reasoning) -> None:
    plain = chat("hello")
    assert count(plain, tokenizer_of("gpt-4o")).exact
    request = msgspec.structs.replace(plain, messages=(*plain.messages, Message(role="assistant", parts=(part,))))
    estimate = count(request, tokenizer_of("gpt-4o"))
    assert not estimate.exact
    assert estimate.upper_bound is not None
    assert estimate.upper_bound > estimate.tokens


def test_a_tool_is_within_the_bound() -> None:
    tool = Tool(name="look", description="Look around.", parameters={"type": "object", "properties": {}})
    request = msgspec.structs.replace(chat("hello"), tools=(tool,))
    without, estimate = (count(each, tokenizer_of("gpt-4o")) for each in (chat("hello"), request))
    assert not estimate.exact
    assert estimate.tokens > without.tokens


LANGUAGE = Language(name="openai-responses", effects={"prompt": "content", "store": "accounting"})


@pytest.mark.parametrize(
    "request_",
    [
        msgspec.structs.replace(chat("hello"), tools=(Opaque(origin=LANGUAGE, value={"type": "web_search"}),)),
        msgspec.structs.replace(chat("hello"), extra=Extra(LANGUAGE, {"prompt": {"id": "p"}})),
        msgspec.structs.replace(
            chat("hello"),
            messages=(Message(role="user", parts=(Media(kind="document", source=FileId(id="file")),)),),
        ),
        msgspec.structs.replace(
            chat("hello"),
            messages=(Message(role="user", parts=(Media(kind="video", source=Url(url="https://x/y")),)),),
        ),
    ],
    ids=["hosted-tool", "stored-prompt", "file-at-the-provider", "film"],
)
def test_what_nobody_outside_can_count_has_no_bound(request_: Generate) -> None:
    estimate = count(request_, tokenizer_of("gpt-4o"))
    assert (estimate.exact, estimate.upper_bound) == (False, None)


def test_fields_that_say_nothing_do_not_matter() -> None:
    request = msgspec.structs.replace(chat("hello"), extra=Extra(LANGUAGE, {"store": False}))
    assert count(request, tokenizer_of("gpt-4o")) == count(chat("hello"), tokenizer_of("gpt-4o"))


def image(data: bytes, model: str) -> int:
    media = Media(kind="image", source=Inline(data=base64.b64encode(data).decode()), media_type="image/png")
    request = msgspec.structs.replace(chat(), messages=(Message(role="user", parts=(media,)),))
    return count(request, tokenizer_of(model)).tokens - count(chat(""), tokenizer_of(model)).tokens


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(9)


def jpeg(width: int, height: int) -> bytes:
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + 300) + bytes(300)
    return b"\xff\xd8" + thumbnail + b"\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(20)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(20)


def webp(kind: bytes, width: int, height: int) -> bytes:
    bodies = {
        b"VP8 ": bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height),
        b"VP8L": b"\x2f" + struct.pack("<I", width - 1 | height - 1 << 14),
        b"VP8X": bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
    }
    body = bodies[kind] + bytes(20)
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBP" + kind + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    "data",
    [
        png(640, 480),
        jpeg(640, 480),
        gif(640, 480),
        webp(b"VP8 ", 640, 480),
        webp(b"VP8L", 640, 480),
        webp(b"VP8X", 640, 480),
    ],
    ids=["png", "jpeg", "gif", "vp8", "vp8l", "vp8x"],
)
def test_a_picture_says_how_large_it_is(data: bytes) -> None:
    assert image_size(base64.b64encode(data).decode()) == (640, 480)
    for end in range(len(data)):
        image_size(base64.b64encode(data[:end]).decode())


@pytest.mark.parametrize("data", ["", "!", "aGVsbG8=", base64.b64encode(png(0, 5)).decode()])
def test_what_is_no_picture_has_no_size(data: str) -> None:
    assert image_size(data) is None


@pytest.mark.parametrize(
    ("rule", "size", "tokens"),
    [
        # The examples of OpenAI's page: a square of 1024 px, and 2048 by 4096.
        ("openai-tiles", (1024, 1024), 765),
        ("openai-tiles", (2048, 4096), 1105),
        ("openai-patches", (1024, 1024), 1024),
        # The table of Anthropic's page.
        ("anthropic", (200, 200), 54),
        ("anthropic", (1000, 1000), 1334),
        # The example of Google's page: 960 by 540 are six tiles.
        ("gemini", (384, 384), 258),
        ("gemini", (960, 540), 6 * 258),
    ],
)
def test_pictures_cost_what_their_makers_say(rule: ImageRule, size: tuple[int, int], tokens: int) -> None:
    assert image_tokens(rule, size) == tokens


def test_a_picture_counts_by_the_model() -> None:
    assert image(png(1024, 1024), "gpt-4o") == 765
    assert image(png(1000, 1000), "claude-3-5-sonnet-20241022") == 1334
    assert image(png(8000, 8000), "claude-3-5-sonnet-20241022") == 1600
    assert image(b"unknown", "claude-3-5-sonnet-20241022") == 1600


def test_pages_of_a_document_have_a_bound_where_they_can_be_seen() -> None:
    def bound(content: bytes) -> int | None:
        source = Inline(data=base64.b64encode(content).decode())
        media = Media(kind="document", source=source, media_type="application/pdf")
        request = msgspec.structs.replace(chat(), messages=(Message(role="user", parts=(media,)),))
        return count(request, tokenizer_of("claude-sonnet-4-5")).upper_bound

    one = bound(b"%PDF-1.4 <</Type /Pages /Count 1>> <</Type/Page /Parent 1 0 R>>")
    two = bound(b"%PDF-1.4 <</Type /Pages>> <</Type/Page>> <</Type /Page>>")
    assert one is not None
    assert two is not None
    assert two - one > 4000
    assert bound(b"%PDF-1.7 /Type /Page /ObjStm") is None
    assert bound(b"%PDF-1.7 nothing to see") is None


def test_a_text_document_counts_as_text() -> None:
    source = Inline(data=base64.b64encode(b"word " * 100).decode())
    media = Media(kind="document", source=source, media_type="text/plain")
    request = msgspec.structs.replace(chat(), messages=(Message(role="user", parts=(media,)),))
    assert count(request, tokenizer_of("gpt-4o")).tokens > 100


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("openai/gpt-5.2", "gpt-5"),
        ("openai.gpt-oss-120b-1:0", "gpt-oss"),
        ("gpt-4-turbo", "gpt-4"),
        ("gpt-4o-search-preview", "openai-other"),
        ("o3-mini", "openai-other"),
        ("claude-sonnet-4-20250514", "claude-3"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-4"),
        ("anthropic/claude-sonnet-4.5", "claude-4"),
        ("claude-opus-4-8", "claude"),
        ("claude-opus-5", "claude"),
        ("Qwen/Qwen3-32B", "qwen"),
        ("grok-4-fast-reasoning", "grok"),
        ("grok-4.3", "grok-4.3"),
        ("nobody-knows", "unknown"),
    ],
)
def test_the_first_that_fits_counts(model: str, name: str) -> None:
    assert tokenizer_of(model).name == name


def test_each_model_of_the_provider_files_has_a_tokenizer() -> None:
    families = {"claude", "gemini", "gpt-oss", "deepseek", "grok", "mistral", "qwen", "kimi", "glm"}
    for provider in providers().values():
        for rule in provider.models:
            for model in rule.match:
                found = tokenizer_of(model.replace("*", ""))
                if (
                    rule.family in families
                    and "embed" not in rule.operations
                    and model != "*"
                    and not model.endswith("/*")
                ):
                    assert found.name.startswith(rule.family), (provider.name, model)


def test_the_bound_from_the_size_alone_is_above_the_count() -> None:
    texts = ["", "a", "Grüße aus Köln", "日本語のテキスト", "🦜" * 50, "x = [1, 2, 3]\n" * 200, "\x00\x01"]
    for found in tokenizers():
        if found.factor > 1:
            continue  # their vocabulary is a stand-in; the maker's own has no token of less than a byte either
        for text in texts:
            body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": text}]})
            assert roughly(len(body), found) >= count(chat(text), found).tokens


def test_the_bound_from_the_size_alone_is_above_what_providers_counted() -> None:
    seen = [one for one in measures() if one.estimate.upper_bound is not None and one.id not in ELSEWHERE]
    assert seen
    by_name: dict[str, Tokenizer] = {found.name: found for found in tokenizers()}
    files = {path.stem: path for path in (ROOT / "tests" / "exchanges").rglob("*.json")}
    for one in seen:
        recording = msgspec.json.decode(files[one.id].read_bytes())
        body = msgspec.json.encode(recording["request"]["body"])
        if b"image" not in body and b"document" not in body:
            assert roughly(len(body), by_name[one.tokenizer]) >= one.said, one.id


def test_nothing_is_loaded_before_it_is_needed_and_nothing_is_fetched() -> None:
    program = """
import socket, sys
def refuse(*_): raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refuse
import freehold.app, freehold.exchange.road
assert "splintr" not in sys.modules
from freehold.routing.vocabulary import count_text
assert count_text("hello world", "o200k_base") == 2
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)


SPOKEN = {
    "German": "Die Geschwindigkeitsbegrenzung wurde wegen Bauarbeiten herabgesetzt, weshalb es länger dauern wird. ",
    "Hindi": "मुझे आज शाम को बाज़ार जाना है क्योंकि घर में सब्ज़ियाँ खत्म हो गई हैं। क्या तुम मेरे साथ चलोगे? ",
    "Chinese": "今天下午我打算去图书馆借几本关于人工智能历史的书。因为下周要做一个报告。",
    "Thai": "วันนี้ฉันตั้งใจจะไปตลาดเพื่อซื้อผักและผลไม้สำหรับทำอาหารเย็น ",
    "Tamil": "இன்று மாலை நான் சந்தைக்குச் செல்ல வேண்டும் ஏனெனில் வீட்டில் காய்கறிகள் தீர்ந்துவிட்டன. ",
}


def test_no_language_has_more_bytes_a_token_than_windows_are_judged_by() -> None:
    for vocabulary in {found.vocabulary for found in tokenizers()}:
        for text in SPOKEN.values():
            assert len(text.encode()) / count_text(text, vocabulary) < MOST_BYTES_A_TOKEN


def test_a_token_has_four_bytes_on_average() -> None:
    pages = (path.read_text() for path in sorted((ROOT / "docs" / "explanation").glob("*.md")))
    prose = "".join(line for page in pages for line in page.splitlines(keepends=True) if not line.startswith("|"))
    code = "".join(path.read_text() for path in sorted((ROOT / "src" / "freehold" / "exchange").glob("*.py")))
    for vocabulary in {found.vocabulary for found in tokenizers()}:
        for text in (prose, code):
            assert 0.85 < len(text.encode()) / count_text(text, vocabulary) / BYTES_A_TOKEN < 1.2
