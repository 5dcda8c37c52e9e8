"""Read data URIs as RFC 2397 has them, and as they are written: with parameters, without a type, in several lines.

``data:[<type>][;<parameter>]*[;base64],<data>``. Upper and lower case are alike up to the comma. Blanks and line breaks
within base64 are left out, ``%2B`` and the like are read, and the alphabet for URLs (``-`` and ``_``) is taken for the
other; padding must be there. ``;base64`` may stand before other parameters. Without it the data are percent-encoded.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote_to_bytes

from workloads.records import MediaKind

START = "data:"
HEADER = re.compile(r'data:(?P<type>[^,;"]{0,127})(?P<parameters>(?:;(?:[^,;"]|"[^"]*")*)*),', re.IGNORECASE)
LONGEST_HEADER = 1000
TYPES: dict[MediaKind, tuple[str, ...]] = {"image": ("image",), "video": ("video", "image")}  # animations are images
UNKNOWN = ("", "application/octet-stream", "binary/octet-stream")  # the data say what they are
ENCODED = re.compile(  # PNG, JPEG, GIF, WebP, TIFF, MP4 and WebM
    r"\s*(?:iVBORw0KGgo|[/_]9j[/_]|R0lGOD[dl]h|UklGR|SUkqA|TU0AK|AAAA[\w+/-][GWm2]Z0eX|GkXfo)[\w+/-]{40}"
)
BLANK = re.compile(rb"\s+")
FOR_URLS = bytes.maketrans(b"-_", b"+/")


def is_data_uri(url: str) -> bool:
    """Whether this is a data URI, and no path."""
    return url.lstrip()[: len(START)].lower() == START


def is_encoded_media(text: str) -> bool:
    """Whether a text begins as pictures and videos do in base64."""
    return ENCODED.match(text) is not None


def decode_data_uri(uri: str, kind: MediaKind) -> bytes:
    """The file in a data URI.

    Raises:
        ValueError: with the end of a sentence that begins with the field: it holds another kind of file, or the data
            cannot be decoded.
    """
    uri = uri.strip()
    header = HEADER.match(uri[:LONGEST_HEADER])
    media_type = header["type"].strip().lower() if header else None
    if media_type is None or (media_type not in UNKNOWN and media_type.partition("/")[0] not in TYPES[kind]):
        raise ValueError(f"must be a path or start with 'data:{kind}/...;base64,'")
    assert header is not None
    data = uri[header.end() :]
    if "base64" not in (parameter.strip().lower() for parameter in header["parameters"].split(";")):
        if is_encoded_media(data):
            raise ValueError("holds base64, and does not say so: write ';base64,' in place of its first comma")
        return unquote_to_bytes(data)
    if not data.isascii():
        raise ValueError("is not valid base64 (it holds characters other than ASCII)")
    encoded = BLANK.sub(b"", unquote_to_bytes(data) if "%" in data else data.encode())
    if re.search(b"[-_]", encoded) and re.search(b"[+/]", encoded):
        raise ValueError("is not valid base64 (it mixes '+' or '/' with '-' or '_', which mean the same)")
    try:
        return base64.b64decode(encoded.translate(FOR_URLS), validate=True)
    except ValueError as error:
        raise ValueError(f"is not valid base64 ({error})") from error
