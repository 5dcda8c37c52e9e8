"""Write a report in one of the registered forms, and keep it in a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from reports.forms.form import ReportOptions
from reports.forms.registry import load_form
from reports.runs import Run
from workloads.errors import UsageError

RUN_FILES = ("manifest.json", "records.jsonl", "asked.jsonl")


def write(runs: Sequence[Run], form: str, options: ReportOptions) -> bytes:
    """The content of a report's file in a form, a key of ``registry.FORMS``."""
    return load_form(form).write(runs, options)


def save(file: Path, data: bytes) -> None:
    """Write a report, in one go: a file is the old one or the whole new one.

    Raises:
        UsageError: the disk refuses, or the file belongs to a run.
    """
    if file.name in RUN_FILES:
        raise UsageError(f"{file} is where a run keeps its {file.stem}; choose another --output")
    partial = file.with_name(f"{file.name}.partial-{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"cannot write {file}: {error.strerror}; choose another --output") from error
