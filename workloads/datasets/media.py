"""Read pictures and videos of data sets: bytes in a row, files beside the rows, or members of zip archives."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from os import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from zipfile import ZipFile

from workloads.datasets.row_files import HUB, reason
from workloads.datasets.rows import Table
from workloads.datasets.within import is_within, regular_files
from workloads.errors import quoted
from workloads.media.containers import container_of
from workloads.media.limits import MOST_BYTES as MOST_PICTURE_BYTES
from workloads.reading.regular import open_regular
from workloads.records import Media, MediaKind

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

MOST_BYTES: dict[MediaKind, int] = {"image": MOST_PICTURE_BYTES, "video": 2 * 2**30}  # an hour of video has less
MOST_CONTENTS = 32 * 2**20  # bytes of a zip archive's table of contents: about 400,000 files
END_OF_ZIP, END_OF_ZIP64 = b"PK\5\6", b"PK\6\6"
LONGEST_END = 2**16 + 200  # bytes, the archive's comment among them
MOST_32_BITS = 2**32 - 1  # which stands for a number that is elsewhere


class MediaFiles:
    """Each medium as one ``Media``, however many rows hold it. Its bytes stay as they are.

    Args:
        table: the rows, beside which files lie.
        folder: their local copy; None for the hub, from which only what is asked for is read.
        archives: patterns of zip archives that are looked into for files that do not lie beside the rows.
    """

    def __init__(self, table: Table, folder: Path | None, archives: Sequence[str] = ()) -> None:
        self._folder = folder.resolve() if folder is not None else None
        self._top = f"datasets/{table.path}@{table.revision or 'main'}" if folder is None else str(self._folder)
        self._table, self._archives = table, archives
        self._known: dict[tuple[MediaKind, bytes], Media] = {}

    def media(self, value: Any, kind: MediaKind, name: str) -> list[Media]:
        """What a field holds: media, lists of them, or nothing.

        Raises:
            ValueError: it holds something else, or names a file that cannot be had.
        """
        if value is None:
            return []
        if isinstance(value, list):
            many = [self.media(item, kind, f"{name}-{number}") for number, item in enumerate(value)]
            return [medium for some in many for medium in some]
        data = self.encoded(value, kind)
        if kind == "video" and container_of(data) is not None and find_spec("av") is None:
            raise ValueError("videos take PyAV to read: pip install 'vlcache[video]'")
        return [self._known.setdefault((kind, data), Media(kind, data, name))]

    def encoded(self, value: Any, kind: MediaKind) -> bytes:
        """The file that a field holds or names; ValueError as for ``media``."""
        source = value
        if isinstance(value, dict):
            source = value.get("bytes") or value.get("path")
        if isinstance(source, bytes):
            return source
        if isinstance(source, str):
            try:
                return self._read(source, MOST_BYTES[kind])
            except Exception as error:  # whatever file systems, archives and the network have to say
                raise ValueError(f"{quoted(source)} cannot be read: {reason(error)}") from error
        raise ValueError(f"{quoted(str(value))} is no picture, video or path")

    def _read(self, path: str, most: int) -> bytes:
        """The file at ``path`` from the top folder; a leading slash, as some data sets have, means the same."""
        if path.startswith(HUB) and self._folder is None:
            place = inside = path.removeprefix(HUB)
            if not place.startswith(f"datasets/{self._table.path}@") or ".." in place.split("/"):
                raise ValueError("it leads out of the data set")
        else:
            inside = posixpath.normpath(path.removeprefix(self._top).lstrip("/"))
            place = f"{self._top}/{inside}"
            if inside.startswith("../") or not self._is_within(place):
                raise ValueError("it leads out of the data set")
        if not self._files.isfile(place):
            return self._member(inside, most)
        _require_bearable(self._files.size(place), most)
        with self._opened(place) as file:
            return file.read(most)

    def _is_within(self, place: str) -> bool:
        return self._folder is None or is_within(self._folder, Path(place))

    def _member(self, inside: str, most: int) -> bytes:
        """A file out of the archive that has it."""
        if inside not in self._members:
            looked = f", nor is it in {', '.join(self._archives)}" if self._archives else ""
            raise ValueError(f"there is no such file in the data set{looked}")
        with self._opened(self._members[inside]) as file, _archive(file) as archive:
            _require_bearable(archive.getinfo(inside).file_size, most)
            return archive.read(inside)

    @cached_property
    def _members(self) -> dict[str, str]:
        """In which archive a file is; of the archives, only the tables of contents are read."""
        archive_of: dict[str, str] = {}
        for place in [place for pattern in self._archives for place in self._found(pattern)]:
            with self._opened(place) as file, _archive(file) as archive:
                for name in archive.namelist():
                    archive_of.setdefault(name, place)
        return archive_of

    def _found(self, pattern: str) -> list[str]:
        """The files that a pattern fits; UsageError when a link leads out of the local copy."""
        if self._folder is not None:
            return [str(path) for path in regular_files(self._folder, pattern)]
        return sorted(self._files.glob(f"{self._top}/{pattern}"))

    def _opened(self, place: str) -> BinaryIO:
        """A file of the data set, opened for reading; of a local copy, a regular one."""
        if self._folder is not None:
            return open_regular(Path(place))
        opened: BinaryIO = self._files.open(place, "rb")
        return opened

    @cached_property
    def _files(self) -> AbstractFileSystem:
        if self._folder is not None:
            from fsspec.implementations.local import LocalFileSystem

            return LocalFileSystem()
        from huggingface_hub import HfFileSystem

        return HfFileSystem()


def _archive(file: BinaryIO) -> ZipFile:
    """A zip archive; ValueError when its table of contents is too large to be read."""
    size = file.seek(0, SEEK_END)
    file.seek(max(size - LONGEST_END, 0))
    end = file.read(LONGEST_END)
    place, large = end.rfind(END_OF_ZIP), end.rfind(END_OF_ZIP64)
    contents = int.from_bytes(end[place + 12 : place + 16], "little") if place >= 0 else 0
    if large >= 0:
        contents = max(contents % MOST_32_BITS, int.from_bytes(end[large + 40 : large + 48], "little"))
    if contents > MOST_CONTENTS:
        raise ValueError(f"the archive's table of contents is larger than {MOST_CONTENTS // 2**20} MiB")
    file.seek(0)
    return ZipFile(file)


def _require_bearable(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"it is larger than {most // 2**20} MiB")
