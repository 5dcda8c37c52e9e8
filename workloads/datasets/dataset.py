"""Open a data set by its description (``workloads.datasets.description``), from the hub or a local copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from workloads.base import StreamOptions, WorkloadDefaults
from workloads.datasets.case import RowReader
from workloads.datasets.description import SUBJECT, DatasetFile, read_dataset_file
from workloads.datasets.media import MediaFiles
from workloads.datasets.recurring_stream import Case, default_recurrence, recurring
from workloads.datasets.rows import Table, windows
from workloads.datasets.sources import Sources, chosen
from workloads.errors import UsageError, quoted
from workloads.reading import in_one_line
from workloads.records import Conversation, Turn
from workloads.seeding import stream


@dataclass(frozen=True)
class Dataset:
    """A data set that a file describes."""

    name: str
    file: DatasetFile
    sources: Sources

    @property
    def defaults(self) -> WorkloadDefaults:
        """See ``workloads.base.Workload``."""
        recur = self.sources.recur or self.file.recur
        return default_recurrence(self.file.max_new_tokens, recur, self.file.benchmark_score)

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        subjects = self.file.subjects or {"": {}}
        parts = {subject: partial(self._cases, subject, names, options) for subject, names in subjects.items()}
        return recurring(self.name, parts, self.file.window, self.sources.recur or self.file.recur, options)

    def _cases(self, subject: str, names: Mapping[str, Any], options: StreamOptions) -> Iterator[Case]:
        """The rows of one part, ``names`` standing for more of their fields."""
        file, folder = self.file, self.sources.dataset_path
        files = file.files and file.files.replace(f"{{{SUBJECT}}}", subject)
        table = Table(file.path, file.split, file.config or (None if files else subject or None), files, file.revision)
        media = MediaFiles(table, folder, file.archives)
        seen: set[str] = set()
        rng = stream(options.split, self.name, options.seed, "rows", subject)
        for row in (row for window in windows(table, folder, file.window, rng) for row in window.rows):
            reader = RowReader(file, {**row.fields, **names, SUBJECT: subject}, media)
            with self._speaking_of(subject, row.number):
                if file.most_media is not None and reader.media_count > file.most_media:
                    continue
                own = row.number if file.fields.id is None else reader.text(file.fields.id)
                if own in seen:
                    raise ValueError(f"another row is called {quoted(own)}: {file.fields.id} is no id")
                seen.add(own)
                shared = None if file.group is None else reader.optional(file.group)
                group = None if shared is None else f"{file.group}/{shared}"
            case_id = f"{subject}-{own}" if subject else own
            yield Case(case_id, partial(self._turns, reader, case_id, subject, row.number), group)

    def _turns(self, reader: RowReader, case_id: str, subject: str, number: str) -> tuple[Turn, ...]:
        field = self.file.fields.family
        with self._speaking_of(subject, number):
            family = None if field is None else reader.optional(field)
            return reader.turns(case_id, subject or self.name if family is None else family)

    @contextmanager
    def _speaking_of(self, subject: str, number: str) -> Iterator[None]:
        """Say of which row it is that something is wrong."""
        try:
            yield
        except (ValueError, RecursionError) as error:
            origin = "/".join(part for part in (self.name, subject) if part)
            told = "its lists are nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise UsageError(in_one_line(f"{origin}, row {number}: {told}")) from error


def open_dataset(name: str, file: Traversable, sources: Sources) -> Dataset:
    """The data set called ``name`` that a file describes, or some of its parts.

    Raises:
        UsageError: the file is not what it should be, or there is no such part.
    """
    description = read_dataset_file(file)
    if sources.subjects and not description.subjects:
        raise UsageError(f"--subjects chooses parts of a data set, and {name} has none: drop it")
    if description.subjects:
        description = replace(description, subjects=chosen(description.subjects, sources.subjects, name))
    beside = file.parent / description.path if isinstance(file, Path) else None
    if sources.dataset_path is None and beside is not None and beside.is_dir():
        if not beside.resolve().is_relative_to(file.parent.resolve()):  # type: ignore[attr-defined]  # it is a Path
            raise UsageError(
                f"{file}: path {quoted(description.path)} leads out of its folder: give --dataset-path DIR"
            )
        sources = replace(sources, dataset_path=beside)
    return Dataset(name, description, sources)
