"""Images, documents, films and sounds as the blocks that carry them: bytes with a format's name, or an S3 address."""

from __future__ import annotations

import base64
import re

from freehold.ir import Extra, Fields, FileId, Inline, JsonObject, JsonValue, Losses, Media, MediaKind, PlainText, Url
from freehold.protocols.bedrock_converse.language import LANGUAGE, ours, repeat
from freehold.protocols.free_names import FreeNames

TYPE_OF_FORMAT: dict[MediaKind, dict[str, str]] = {
    "image": {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
    "document": {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    "video": {
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "mp4": "video/mp4",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    "audio": {
        "mp3": "audio/mpeg",
        "opus": "audio/opus",
        "wav": "audio/wav",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "mp4": "audio/mp4",
        "ogg": "audio/ogg",
        "mka": "audio/x-matroska",
        "pcm": "audio/pcm",
        "webm": "audio/webm",
    },
}
"""The MIME type of each format (botocore's ImageFormat, DocumentFormat, VideoFormat and AudioFormat), one to one."""

FORMAT_OF_TYPE: dict[MediaKind, dict[str, str]] = {
    kind: {media_type: name for name, media_type in formats.items()} for kind, formats in TYPE_OF_FORMAT.items()
}

_OTHER_TYPES: dict[MediaKind, dict[str, str]] = {
    "image": {"image/jpg": "jpeg"},
    "document": {"application/x-pdf": "pdf", "application/csv": "csv", "text/x-markdown": "md"},
    "video": {"video/mpg": "mpeg", "video/x-mpeg": "mpeg", "video/mpegps": "mpeg", "video/avi": "mpeg"},
    "audio": {
        "audio/mp3": "mp3",
        "audio/x-wav": "wav",
        "audio/wave": "wav",
        "audio/x-flac": "flac",
        "audio/m4a": "mp4",
    },
}
"""Other names that senders use."""

_TYPE_OF_PREFIX = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "JVBERi0": "application/pdf",
}
"""How the base64 of each file format begins (its magic number), for media whose type nobody said."""

_TEXTUAL = frozenset({"application/json", "application/xml", "application/yaml", "application/javascript"})

_FORBIDDEN_IN_NAME = re.compile(r"[^A-Za-z0-9 \-()\[\]]+")
_BLANKS = re.compile(r" {2,}")
LONGEST_NAME = 200
"""Characters of a document's name (botocore: DocumentBlockNameString)."""

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_media(kind: MediaKind, value: JsonValue) -> Media | None:
    """The block of an image, document, film or sound; None for a source that nobody knows."""
    if not isinstance(value, dict):
        return None
    fields = Fields(value, LANGUAGE)
    source = _take_source(fields)
    if source is None:
        return None
    name = fields.take_str("name") if kind == "document" else None
    said = fields.peek("format")
    media_type = TYPE_OF_FORMAT[kind].get(said) if isinstance(said, str) else None
    if media_type is not None:
        fields.take("format")
    return Media(kind=kind, source=source, media_type=media_type, name=name, extra=fields.rest())


def _take_source(fields: Fields) -> Inline | PlainText | Url | None:
    match fields.peek("source"):
        case {"bytes": str(data), **rest} if not rest:
            found: Inline | PlainText | Url = Inline(data=data)
        case {"text": str(text), **rest} if not rest:
            found = PlainText(text=text)
        case {"s3Location": {"uri": str(uri), **more}, **rest} if not rest:
            found = Url(url=uri)
            fields.take("source")
            for name, value in more.items():
                fields.put_back(name, value)
            return found
        case _:
            return None
    fields.take("source")
    return found


# --- Writing ---------------------------------------------------------------------------------------------------------


def write_native_media(media: Media, losses: Losses, path: str) -> JsonObject:
    """Media of this language as it was."""
    block: JsonObject = {}
    form = FORMAT_OF_TYPE[media.kind].get(media.media_type or "")
    if form is not None:
        block["format"] = form
    if media.name is not None:
        block["name"] = media.name
    left = ours(media.extra) or {}
    match media.source:
        case Inline(data=data):
            block["source"] = {"bytes": data}
        case PlainText(text=text):
            block["source"] = {"text": text}
        case Url(url=url):
            location: JsonObject = {"uri": url}
            if "bucketOwner" in left:
                location["bucketOwner"] = left["bucketOwner"]
                left = {name: value for name, value in left.items() if name != "bucketOwner"}
            block["source"] = {"s3Location": location}
        case FileId(id=file_id):
            losses.add(path, "dropped", "content", f"file {file_id} lies at another provider")
    repeat(Extra(LANGUAGE, left), block, losses, path)
    return {media.kind: block}


def write_media(media: Media, losses: Losses, path: str) -> JsonObject | None:
    """Another language's media, if Bedrock can take it; a content loss otherwise. Documents need their `name` yet."""
    if media.proof is not None:
        losses.add(f"{path}.proof", "dropped", "behaviour", f"a proof of {media.proof.origin}")
    losses.drop_extra(media.extra, path)
    kind, form = _form(media)
    source = _source(media)
    if source is None or form is None:
        losses.add(path, "dropped", "content", _why_not(media, form))
        return None
    block: JsonObject = {"format": form, "source": source}
    if kind == "document":
        block["name"] = media.name or ""
    return {kind: block}


def _form(media: Media) -> tuple[MediaKind, str | None]:
    """The kind of block and the format's name; a picture that calls itself a document is a picture."""
    if isinstance(media.source, PlainText):
        return "document", "txt"
    said = _media_type(media)
    if said is None:
        return media.kind, _format_of_name(media)
    for kind in (media.kind, *TYPE_OF_FORMAT):
        form = FORMAT_OF_TYPE[kind].get(said) or _OTHER_TYPES[kind].get(said)
        if form is not None:
            return kind, form
    if said.startswith("text/") or said in _TEXTUAL:
        return "document", "txt"
    return media.kind, None


def _media_type(media: Media) -> str | None:
    if media.media_type is not None:
        said = media.media_type.partition(";")[0].strip().lower()
        if said and said != "application/octet-stream":
            return said
    if isinstance(media.source, Inline):
        data = media.source.data
        return next((known for prefix, known in _TYPE_OF_PREFIX.items() if data.startswith(prefix)), None)
    return None


def _format_of_name(media: Media) -> str | None:
    """The format that a file's ending tells."""
    address = media.source.url if isinstance(media.source, Url) else media.name or ""
    ending = address.rpartition(".")[2].lower()
    ending = "jpeg" if ending == "jpg" else ending
    return ending if ending in TYPE_OF_FORMAT[media.kind] else None


def _source(media: Media) -> JsonObject | None:
    match media.source:
        case Inline(data=data):
            return {"bytes": data}
        case PlainText(text=text):
            return {"bytes": base64.b64encode(text.encode(errors="replace")).decode()}
        case Url(url=url) if url.startswith("s3://"):
            return {"s3Location": {"uri": url}}
        case Url() | FileId():
            return None


def _why_not(media: Media, form: str | None) -> str:
    match media.source:
        case FileId():
            return "a file that lies at another provider"
        case Url(url=url) if not url.startswith("s3://"):
            return f"Bedrock fetches no {url.partition(':')[0]}: addresses"
        case _ if form is None:
            return f"{media.media_type or 'data of unknown type'} can not be sent"
        case _:
            return f"{media.kind} can not be sent"


class DocumentNames:
    """Names as Bedrock takes them: a small alphabet, no double blanks, each once in a request."""

    __slots__ = ("_free",)

    def __init__(self) -> None:
        self._free = FreeNames(longest=LONGEST_NAME)

    def give(self, wanted: str) -> str:
        """The name to write."""
        plain = _BLANKS.sub(" ", _FORBIDDEN_IN_NAME.sub(" ", wanted)).strip()[:LONGEST_NAME].rstrip() or "document"
        return self._free.give(plain, " ({})")
