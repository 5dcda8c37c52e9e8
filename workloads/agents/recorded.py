"""``h-cua-perf``: recorded sessions of a computer-use agent, from a local folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated

from annotated_types import Interval

from workloads.agents.recording import Recording
from workloads.agents.session import DEFAULT_WINDOW, Window
from workloads.base import StreamOptions, WorkloadDefaults
from workloads.datasets.sources import Sources
from workloads.errors import UsageError, quoted
from workloads.files.attachments import Attachments
from workloads.files.jsonl import lines_of, parse_line
from workloads.options import OPTION, read_options
from workloads.reading.regular import open_within
from workloads.records import Conversation

NAME = "h-cua-perf"
FILE = "h_cua.jsonl"
PACKED = ".zst"
MOST_FILES = 10_000
LONGEST_ID = 200


@dataclass(frozen=True)
class RecordedAgent:
    """Recorded sessions of a computer-use agent in a local folder, in the form of H Company's H CUA Perf (CC BY 4.0).

    No right answers are known: only whether answers change.

    Attributes:
        folder: with the file of records, and screenshots that it names.
        file: the file of records.
        window: screenshots in a request.
        steps: most requests of a session; None for all.
    """

    folder: Path
    file: str
    name: str = NAME
    window: Window = field(default=DEFAULT_WINDOW, metadata=OPTION)
    steps: Annotated[int, Interval(ge=1, le=10**6)] | None = field(default=None, metadata=OPTION)

    @property
    def defaults(self) -> WorkloadDefaults:
        """See ``workloads.base.Workload``."""
        return WorkloadDefaults(
            max_new_tokens=16,
            popularity="own",
            recurrence=f"screenshots stay for {self.window} steps, as recorded",
            recurs_by="screenshots come back as the window slides on",
        )

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``. Nothing is drawn: the requests of the file, in its order.

        Raises:
            UsageError: the first mistake in what is asked, with file, line and field.
        """
        return islice(self._requests(), options.samples)

    def _requests(self) -> Iterator[Conversation]:
        path = self.folder / self.file
        recording = Recording(Attachments(self.folder), self.window)
        begun: set[str] = set()
        try:
            with open_within(self.folder, self.file) as stream:
                for number, line in lines_of(stream, path):
                    try:
                        session, step, conversation = recording.read(parse_line(line))
                        _require_fit(session, begun, step)
                    except RecursionError as error:
                        raise UsageError(f"{path}, line {number}: lists and objects are nested too deeply") from error
                    except ValueError as error:
                        raise UsageError(f"{path}, line {number}: {error}") from error
                    begun.add(session)
                    if self.steps is None or step < self.steps:
                        yield conversation
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error


def open_recorded(name: str, sources: Sources) -> RecordedAgent:
    """The sessions in ``sources.dataset_path``.

    Raises:
        UsageError: no folder is given, it has no file of records or several, or an option is not what it must be.
    """
    options = read_options(RecordedAgent, name)
    for flag, given in (("--recur", sources.recur is not None), ("--subjects", bool(sources.subjects))):
        if given:
            raise UsageError(f"workload '{name}' takes no {flag}: sessions are asked as they were recorded; drop it")
    folder = sources.dataset_path
    if folder is None:
        raise UsageError(f"workload '{name}' is read from a local folder: give --dataset-path FOLDER with its {FILE}")
    return RecordedAgent(folder, _file_of_records(folder), name, **options)


def _file_of_records(folder: Path) -> str:
    """The data set's own name, or the only file of JSON lines there is."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, MOST_FILES))
    except OSError as error:
        raise UsageError(f"--dataset-path {folder}: cannot be read ({error.strerror})") from error
    found = [name for name in names if name.endswith(".jsonl")]
    if FILE in found or len(found) == 1:
        return FILE if FILE in found else found[0]
    packed = [name for name in names if name.endswith(f".jsonl{PACKED}")]
    if not found and packed:
        raise UsageError(f"--dataset-path {folder}: unpack {packed[0]} first (zstd -d {packed[0]})")
    told = "none" if not found else f"{found[0]}, {found[1]}{', ...' * (len(found) > 2)}"
    raise UsageError(f"--dataset-path {folder}: must hold {FILE}, or one other file that ends in .jsonl, not {told}")


def _require_fit(session: str, begun: set[str], step: int) -> None:
    """ValueError for a name of a session that cannot be shown, or for one that was left and goes on."""
    if len(session) > LONGEST_ID or not session.isprintable():
        raise ValueError(f"session_id must have at most {LONGEST_ID} characters that can be printed")
    if step == 0 and session in begun:
        raise ValueError(
            f"session {quoted(session)} goes on after another one: the requests of a session stand together"
        )
