"""A run folder: ``manifest.json``, and ``records.jsonl`` with one flushed line per request and runner."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reports.run.claim import claim, require_free
from reports.run.disk import writing_to
from reports.run.lines import Line, read_lines
from reports.run.lock import WriterLock
from reports.run.manifest import SCHEMA, Manifest
from reports.run.measurements import Measurements
from runners.records import Record, record_key
from workloads.errors import UsageError
from workloads.private_files import cut, open_to_append, write_whole
from workloads.reading import brief, brief_name, parse_json
from workloads.reading.regular import bounded, open_within

MANIFEST, RECORDS = "manifest.json", "records.jsonl"
LARGEST_MANIFEST = 1 << 24
LARGEST_RECORDS = 1 << 30
MOST_RECORDS = 1_000_000


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
        return self.path / MANIFEST

    @property
    def records_path(self) -> Path:
        """``records.jsonl``."""
        return self.path / RECORDS

    def require_free(self) -> None:
        """Check that a new run can be kept here, and change nothing; UsageError when anything is in the folder."""
        require_free(self.path, self._require_new)

    def claim(self) -> WriterLock:
        """Make the folder for a new run, prove that it can be written to, and lock it.

        Raises:
            UsageError: it already holds a run or anything else, another process writes to it, or the disk refuses.
        """
        lock = claim(self.path, self._require_new)
        with writing_to(self.records_path):
            open_to_append(self.path, RECORDS).close()
        return lock

    def lock(self) -> WriterLock:
        """Lock the folder of a run that is to go on; UsageError when it holds none, or another process writes to it."""
        self.read_manifest()
        return WriterLock(self.path)

    def start(self, manifest: Manifest) -> None:
        """Write the manifest, before anything is measured."""
        text = json.dumps(manifest.document, indent=2, ensure_ascii=False, allow_nan=False)
        with writing_to(self.manifest_path):
            write_whole(self.path, MANIFEST, f"{text}\n".encode())

    def read(self) -> SavedRun:
        """The manifest and the records so far; a torn last line is left out, and left in the file.

        A record may be there twice, as where a folder was synchronised while it was written to.

        Raises:
            UsageError: there is no run, it is of another schema, its manifest lacks what every report needs, a line
                other than the last is corrupt or of another run, two records of a request and runner differ, or there
                is too much to read.
        """
        manifest = self.read_manifest()
        records: dict[str, Record] = {}
        for line in read_lines(self.path, RECORDS, LARGEST_RECORDS, MOST_RECORDS):
            if not line.whole or (line.last and not _is_json(line.data)):
                return SavedRun(manifest, records, line.start)
            record = self._parse(line, manifest)
            if records.setdefault(record.key, record) != record:
                raise UsageError(
                    f"{self.records_path}, line {line.number}: {brief_name(record.key)} occurs twice, and differs from "
                    "the first; remove one line"
                )
        return SavedRun(manifest, records, None)

    def mend(self, run: SavedRun) -> None:
        """Cut off the torn last line that ``run`` was read with."""
        if run.torn_at is not None:
            with writing_to(self.records_path):
                cut(self.path, RECORDS, run.torn_at)

    @contextmanager
    def appending(self) -> Iterator[Callable[[Record], None]]:
        """Open the records; yields the function that appends one, unbuffered."""
        with writing_to(self.records_path):
            file = open_to_append(self.path, RECORDS)

        def append(record: Record) -> None:
            line = json.dumps(record.to_json(), ensure_ascii=False, allow_nan=False) + "\n"
            rest = memoryview(line.encode())
            with writing_to(self.records_path):
                while rest:
                    rest = rest[file.write(rest) :]

        with file:
            yield append

    def read_manifest(self) -> Manifest:
        """What was run; UsageError when there is no manifest, or none that can be used."""
        try:
            with open_within(self.path, MANIFEST) as stream:
                data = bounded(stream, self.manifest_path, LARGEST_MANIFEST, "manifest")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(f"{self.path} holds no run: there is no {MANIFEST} in it") from error
        except OSError as error:
            raise UsageError(f"cannot read {self.manifest_path}: {error.strerror}") from error
        document = parse_json(data, str(self.manifest_path))
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != SCHEMA:
            raise UsageError(f"{self.manifest_path} has schema {brief(schema)}, this version reads {SCHEMA}")
        return Manifest.check(document, self.path)

    def _require_new(self, names: list[str]) -> None:
        """Refuse the folder of a run, given what is in it."""
        if MANIFEST in names or (RECORDS in names and self.records_path.lstat().st_size):
            raise UsageError(
                f"{self.path} already holds a run: add --resume to continue it, or choose another --output"
            )

    def _parse(self, line: Line, manifest: Manifest) -> Record:
        try:
            record = Record.read(line.data)
            _require_of_run(record, manifest)
            return record
        except UsageError as error:
            raise UsageError(
                f"{self.records_path}, line {line.number} is corrupt ({error}); remove that line and add --resume to "
                "redo it"
            ) from error


def _require_of_run(record: Record, manifest: Manifest) -> None:
    """Check that a record is of a workload and runner of the run, and that its key says so."""
    for name, known in (("workload", manifest.workloads), ("runner", manifest.labels)):
        if (own := getattr(record, name)) not in known:
            raise UsageError(f"{name} {brief(own)} is none of the manifest's")
    if record.key != (key := record_key(record.workload, record.request, record.runner)):
        raise UsageError(f"key {brief(record.key)} must be {brief(key)}")


def _is_json(data: bytes) -> bool:
    """Whether a line is whole as far as JSON can tell."""
    try:
        parse_json(data)
    except UsageError:
        return False
    return True
