"""Images, sounds, films and documents: inline bytes and addresses of files."""

from __future__ import annotations

import base64

from freehold.ir import FileId, Inline, JsonObject, Losses, Media, MediaKind, PlainText, Url
from freehold.protocols.gemini_generate.language import NAME, STYLE, is_ours
from freehold.protocols.gemini_generate.wire import Node

_FILES = ("https://generativelanguage.googleapis.com/", "files/")
"""Addresses in Google's file store begin so; nobody else can fetch them."""

_TYPE_OF_PREFIX = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "JVBERi0": "application/pdf",
    "SUQz": "audio/mp3",
    "T2dnUw": "audio/ogg",
}
"""How the base64 of each file format begins, for media whose type nobody said: Google refuses bytes without one."""

_TYPE_OF_KIND: dict[MediaKind, str] = {
    "image": "image/jpeg",
    "audio": "audio/wav",
    "video": "video/mp4",
    "document": "application/pdf",
}

_TYPE_OF_SUFFIX = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "txt": "text/plain",
    "html": "text/html",
    "csv": "text/csv",
}


def kind_of(media_type: str | None) -> MediaKind:
    """What a MIME type holds."""
    match (media_type or "").partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "document"


def read_media(node: Node) -> Media | None:
    """The media of a part, `inlineData` or `fileData`; None, and nothing taken, if there is none that is whole."""
    for name, content in (("inlineData", "data"), ("fileData", "fileUri")):
        value = node.peek(name)
        if not isinstance(value, dict):
            continue
        child = Node(value, node.at(name))
        said = child.take_str(content)
        if said is None:
            return None
        node.take(name)
        media_type, title = child.take_str("mimeType"), child.take_str("displayName")
        node.keep(name, child)
        source = Inline(data=_standard(said, node)) if name == "inlineData" else _address(said)
        return Media(kind=kind_of(media_type), source=source, media_type=media_type, name=title)
    return None


_STANDARD, _URL_SAFE = str.maketrans("-_", "+/"), str.maketrans("+/", "-_")
"""Google's Python SDK writes the URL-safe alphabet of base64; Google takes both, others only the standard one."""


def _standard(data: str, node: Node) -> str:
    """Bytes in the standard alphabet; marks those that were in the other."""
    if "-" not in data and "_" not in data:
        return data
    node.note(STYLE, "url-safe")
    return data.translate(_STANDARD)


def _address(uri: str) -> Url | FileId:
    return FileId(id=uri) if uri.startswith(_FILES) else Url(url=uri)


def write_media(media: Media, losses: Losses, path: str, *, native: bool) -> JsonObject | None:
    """The part's own field; None, noted, for what Google could not read."""
    title = media.name
    if title is not None and not native:
        # Only Vertex AI takes `displayName`.
        losses.add(f"{path}.name", "dropped", "behaviour", "the name of a file")
        title = None
    match media.source:
        case Inline(data=data):
            media_type = media.media_type if native else media.media_type or _guess(media, data)
            if media.extra is not None and is_ours(media.extra) and media.extra.fields.get(STYLE) == "url-safe":
                data = data.translate(_URL_SAFE)
            return {"inlineData": _object(media_type, "data", data, title)}
        case PlainText(text=text):
            data = base64.b64encode(text.encode(errors="replace")).decode()
            return {"inlineData": _object(media.media_type or "text/plain", "data", data, title)}
        case Url(url=url):
            if not native and not url.startswith(("https://", "http://", "gs://")):
                losses.add(path, "dropped", "content", "an address that Google does not fetch")
                return None
            media_type = media.media_type if native else media.media_type or _guess_url(media, url)
            return {"fileData": _object(media_type, "fileUri", url, title)}
        case FileId(id=file_id):
            if not native and not file_id.startswith(_FILES):
                losses.add(path, "dropped", "content", f"a file that does not lie at {NAME}'s provider")
                return None
            return {"fileData": _object(media.media_type, "fileUri", file_id, title)}


def _object(media_type: str | None, name: str, value: str, title: str | None) -> JsonObject:
    wire: JsonObject = {}
    if media_type is not None:
        wire["mimeType"] = media_type
    wire[name] = value
    if title is not None:
        wire["displayName"] = title
    return wire


def _guess(media: Media, data: str) -> str:
    found = next((known for prefix, known in _TYPE_OF_PREFIX.items() if data.startswith(prefix)), None)
    return found or _TYPE_OF_KIND[media.kind]


def _guess_url(media: Media, url: str) -> str:
    suffix = url.partition("?")[0].rpartition(".")[2].lower()
    return _TYPE_OF_SUFFIX.get(suffix) or _TYPE_OF_KIND[media.kind]
