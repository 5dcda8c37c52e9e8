"""Pictures that requests refer to by path or data URI: found, bounded and decoded once before anything is asked."""

from __future__ import annotations

import base64
import io
import re
import warnings
from pathlib import Path

from blake3 import blake3
from PIL import Image, UnidentifiedImageError

from workloads.records import Media

MOST_PIXELS = 100_000_000  # of one decoded frame: 300 MB as RGB; a 600 dpi A4 scan has 35 million
MOST_BYTES = 64 * 2**20  # of an encoded file
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # no format for which Pillow starts other programs
DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)
LONGEST_SHOWN = 100


class Pictures:
    """Each picture as one ``Media``, however many requests name it and however it is named. Its bytes stay as they are.

    Args:
        folder: where relative paths start; nothing outside it is read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._known: dict[bytes, Media] = {}

    def load(self, url: str) -> Media:
        """The picture at ``url``; ValueError with the end of a sentence that begins with what holds the ``url``."""
        inline = url[:5].lower() == "data:"
        name, data = _inline(url) if inline else (url, self._read(url))
        if data not in self._known:
            try:
                require_readable(data)
            except ValueError as error:
                raise ValueError(f"{'' if inline else f'{shown(url)} '}{error}") from error
            self._known[data] = Media("image", data, name)
        return self._known[data]

    def _read(self, url: str) -> bytes:
        if "://" in url:
            raise ValueError(f"{shown(url)} is not read: nothing is downloaded, save the picture beside the requests")
        try:
            file = (self._folder / url).resolve()
            if not file.is_relative_to(self._folder):
                raise ValueError(f"{shown(url)} leads out of the folder of the requests")
            if not file.is_file():
                raise ValueError(f"{shown(url)} does not exist or is no file")
            with file.open("rb") as stream:
                data = stream.read(MOST_BYTES + 1)
        except (OSError, RuntimeError) as error:  # RuntimeError: links that go round in circles, before Python 3.13
            reason = error.strerror if isinstance(error, OSError) else "symbolic links in a circle"
            raise ValueError(f"{shown(url)} cannot be read ({reason})") from error
        if len(data) > MOST_BYTES:
            raise ValueError(f"{shown(url)} is larger than {MOST_BYTES // 2**20} MiB")
        return data


def require_readable(data: bytes) -> None:
    """Decode a picture as far as it will be used; ValueError when it is damaged, or too large to try."""
    too_large = f"has more than the {MOST_PIXELS // 10**6} million pixels that are decoded; scale it down"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are judged here, and of damaged notes beside the picture
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                fits = image.width * image.height <= MOST_PIXELS
                if fits:
                    image.load()
    except Image.DecompressionBombError as error:
        raise ValueError(too_large) from error
    except UnidentifiedImageError as error:  # its own text holds a memory address
        raise ValueError(f"is not a readable picture (none of {', '.join(FORMATS)})") from error
    except Exception as error:  # decoders raise anything
        raise ValueError(f"is not a readable picture ({' '.join(str(error).split())})") from error
    if not fits:
        raise ValueError(too_large)


def shown(text: str) -> str:
    """A user's text in quotes, on one line of bearable length."""
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}...")


def _inline(uri: str) -> tuple[str, bytes]:
    """Name and bytes of the picture in a data URI."""
    start = DATA_URI.match(uri)
    if start is None:
        raise ValueError("must be a path or start with 'data:image/...;base64,'")
    try:
        data = base64.b64decode(uri[start.end() :], validate=True)
    except ValueError as error:
        raise ValueError(f"is not valid base64 ({error})") from error
    return f"inline-{blake3(data).hexdigest()[:8]}", data
