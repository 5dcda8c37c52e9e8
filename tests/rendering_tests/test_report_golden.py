"""Every text form of a report against a file that was looked at. After a wanted change, renew them and look again:

RENEW_GOLDEN=1 python -m pytest tests/rendering_tests/test_report_golden.py && git diff tests/rendering_tests/golden
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reports.forms.form import ReportOptions
from reports.forms.report_table import as_text
from reports.report_file import write
from reports.runs import Run, read_runs

GOLDEN = Path(__file__).parent / "golden"


def check(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("RENEW_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def called(runs: list[Run]) -> list[Run]:
    """The same runs in folders that are called alike on every machine."""
    return [replace(run, path=Path("results") / run.path.name) for run in runs]


def test_a_run_as_markdown(run: Run) -> None:
    check("report.md", write(called([run]), "md", ReportOptions()).decode())


def test_two_runs_as_markdown(two_runs: list[Run]) -> None:
    check("comparison.md", write(called(two_runs), "md", ReportOptions()).decode())


@pytest.mark.parametrize(("name", "take"), [("report.txt", slice(1)), ("comparison.txt", slice(2))])
def test_tables(two_runs: list[Run], name: str, take: slice) -> None:
    check(name, as_text(called(two_runs[take])))


@pytest.mark.parametrize("form", ["csv", "parquet", "json", "md"])
def test_what_is_written_depends_on_the_run_alone(save_run: Callable[..., Path], form: str) -> None:
    paths = [save_run("mine")]
    first, second = (write(read_runs(paths, 0.02, 0.05), form, ReportOptions()) for _ in range(2))
    assert first == second
