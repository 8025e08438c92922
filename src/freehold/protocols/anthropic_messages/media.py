"""Images and documents as the blocks that carry them."""

from __future__ import annotations

import base64
import binascii

from freehold.ir import FileId, Inline, JsonObject, Losses, Media, PlainText, Url
from freehold.protocols.anthropic_messages.language import LANGUAGE

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""What the vision documentation lists; the API refuses any other."""

_TYPE_OF_PREFIX = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "JVBERi0": "application/pdf",
}
"""How the base64 of each file format begins (its magic number), for media whose type nobody said."""


def write_media(media: Media, losses: Losses, path: str, *, native: bool) -> JsonObject | None:
    """The block of an image or document; None, noted, for what has no block here."""
    if media.proof is not None:
        losses.add(f"{path}.proof", "dropped", "behaviour", f"a proof of {media.proof.origin}")
    source = _native_source(media) if native else _foreign_source(media, losses, path)
    if source is None:
        return None
    kind = media.kind if native else ("image" if _is_image(media) else "document")
    block: JsonObject = {"type": kind, "source": source}
    if media.name is not None and kind == "document":
        block["title"] = media.name
    husk = media.extra.fields.get("source") if media.extra is not None and media.extra.origin is LANGUAGE else None
    if isinstance(husk, dict):
        block["source"] = {**source, **husk}
    losses.repeat(media.extra, LANGUAGE, block, path)
    return block


def _native_source(media: Media) -> JsonObject:
    source: JsonObject
    match media.source:
        case Inline(data=data):
            source = {"type": "base64", "media_type": media.media_type, "data": data}
        case PlainText(text=text):
            source = {"type": "text", "media_type": media.media_type, "data": text}
        case Url(url=url):
            return {"type": "url", "url": url}
        case FileId(id=file_id):
            return {"type": "file", "file_id": file_id}
    if media.media_type is None:
        del source["media_type"]
    return source


def _foreign_source(media: Media, losses: Losses, path: str) -> JsonObject | None:
    """The source of another language's media, if the API would take it. Notes a content loss otherwise."""
    if media.kind not in ("image", "document"):
        losses.add(path, "dropped", "content", f"{media.kind} can not be sent to Claude")
        return None
    match media.source:
        case PlainText(text=text):
            return {"type": "text", "media_type": "text/plain", "data": text}
        case Url(url=url):
            if url.startswith(("https://", "http://")):
                return {"type": "url", "url": url}
            losses.add(path, "dropped", "content", f"no provider of Claude fetches {url.partition(':')[0]}: addresses")
        case FileId():
            losses.add(path, "dropped", "content", "a file that lies at another provider")
        case Inline(data=data):
            source = _inline_source(media, data)
            if source is not None:
                return source
            losses.add(path, "dropped", "content", f"{media.media_type or 'data of unknown type'} can not be sent")
    return None


def _inline_source(media: Media, data: str) -> JsonObject | None:
    media_type = _media_type(media, data)
    if media_type in IMAGE_TYPES or media_type == "application/pdf":
        return {"type": "base64", "media_type": media_type, "data": data}
    if media_type is not None and (media_type.startswith("text/") or media_type in _TEXTUAL):
        text = _decode_text(data)
        if text is not None:
            return {"type": "text", "media_type": "text/plain", "data": text}
    return None


_TEXTUAL = frozenset({"application/json", "application/xml", "application/yaml", "application/javascript"})


def _media_type(media: Media, data: str) -> str | None:
    if media.media_type is not None:
        said = media.media_type.partition(";")[0].strip().lower()
        return "image/jpeg" if said == "image/jpg" else said
    return next((known for prefix, known in _TYPE_OF_PREFIX.items() if data.startswith(prefix)), None)


def _is_image(media: Media) -> bool:
    if isinstance(media.source, Inline):
        known = _media_type(media, media.source.data)
        return known in IMAGE_TYPES if known is not None else media.kind == "image"
    return media.kind == "image" and not isinstance(media.source, PlainText)


def _decode_text(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
