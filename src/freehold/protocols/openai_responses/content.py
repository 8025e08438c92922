"""The parts inside an item: texts, refusals, images, files."""

from __future__ import annotations

from base64 import b64encode
from typing import cast

from freehold.ir import (
    Extra,
    FileId,
    Inline,
    JsonObject,
    JsonValue,
    Losses,
    Media,
    Opaque,
    PlainText,
    Refusal,
    Role,
    Structured,
    Text,
    Url,
    write_json,
)
from freehold.ir.values import CachePoint
from freehold.protocols.openai_responses.language import LANGUAGE, carry, keep
from freehold.protocols.openai_responses.residual import residual

Content = Text | Refusal | Media | Opaque
Said = Text | Refusal


def text_content(text: str, role: Role) -> JsonObject:
    """A text as this protocol writes it by itself; SDKs need both lists on what the model said."""
    if role == "assistant":
        return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    return {"type": "input_text", "text": text}


def refusal_content(text: str) -> JsonObject:
    """A refusal as this protocol writes it by itself."""
    return {"type": "refusal", "refusal": text}


def read_content(wire: JsonValue, role: Role) -> Content | None:
    """One element of a content list; None if it is not even an object."""
    if not isinstance(wire, dict):
        return None
    match wire:
        case {"type": "input_text" | "output_text", "text": str(text)}:
            # Always with an extra: it tells the object from the bare string that may stand for it.
            return Text(text=text, extra=Extra(LANGUAGE, residual(wire, text_content(text, role))))
        case {"type": "refusal", "refusal": str(text)}:
            return Refusal(text=text, extra=keep(residual(wire, refusal_content(text))))
        case {"type": "input_image" | "input_file"}:
            media = _read_media(wire)
        case _:
            media = None
    if media is None:
        return Opaque(origin=LANGUAGE, value=wire)
    left = residual(wire, cast("JsonObject", media_content(media)))
    return Media(kind=media.kind, source=media.source, media_type=media.media_type, name=media.name, extra=keep(left))


def _read_media(wire: JsonObject) -> Media | None:
    match wire:
        case {"type": "input_image", "image_url": str(url)}:
            return _image_of_url(url)
        case {"type": "input_image", "file_id": str(file)}:
            return Media(kind="image", source=FileId(id=file))
        case {"type": "input_file", "file_data": str(data)}:
            inline = _inline(data)
            if inline is None:
                return None
            source, media_type = inline
            return Media(kind="document", source=source, media_type=media_type, name=_name(wire))
        case {"type": "input_file", "file_url": str(url)}:
            return Media(kind="document", source=Url(url=url), name=_name(wire))
        case {"type": "input_file", "file_id": str(file)}:
            return Media(kind="document", source=FileId(id=file), name=_name(wire))
        case _:
            return None


def _name(wire: JsonObject) -> str | None:
    name = wire.get("filename")
    return name if isinstance(name, str) else None


def _image_of_url(url: str) -> Media:
    inline = _inline(url)
    if inline is None:
        return Media(kind="image", source=Url(url=url))
    source, media_type = inline
    return Media(kind="image", source=source, media_type=media_type)


def _inline(url: str) -> tuple[Inline, str] | None:
    """The bytes and the type in a base64 data URL; None for any other address."""
    head, comma, data = url.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        return None
    return Inline(data=data), head.removeprefix("data:").removesuffix(";base64")


def media_content(media: Media) -> JsonObject | None:
    """Media as this protocol writes it by itself; None where it has no way to say it."""
    source = media.source
    match media.kind, source:
        case "image", Inline(data=data):
            kind = media.media_type if media.media_type is not None else "image/png"
            return {"type": "input_image", "detail": "auto", "image_url": f"data:{kind};base64,{data}"}
        case "image", Url(url=url) if url.startswith(("http://", "https://", "data:")):
            return {"type": "input_image", "detail": "auto", "image_url": url}
        case "image", FileId(id=file):
            return {"type": "input_image", "detail": "auto", "file_id": file}
        case "document", _:
            return _document(media)
        case _:
            return None


def _document(media: Media) -> JsonObject | None:
    written: JsonObject = {"type": "input_file"}
    if media.name is not None:
        written["filename"] = media.name
    match media.source:
        case Inline(data=data):
            kind = media.media_type if media.media_type is not None else "application/pdf"
            written["file_data"] = f"data:{kind};base64,{data}"
        case PlainText(text=text):
            written["file_data"] = "data:text/plain;base64," + b64encode(text.encode()).decode()
        case Url(url=url) if url.startswith(("http://", "https://")):
            written["file_url"] = url
        case FileId(id=file):
            written["file_id"] = file
        case _:
            return None
    return written


def write_said(part: Said, losses: Losses, path: str) -> JsonObject:
    """A text or refusal of the model."""
    if isinstance(part, Refusal):
        return carry(refusal_content(part.text), part.extra, losses, path)
    return carry(text_content(part.text, "assistant"), part.extra, losses, path)


def write_content(
    part: Text | Media | Structured | CachePoint | Opaque | Refusal, role: Role, losses: Losses, path: str
) -> JsonObject | None:
    """One element of a content list that the model is given; None, and a loss, where it can not be said."""
    match part:
        case Text():
            return carry(text_content(part.text, role), part.extra, losses, path)
        case Refusal():
            return carry(refusal_content(part.text), part.extra, losses, path)
        case Structured():
            return carry(text_content(write_json(part.value).decode(), role), part.extra, losses, path)
        case Media():
            return _write_media(part, losses, path)
        case CachePoint():
            losses.add(path, "dropped", "behaviour", "the provider decides what to cache")
            return None
        case Opaque():
            if part.origin is LANGUAGE:
                return part.value
            losses.drop_opaque(part, path)
            return None


def _write_media(media: Media, losses: Losses, path: str) -> JsonObject | None:
    written = media_content(media)
    if written is None:
        losses.add(path, "dropped", "content", f"no way to say {media.kind} of this form")
        return None
    native = media.extra is not None and media.extra.origin is LANGUAGE
    if "file_data" in written and "filename" not in written and not native:
        # The API refuses file data without a name; its ending must fit the type.
        ending = {"application/pdf": "pdf", "text/plain": "txt"}.get(media.media_type or "application/pdf", "txt")
        written["filename"] = f"document.{ending}"
    if media.proof is not None:
        losses.add(f"{path}.proof", "dropped", "behaviour", f"{media.proof.origin} only")
    return carry(written, media.extra, losses, path)
