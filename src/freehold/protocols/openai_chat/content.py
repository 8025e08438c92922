"""Content: a string, or a list of typed parts."""

from __future__ import annotations

import re

import msgspec

from freehold.ir import (
    CachePoint,
    Extra,
    Fields,
    FileId,
    Inline,
    JsonObject,
    JsonValue,
    Loss,
    Losses,
    Media,
    MediaKind,
    Opaque,
    Part,
    PlainText,
    Proof,
    Reasoning,
    Refusal,
    Structured,
    Text,
    ToolCall,
    ToolResult,
    Url,
    write_json,
)
from freehold.protocols.openai_chat.language import (
    LANGUAGE,
    SHORTHAND,
    keep_inner,
    native,
    repeat_inner,
    repeat_plain,
    unpack,
)

_KIND_OF_ADDRESS: dict[str, MediaKind] = {
    "image_url": "image",
    "video_url": "video",
    "audio_url": "audio",
    "document_url": "document",  # Mistral
    "file_url": "document",  # Perplexity
}
"""Part types whose inner object (or bare string) is an address, a `data:` one included."""

_MEDIA_TYPE_OF_SOUND = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_SOUND_OF_MEDIA_TYPE = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
"""The two formats that `input_audio` documents; any other is written as the MIME subtype."""

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,([A-Za-z0-9+/=\s]*)")


def take_content(fields: Fields) -> list[Part]:
    """The parts in `content`. Null, "" and [] say nothing and ride along; what nobody can read becomes opaque."""
    match fields.peek("content"):
        case None | "" | []:
            return []
        case str(text):
            fields.take("content")
            return [Text(text=text)]
        case list(blocks):
            fields.take("content")
            path = fields.at("content")
            return [part for at, block in enumerate(blocks) for part in _decode_block(block, f"{path}[{at}]")]
        case value:
            fields.take("content")
            return [Opaque(origin=LANGUAGE, value={"unreadable": value})]


def _decode_block(block: JsonValue, path: str) -> list[Part]:
    if not isinstance(block, dict):
        return [Opaque(origin=LANGUAGE, value={"unreadable": block})]
    fields = Fields(block, LANGUAGE, path)
    cache = take_cache_point(fields)
    part = decode_typed(fields) or Opaque(origin=LANGUAGE, value=block)
    if cache is None or isinstance(part, Opaque):
        return [part]
    return [part, cache]


def decode_typed(fields: Fields) -> Part | None:
    """One typed part; the type stays among its extras and so marks the form. None for a type of its own."""
    kind = fields.peek("type")
    match kind:
        case "text" if isinstance(fields.peek("text"), str):
            return Text(text=fields.need_str("text"), extra=fields.mark())
        case "refusal" if isinstance(fields.peek("refusal"), str):
            return Refusal(text=fields.need_str("refusal"), extra=fields.mark())
        case "thinking":
            text = _thinking_text(fields.peek("thinking"))
            if text is None:
                return None
            fields.take("thinking")
            return Reasoning(text=text, extra=fields.mark())
        case "input_audio":
            return _decode_sound(fields)
        case "file":
            return _decode_file(fields)
        case str() if kind in _KIND_OF_ADDRESS:
            return _decode_address(fields, kind)
        case _:
            return None


def _thinking_text(value: JsonValue) -> str | None:
    """Mistral's thinking: a list with one text; None for any other shape."""
    match value:
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            return text
        case _:
            return None


def _decode_address(fields: Fields, kind: str) -> Media | None:
    name = kind
    address = fields.peek(name)
    if isinstance(address, str):
        fields.take(name)
        fields.put_back(SHORTHAND, "address")
        media_type, source = read_address(address)
        return Media(kind=_KIND_OF_ADDRESS[kind], source=source, media_type=media_type, extra=fields.mark())
    inner = unpack(fields, name)
    address = None if inner is None else inner.take_str("url")
    if inner is None or address is None:
        return None
    keep_inner(fields, f"{name}.", inner)
    media_type, source = read_address(address)
    return Media(kind=_KIND_OF_ADDRESS[kind], source=source, media_type=media_type, extra=fields.mark())


def read_address(address: str) -> tuple[str | None, Inline | Url]:
    """The bytes in a `data:` address with their type, or the address itself."""
    match = _DATA_URL.fullmatch(address)
    return (None, Url(url=address)) if match is None else (match[1], Inline(data=match[2]))


def _decode_sound(fields: Fields) -> Media | None:
    inner = unpack(fields, "input_audio")
    data = None if inner is None else inner.take_str("data")
    if inner is None or data is None:
        return None
    sound = inner.take_str("format")
    keep_inner(fields, "input_audio.", inner)
    media_type = None if sound is None else _MEDIA_TYPE_OF_SOUND.get(sound, f"audio/{sound}")
    return Media(kind="audio", source=Inline(data=data), media_type=media_type, extra=fields.mark())


def _decode_file(fields: Fields) -> Media | None:
    inner = unpack(fields, "file")
    if inner is None:
        return None
    data = inner.take_str("file_data")
    identity = inner.take_str("file_id") if data is None else None
    if data is None and identity is None:
        return None
    name = inner.take_str("filename")
    keep_inner(fields, "file.", inner)
    if data is None:
        return Media(kind="document", source=FileId(id=identity or ""), name=name, extra=fields.mark())
    media_type, source = read_address(data)
    if isinstance(source, Url) and not data.startswith(("http://", "https://", "data:")):
        source = Inline(data=data)
    return Media(kind="document", source=source, media_type=media_type, name=name, extra=fields.mark())


def take_cache_point(fields: Fields) -> CachePoint | None:
    """`cache_control`, Anthropic's mark, which OpenRouter and other resellers accept."""
    if not isinstance(fields.peek("cache_control"), dict):
        return None
    control = unpack(fields, "cache_control")
    return None if control is None else CachePoint(ttl=control.take_str("ttl"), extra=control.mark())


class ContentWriter:
    """Writes the parts of one message as `content`.

    `cached` says that the provider takes `cache_control`. Where no part needs the list form, a single text is written
    as a string; several texts stay a list, or are joined if `join` says that the reader expects one string.
    """

    __slots__ = ("_blocks", "_cached", "_listed", "_losses", "_same_files", "_unreadable", "_videos")

    def __init__(self, losses: Losses, *, cached: bool = False, videos: bool = False, same_files: bool = False) -> None:
        self._blocks: list[JsonObject] = []
        self._listed = False
        self._losses = losses
        self._cached = cached
        self._videos = videos
        self._same_files = same_files
        self._unreadable: list[JsonValue] = []

    def add(self, part: Part, path: str) -> None:
        """Write one part, or note its loss."""
        match part:
            case Text():
                self._text(part, path)
            case Refusal():
                self._refusal(part, path)
            case Reasoning():
                self.thinking(part, path)
            case Media():
                self._media(part, path)
            case Structured():
                self._losses.drop_extra(part.extra, path)
                self._blocks.append({"type": "text", "text": write_json(part.value).decode()})
            case CachePoint():
                self._cache_point(part, path)
            case Opaque():
                self._opaque(part, path)
            case ToolCall() | ToolResult():
                self._losses.add(path, "dropped", "content", f"a {type(part).__name__} can not stand in content")

    def value(self, *, join: bool = False) -> JsonValue:
        """The content; None if nothing was written."""
        if self._unreadable and not self._blocks:
            return self._unreadable[0]
        if not self._blocks:
            return None
        if self._listed or (len(self._blocks) > 1 and not join):
            return [*self._blocks]
        return "".join(str(block.get("text", "")) for block in self._blocks)

    def _text(self, part: Text, path: str) -> None:
        drop_proof(part.proof, path, self._losses)
        fields = native(part.extra)
        if fields is None:
            self._losses.drop_extra(part.extra, path)
            if part.text:
                self._blocks.append({"type": "text", "text": part.text})
            return
        block: JsonObject = {"type": "text", "text": part.text}
        if "type" in fields:
            self._listed = True
            repeat_plain(fields, block)
        self._blocks.append(block)

    def _refusal(self, part: Refusal, path: str) -> None:
        self._listed = True
        block: JsonObject = {"type": "refusal", "refusal": part.text}
        repeat_or_drop(part.extra, block, path, self._losses)
        self._blocks.append(block)

    def thinking(self, part: Reasoning, path: str) -> None:
        """Write reasoning as Mistral does, as a part of its own kind."""
        self._listed = True
        block: JsonObject = {"type": "thinking", "thinking": [{"type": "text", "text": part.text}]}
        repeat_or_drop(part.extra, block, path, self._losses)
        self._blocks.append(block)

    def _media(self, part: Media, path: str) -> None:
        drop_proof(part.proof, path, self._losses)
        fields = native(part.extra)
        block = _native_media(part, fields) if fields is not None else self._foreign_media(part, path)
        if block is None:
            return
        self._listed = self._listed or block.get("type") != "text"
        self._blocks.append(block)

    def _foreign_media(self, part: Media, path: str) -> JsonObject | None:
        self._losses.drop_extra(part.extra, path)
        written = _write_media(part, videos=self._videos, same_files=self._same_files)
        if isinstance(written, Loss):
            self._losses.items.append(msgspec.structs.replace(written, path=path))
            return None
        if isinstance(part.source, PlainText):
            self._losses.add(path, "approximated", "behaviour", "a text document becomes text")
        return written

    def _cache_point(self, part: CachePoint, path: str) -> None:
        fields = native(part.extra)
        if fields is None and not self._cached:
            self._losses.add(path, "dropped", "accounting", "Chat Completions caches on its own")
            return
        if self._blocks:
            self._listed = True
            self._blocks[-1]["cache_control"] = write_cache_point(part)

    def _opaque(self, part: Opaque, path: str) -> None:
        if part.origin is not LANGUAGE:
            self._losses.drop_opaque(part, path)
        elif "unreadable" in part.value:
            self._unreadable.append(part.value["unreadable"])
        else:
            self._listed = True
            self._blocks.append(part.value)


def write_cache_point(part: CachePoint) -> JsonObject:
    """`cache_control` as Anthropic and its resellers spell it."""
    control: JsonObject = dict(native(part.extra) or {"type": "ephemeral"})
    if part.ttl is not None:
        control["ttl"] = part.ttl
    return control


def _address(part: Media) -> str:
    match part.source:
        case Url(url=url):
            return url
        case Inline(data=data):
            return data if part.media_type is None else f"data:{part.media_type};base64,{data}"
        case FileId(id=identity):
            return identity
        case PlainText(text=text):
            return text


def _sound(part: Media) -> str:
    media_type = part.media_type or "audio/wav"
    return _SOUND_OF_MEDIA_TYPE.get(media_type, media_type.removeprefix("audio/"))


def _native_media(part: Media, fields: JsonObject) -> JsonObject:
    """A part of this language as it came, by the type that rides along."""
    kind = str(fields.get("type", ""))
    block: JsonObject = {"type": kind}
    inner: JsonObject = {}
    match kind:
        case "input_audio":
            inner = {"data": _address_of_bytes(part)}
            if part.media_type is not None:
                inner["format"] = _sound(part)
        case "file":
            inner = _file(part)
        case _ if fields.get(SHORTHAND):
            block[kind] = _address(part)
            repeat_plain(fields, block)
            return block
        case _:
            inner = {"url": _address(part)}
    repeat_inner(fields, f"{kind}.", inner)
    block[kind] = inner
    repeat_plain(fields, block, (f"{kind}.",))
    return block


def _address_of_bytes(part: Media) -> str:
    return part.source.data if isinstance(part.source, Inline) else _address(part)


def _file(part: Media) -> JsonObject:
    inner: JsonObject = {}
    if part.name is not None:
        inner["filename"] = part.name
    if isinstance(part.source, FileId):
        inner["file_id"] = part.source.id
    else:
        inner["file_data"] = _address(part)
    return inner


def _write_media(part: Media, *, videos: bool, same_files: bool) -> JsonObject | Loss:
    """A medium of another language as this one says it, or why it can not."""
    match part.source:
        case PlainText(text=text):
            return {"type": "text", "text": text if part.name is None else f"{part.name}\n\n{text}"}
        case FileId(id=identity) if same_files and part.kind == "document":
            return {"type": "file", "file": {"file_id": identity}}
        case FileId():
            return _media_loss("a file that lies at another provider")
        case Inline() if part.kind == "audio":
            return {"type": "input_audio", "input_audio": {"data": part.source.data, "format": _sound(part)}}
        case Inline() if part.kind == "document":
            return _inline_document(part, part.source)
        case Inline() | Url() if part.kind == "image":
            inline = part if part.media_type is not None else msgspec.structs.replace(part, media_type="image/png")
            return {"type": "image_url", "image_url": {"url": _address(inline)}}
        case Inline() | Url() if part.kind == "video" and videos:
            return {"type": "video_url", "video_url": {"url": _address(part)}}
        case _:
            return _media_loss(f"Chat Completions takes no {part.kind} in this form")


def _inline_document(part: Media, source: Inline) -> JsonObject:
    media_type = part.media_type or "application/pdf"
    name = part.name or "document"
    if "." not in name and media_type == "application/pdf":
        name += ".pdf"
    return {"type": "file", "file": {"filename": name, "file_data": f"data:{media_type};base64,{source.data}"}}


def _media_loss(detail: str) -> Loss:
    return Loss(path="", kind="dropped", effect="content", detail=detail)


def repeat_or_drop(extra: Extra | None, into: JsonObject, path: str, losses: Losses) -> None:
    """Write the extras of this language back; note those of another as lost."""
    fields = native(extra)
    if fields is not None:
        repeat_plain(fields, into)
    else:
        losses.drop_extra(extra, path)


def drop_proof(proof: Proof | None, path: str, losses: Losses) -> None:
    """Note a proof that this protocol has no slot for."""
    if proof is not None:
        losses.add(f"{path}.proof", "dropped", "behaviour", "Chat Completions has no place for this proof")
