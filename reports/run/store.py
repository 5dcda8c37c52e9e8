"""A run folder: ``manifest.json``, and ``records.jsonl`` with one flushed line per request and runner."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.run.disk import writing_to
from reports.run.manifest import SCHEMA, Manifest
from reports.run.measurements import Measurements
from runners.records import Record
from workloads.errors import UsageError


@dataclass(frozen=True)
class SavedRun:
    """What a folder holds.

    Attributes:
        manifest: what was run.
        records: by key, in the order written.
        torn_at: byte offset of a last line that a kill left incomplete; None when the file is whole.
    """

    manifest: Manifest
    records: dict[str, Record]
    torn_at: int | None

    @property
    def measurements(self) -> Measurements:
        """The manifest and the records in the order written."""
        return Measurements(self.manifest, list(self.records.values()))


@dataclass(frozen=True)
class RunFolder:
    """Where a run is kept. Every method raises UsageError when the disk refuses."""

    path: Path

    @property
    def manifest_path(self) -> Path:
        """``manifest.json``."""
        return self.path / "manifest.json"

    @property
    def records_path(self) -> Path:
        """``records.jsonl``."""
        return self.path / "records.jsonl"

    def claim(self) -> None:
        """Make the folder for a new run and prove that it can be written to.

        Raises:
            UsageError: it already holds a run, or cannot be written to.
        """
        with writing_to(self.path):
            if self.manifest_path.exists() or self._holds_records():
                raise UsageError(
                    f"{self.path} already holds a run: add --resume to continue it, or choose another --output"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            self.records_path.write_bytes(b"")

    def start(self, manifest: Manifest) -> None:
        """Write the manifest, before anything is measured."""
        text = json.dumps(manifest.document, indent=2, ensure_ascii=False, allow_nan=False)
        partial = self.manifest_path.with_suffix(".json.partial")
        with writing_to(self.path):
            partial.write_text(text + "\n", encoding="utf-8")
            partial.replace(self.manifest_path)

    def read(self) -> SavedRun:
        """The manifest and the records so far; a torn last line is left out, and left in the file.

        Raises:
            UsageError: there is no run, it is of another schema, its manifest lacks what every report needs, or a line
                other than the last is corrupt.
        """
        manifest = self._read_manifest()
        try:
            data = self.records_path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise UsageError(f"cannot read {self.records_path}: {error.strerror}") from error
        whole = _length_of_whole_lines(data)
        records: dict[str, Record] = {}
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            record = self._parse(number, line)
            if record.key in records:
                raise UsageError(f"{self.records_path}, line {number}: '{record.key}' occurs twice; remove one line")
            records[record.key] = record
        return SavedRun(manifest, records, whole if whole < len(data) else None)

    def mend(self, run: SavedRun) -> None:
        """Cut off the torn last line that ``run`` was read with."""
        if run.torn_at is not None:
            with writing_to(self.path):
                os.truncate(self.records_path, run.torn_at)

    @contextmanager
    def appending(self) -> Iterator[Callable[[Record], None]]:
        """Open the records; yields the function that appends one, unbuffered."""
        with writing_to(self.path):
            file = self.records_path.open("ab", buffering=0)

        def append(record: Record) -> None:
            line = json.dumps(record.to_json(), ensure_ascii=False, allow_nan=False) + "\n"
            rest = memoryview(line.encode())
            with writing_to(self.path):
                while rest:
                    rest = rest[file.write(rest) :]

        with file:
            yield append

    def _holds_records(self) -> bool:
        return self.records_path.exists() and self.records_path.stat().st_size > 0

    def _read_manifest(self) -> Manifest:
        try:
            document = _loads(self.manifest_path.read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(f"{self.path} holds no run: there is no {self.manifest_path.name} in it") from error
        except OSError as error:
            raise UsageError(f"cannot read {self.manifest_path}: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"{self.manifest_path} is not valid JSON ({error}); the run cannot be used") from error
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != SCHEMA:
            raise UsageError(f"{self.manifest_path} has schema {schema!r}, this version reads {SCHEMA}")
        return Manifest.check(document, self.path)

    def _parse(self, number: int, line: bytes) -> Record:
        try:
            return Record.from_json(_loads(line))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                f"{self.records_path}, line {number} is corrupt ({error}); remove that line and add --resume to redo it"
            ) from error


def _loads(data: bytes) -> Any:
    """The JSON value; ValueError also for halves of characters, which no file could hold again."""
    value = json.loads(data)
    if rb"\ud" in data.lower():
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _length_of_whole_lines(data: bytes) -> int:
    """Bytes up to the end of the last complete line; an unreadable last line counts as incomplete."""
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        return whole
    start = data.rfind(b"\n", 0, max(0, whole - 1)) + 1
    try:
        json.loads(data[start:whole])
    except ValueError:
        return start
    return whole
