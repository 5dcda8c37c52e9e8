"""Write the messages of a request as the body of an OpenAI chat completion, media as data URIs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workloads.media.containers import container_of
from workloads.records import Media, Message

PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)
VIDEOS = {"mov": "video/mp4", "matroska": "video/webm"}
UNKNOWN = "application/octet-stream"


def chat_body(messages: Iterable[Message], model: str, max_tokens: int, settings: Mapping[str, Any]) -> bytes:
    """Encode a request for a greedy, streamed answer, as JSON in UTF-8.

    Args:
        model: its name on the server.
        settings: more fields, which the server is known to take.
    """
    document = {
        "model": model,
        "messages": [_message(message) for message in messages],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": True,
        **settings,
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _message(message: Message) -> dict[str, Any]:
    texts = [part for part in message.content if isinstance(part, str)]
    if len(texts) == len(message.content):
        return {"role": message.role, "content": "".join(texts)}
    return {"role": message.role, "content": _parts(message.content)}


def _parts(content: Sequence[str | Media]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for part in content:
        if isinstance(part, str):
            parts.append({"type": "text", "text": part})
        else:
            kind = f"{part.kind}_url"
            parts.append({"type": kind, kind: {"url": data_uri(part)}})
    return parts


def data_uri(medium: Media) -> str:
    """Encode the file of a medium as a data URI (RFC 2397), typed by its first bytes."""
    return f"data:{_type_of(medium.data)};base64,{base64.b64encode(medium.data).decode()}"


def _type_of(data: bytes) -> str:
    """The media type of a file by its first bytes."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    container = container_of(data)
    if container is not None:
        return VIDEOS[container]
    return next((kind for start, kind in PICTURES if data.startswith(start)), UNKNOWN)
