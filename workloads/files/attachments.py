"""Load pictures and videos that request lines name by path or data URI, and check that they can be decoded."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

from blake3 import blake3

from workloads.errors import quoted
from workloads.files.data_uri import decode_data_uri, is_data_uri
from workloads.media import animations, limits
from workloads.media.containers import container_of
from workloads.media.pictures import decode
from workloads.media.videos import require_playable
from workloads.reading.regular import open_within
from workloads.records import Media, MediaKind

MOST_BYTES: dict[MediaKind, int] = {"image": limits.MOST_BYTES, "video": 256 * 2**20}  # of an encoded file
LOCAL = "file://"


class Attachments:
    """Each file as one ``Media``, however many requests name it and however it is named. Its bytes stay as they are.

    Args:
        folder: where relative paths start; nothing outside it is read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._known: dict[tuple[MediaKind, bytes], Media] = {}

    def load(self, url: str, kind: MediaKind, field: str) -> Media:
        """The file at ``url``; ValueError with a sentence that begins with the ``field`` that holds the ``url``."""
        try:
            return self._load(url, kind)
        except ValueError as error:
            raise ValueError(f"{field} {error}") from error

    def holds(self, url: str) -> bool:
        """Whether a file lies at ``url`` from the folder down."""
        path = unquote(url.removeprefix(LOCAL)) if url.startswith(LOCAL) else url
        try:
            with open_within(self._folder, path):
                return True
        except OSError:
            return False

    def _load(self, url: str, kind: MediaKind) -> Media:
        inline = is_data_uri(url)
        name, data = _inline(url, kind) if inline else (url, self._read(url, kind))
        if (kind, data) not in self._known:
            try:
                (decode if kind == "image" else _require_playable)(data)
            except ValueError as error:
                raise ValueError(f"{'' if inline else f'{quoted(url)} '}{error}") from error
            self._known[kind, data] = Media(kind, data, name)
        return self._known[kind, data]

    def _read(self, url: str, kind: MediaKind) -> bytes:
        path = unquote(url.removeprefix(LOCAL)) if url.startswith(LOCAL) else url
        if "://" in path:
            raise ValueError(f"{quoted(url)} is not read: nothing is downloaded, save the file beside the requests")
        if "\0" in path:
            raise ValueError(f"{quoted(url)} holds a null character")
        try:
            file = (self._folder / path).resolve()
            if file.is_symlink():  # from Python 3.13 on; before, resolving raises RuntimeError
                raise RuntimeError("symbolic links in a circle")
            if not file.is_relative_to(self._folder):
                raise ValueError(f"{quoted(url)} leads out of the folder of the requests")
            if not file.is_file():
                raise ValueError(f"{quoted(url)} does not exist or is no file")
            with open_within(self._folder, file.relative_to(self._folder)) as stream:
                fits = os.fstat(stream.fileno()).st_size <= MOST_BYTES[kind]
                data = stream.read(MOST_BYTES[kind] + 1) if fits else b""
        except (OSError, RuntimeError) as error:  # RuntimeError: links that go round in circles
            reason = error.strerror if isinstance(error, OSError) else "symbolic links in a circle"
            raise ValueError(f"{quoted(url)} cannot be read ({reason})") from error
        if not fits or len(data) > MOST_BYTES[kind]:
            raise ValueError(f"{quoted(url)} is larger than {MOST_BYTES[kind] // 2**20} MiB")
        return data


def _require_playable(data: bytes) -> None:
    """ValueError for what is neither a readable video nor a picture; one with several frames is a video, too."""
    if container_of(data):
        require_playable(data)
    else:
        animations.require_playable(data)


def _inline(uri: str, kind: MediaKind) -> tuple[str, bytes]:
    """Name and bytes of the file in a data URI."""
    data = decode_data_uri(uri, kind)
    if len(data) > MOST_BYTES[kind]:
        raise ValueError(f"holds more than {MOST_BYTES[kind] // 2**20} MiB")
    return f"inline-{blake3(data).hexdigest()[:8]}", data
