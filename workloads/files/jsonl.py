"""The user's own requests: a file with one JSON object per line, in one of the forms of ``workloads.files.forms``.

A line may say its ``id``, and a ``session_id``: lines that share one are taken as dependent. In most forms it may have
an ``answer`` or ``answers``, the texts of ``choices``, and the name of a ``metric``; without an answer there is no
score. Media are paths from the file's folder, or data URIs. Other fields are ignored, unless they look like media.
Lines are read, and their media tried, only as far as is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from workloads.base import StreamOptions, WorkloadDefaults
from workloads.datasets.recurring_stream import AGAIN, Case, default_recurrence, recurring
from workloads.errors import UsageError, quoted
from workloads.files.attachments import Attachments
from workloads.files.forms import detect_form, load_form
from workloads.files.forms.blind import refuse_blind
from workloads.reading import parse_json
from workloads.reading.regular import open_regular
from workloads.records import Conversation, Recur, Turn

LONGEST_LINE = 64 * 2**20  # bytes
WINDOW = 64  # lines that are read ahead to find other questions about the same media
REPEATED = re.compile(rf"{AGAIN}\d+$")
MOST_LINES = 1_000_000
MOST_VALUES = 200_000  # of JSON, in a line
DEFAULTS = WorkloadDefaults(max_new_tokens=64, recurrence="as in the file")


@dataclass(frozen=True)
class JsonlWorkload:
    """The requests of a file, in its order. Every user message is one, answered from what stands before it.

    Without ``recur``, nothing is drawn: media recur as they do in the file, so ``seed``, ``reuse_rate`` and ``split``
    change nothing, and a file with fewer than ``samples`` turns is not repeated. With it, media come back as those of
    data sets do.
    """

    path: Path
    recur: Recur | None = None

    @property
    def name(self) -> str:
        """See ``workloads.base.Workload``."""
        return self.path.name

    @property
    def defaults(self) -> WorkloadDefaults:
        """See ``workloads.base.Workload``."""
        return DEFAULTS if self.recur is None else default_recurrence(DEFAULTS.max_new_tokens, self.recur)

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``.

        Raises:
            UsageError: the first mistake in what is asked, with file, line and field.
        """
        if self.recur not in (None, "none"):
            yield from recurring(self.name, {"": self._cases}, WINDOW, self.recur, options)
            return
        left = options.samples
        requests = _requests(self.path)
        while left > 0 and (conversation := next(requests, None)):
            yield replace(conversation, turns=conversation.turns[:left])
            left -= len(conversation.turns)

    def _cases(self) -> Iterator[Case]:
        """The conversations of the file as cases whose media may recur."""
        for found in _requests(self.path):
            if REPEATED.search(found.id):
                raise UsageError(
                    f"{self.path}: the id {quoted(found.id)} is that of a repeat; rename it to use --recur"
                )
            yield Case(found.id, partial(_turns, found), system=found.system, cluster=found.cluster_id)


def open_jsonl(path: Path, recur: Recur | None = None) -> JsonlWorkload:
    """The requests of a file.

    Args:
        path: of the file.
        recur: how media come back; None for as they do in the file.

    Raises:
        UsageError: there is no such file, or nothing in it.
    """
    if next(_lines(path), None) is None:
        raise UsageError(f"{path} is empty: it needs one JSON object per line, with messages and answer")
    return JsonlWorkload(path, recur)


def _turns(conversation: Conversation) -> tuple[Turn, ...]:
    return conversation.turns


def _requests(path: Path) -> Iterator[Conversation]:
    """The lines of a file, each read when it is needed."""
    files = Attachments(path.parent)
    taken: dict[str, int] = {}
    first: tuple[str, int] | None = None
    for number, line in _lines(path):
        try:
            data = parse_line(line)
            form, seen_in = first = first or (detect_form(data), number)
            _require_form(data, form, seen_in)
            conversation = load_form(form)(data, f"line-{number}", files)
            refuse_blind(conversation, form, files)
            for turn in conversation.turns:
                if taken.setdefault(turn.id, number) != number:
                    raise ValueError(f"id {quoted(turn.id)} is taken by line {taken[turn.id]}")
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: {error}") from error
        yield conversation


def _require_form(data: dict[str, Any], form: str, seen_in: int) -> None:
    """ValueError when a line has another form than the first."""
    own = detect_form(data)
    if own != form:
        raise ValueError(f"{own} is given, but line {seen_in} has {form}: all lines of a file have one form")


def parse_line(line: bytes) -> dict[str, Any]:
    """The object in a line; ValueError when it is none, or has too many values."""
    if sum(map(line.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ValueError(f"must have fewer than {MOST_VALUES} values; make several lines of it")
    data = parse_json(line)
    if not isinstance(data, dict):
        raise ValueError("must be a JSON object")
    return data


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of the file at ``path``, see ``lines_of``."""
    try:
        with open_regular(path) as file:
            yield from lines_of(file, path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def lines_of(file: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of an open file that are not blank, numbered from 1; UsageError for too many, or one too long."""
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
        if number > MOST_LINES:
            raise UsageError(f"{path} has more than {MOST_LINES} lines: split it")
        if len(line) > LONGEST_LINE:
            raise UsageError(
                f"{path}, line {number}: is longer than {LONGEST_LINE // 2**20} MiB; "
                "keep pictures in files of their own"
            )
        if line.strip():
            yield number, line
