"""Refuse media that a line names where they are not read: a question about a picture is never asked without it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from workloads.files.data_uri import is_encoded_media
from workloads.reading import brief_name

NUMBER = r"(?:_?\d{1,6})?"
NAMED_LIKE_MEDIA = re.compile(
    r"(?:[a-z0-9]+_){0,3}?(?:image|img|picture|photo|video|audio|clip|frame|screenshot|media|visuals|pixel|multi_?modal"
    rf"|attachment)s?{NUMBER}(?:_?(?:path|file|filename|name|url|uri|src|data|bytes|b64|base64|content|list|input|value)s?)?"
    rf"{NUMBER}"
)
DATA_OF_MEDIA = re.compile(r"\s*data:(?:image|video|audio|application|;|,)", re.IGNORECASE)
FILE_OF_MEDIA = re.compile(
    r"\S{0,1000}\.(?:png|apng|jpe?g|jfif|jp2|j2k|jpx|jxl|webp|gif|bmp|tiff?|hei[cf]|avif|p[bgnp]m|ico|tga|dcm|svg|pdf"
    r"|mp4|m4v|mov|webm|mkv|avi|mpe?g|wmv|flv|3gp|og[gv]|wav|mp3|m4a|flac)(?:[?#]\S*)?",
    re.IGNORECASE,
)
MOST_NESTED = 8
LONGEST_PATH = 1000  # characters
TEXT_BEGINS = 2000  # characters of a text that are looked at


def refuse_unread_media(data: object, read: Collection[str], where: str = "", used: Collection[str] = ()) -> None:
    """Check that the fields of a line, or of a part of it, that are not ``read`` hold no media.

    Args:
        data: as it is written.
        read: names of the fields that are read.
        where: path of ``data`` within the line.
        used: paths that the line has in fields that are read, which others may repeat.

    Raises:
        ValueError: a sentence that begins with the field.
    """
    if not isinstance(data, Mapping):
        return
    names = {PurePosixPath(path).name for path in used if len(path) <= LONGEST_PATH and FILE_OF_MEDIA.fullmatch(path)}
    for name, value in data.items():
        if name not in read and _holds_media(name, value, names):
            place = f"{where}.{brief_name(name)}" if where else brief_name(name)
            raise ValueError(
                f"{place} looks like media, and is not read there: "
                "put them into a field that is read (see docs/files.md), or remove it"
            )


def is_media_uri(text: str) -> bool:
    """Whether a text begins with a data URI of media."""
    return DATA_OF_MEDIA.match(text) is not None


def texts_in(value: object, depth: int = 0) -> Iterator[str]:
    """All texts in a value of JSON, to a certain depth."""
    if isinstance(value, str):
        yield value
    elif depth < MOST_NESTED:
        for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
            yield from texts_in(item, depth + 1)


def _holds_media(name: object, value: Any, used: Collection[str], depth: int = 0) -> bool:
    """Whether a field looks like media by its name or by what is in it; one that repeats a used path does not."""
    if isinstance(value, str):
        text = value[:TEXT_BEGINS].strip()
        if is_media_uri(text) or is_encoded_media(text):
            return True
        is_source = "://" in text and used  # of the media that the line has
        if PurePosixPath(text).name in used:
            return False
        named = isinstance(name, str) and NAMED_LIKE_MEDIA.fullmatch(_snake_case(name))
        return bool(text and (named or (FILE_OF_MEDIA.fullmatch(text) and not is_source)))
    if depth >= MOST_NESTED:
        return False
    if isinstance(value, Mapping):
        named = isinstance(name, str) and NAMED_LIKE_MEDIA.fullmatch(_snake_case(name))
        items = [(name if named else key, item) for key, item in value.items()]
        return any(_holds_media(key, item, used, depth + 1) for key, item in items)
    if isinstance(value, list | tuple):
        return any(_holds_media(name, item, used, depth + 1) for item in value)
    return False


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:100]).replace("-", "_").casefold()
