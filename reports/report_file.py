"""Write a report in one of the registered forms, and keep it in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports.forms.form import ReportOptions
from reports.forms.registry import load_form
from reports.run.disk import write_file
from reports.runs import Run


def write(runs: Sequence[Run], form: str, options: ReportOptions) -> bytes:
    """The content of a report's file in a form, a key of ``registry.FORMS``."""
    return load_form(form).write(runs, options)


def save(file: Path, data: bytes) -> None:
    """Write a report, in one go: a file is the old one or the whole new one.

    Raises:
        UsageError: the disk refuses, or the file belongs to a run.
    """
    write_file(file, data, "choose another --output")
