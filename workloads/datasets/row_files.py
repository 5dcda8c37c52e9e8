"""Check files of rows, in a local copy or on the hub, before their rows are read; say which of them is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from workloads.datasets.bounds import require_bearable_head, require_bearable_rows
from workloads.errors import UsageError
from workloads.reading import in_one_line
from workloads.reading.regular import open_regular

BUILDERS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv"}
HUB = "hf://"
LONGEST_REASON = 200

RowFile = Path | str  # of a local copy, or the address of one on the hub


class RowFiles:
    """The files that hold a data set's rows, each checked once.

    Args:
        files: in the order of the data set's shards; files of another form, such as pictures, are left out.
    """

    def __init__(self, files: Sequence[RowFile]) -> None:
        self._files = [file for file in files if _suffix(file) in BUILDERS]
        self._bearable: set[RowFile] = set()

    def require_bearable_shard(self, shard: int, shards: int) -> None:
        """Check the files that a shard is read from: its own where each file is one, else all of them.

        Raises:
            UsageError: reading their rows would take too much memory, or one cannot be read.
        """
        of_shard = [self._files[shard]] if len(self._files) == shards else self._files
        for file in of_shard:
            if file not in self._bearable:
                _require_bearable(file)
                self._bearable.add(file)

    def require_bearable_first(self) -> None:
        """Check the first file, whose beginning tells what the rows are like; UsageError as above."""
        for file in self._files[:1]:
            _require_bearable(file)
            self._bearable.add(file)


def _require_bearable(file: RowFile) -> None:
    try:
        if isinstance(file, Path):
            with open_regular(file) as local:
                require_bearable_rows(local, _suffix(file))
        else:
            with _open_on_hub(file) as remote:
                require_bearable_head(remote, _suffix(file))
    except ValueError as error:
        raise UsageError(f"{file} {error}") from error
    except Exception as error:  # whatever the file format, the file system or the network have to say
        about = ":" if isinstance(error, OSError) else " cannot be read:"
        raise UsageError(f"{file}{about} {reason(error)}") from error


def _open_on_hub(address: str) -> BinaryIO:
    """A file on the hub, of which only the parts that are read are fetched."""
    from huggingface_hub import HfFileSystem

    opened: BinaryIO = HfFileSystem().open(address.removeprefix(HUB), "rb")
    return opened


def _suffix(file: RowFile) -> str:
    return PurePosixPath(file).suffix


def reason(error: Exception) -> str:
    """An error as one line."""
    text = in_one_line(str(error)) or type(error).__name__
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."
