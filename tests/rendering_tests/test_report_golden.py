"""Every form of a report against a file that was looked at. After a wanted change, renew them and look again:

RENEW_GOLDEN=1 python -m pytest tests/rendering_tests/test_report_golden.py && git diff tests/rendering_tests/golden
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.forms.report_table import as_text
from reports.report_file import Wanted, write
from reports.runs import Run, read_runs
from runners.records import Record

GOLDEN = Path(__file__).parent / "golden"
DIGITS = re.compile(r"-?\d+\.\d{10,}(?:e-?\d+)?")
DRAWN = re.compile(r"(<svg viewBox[^>]*>).*?</svg>", re.S)
SEALED = re.compile(
    r"sha256-[A-Za-z0-9+/=]+|(?<=base64,)[A-Za-z0-9+/=]+|(?<=<style>).*?(?=</style>)|(?<=<script>).*?(?=</script>)",
    re.S,
)


def stable(text: str) -> str:
    """Without what another release of a library may change: last digits, how drawings and pictures are encoded."""
    rounded = DIGITS.sub(lambda number: f"{float(number[0]):.9g}", text)
    return SEALED.sub("...", DRAWN.sub(r"\1</svg>", rounded))


def check(name: str, text: str) -> None:
    file, told = GOLDEN / name, stable(text)
    if os.environ.get("RENEW_GOLDEN"):
        file.write_text(told, encoding="utf-8")
    assert told == file.read_text(encoding="utf-8")


@pytest.fixture
def two_runs(save_run: Any) -> list[Run]:
    """The second lacks a runner, is of another model, and answers one request right that was wrong."""

    def other(told: dict[str, Any]) -> None:
        told["model"]["fingerprint"] = "e" * 64
        told["environment"]["libraries"]["torch"] = "2.14.0"

    def better(record: Record) -> Record | None:
        if record.runner == "prefix-cache":
            return None
        if record.key != "binding/q3/vlcache@ratio=0":
            return record
        return Record.from_json(record.to_json() | {"answer": "yes", "score": 1.0, "agrees": True})

    return read_runs([save_run("first"), save_run("second", change=other, each=better)], 0.02, 0.05)


@pytest.mark.parametrize(
    ("name", "form", "wanted"),
    [
        ("summary.csv", "csv", Wanted()),
        ("records.csv", "csv", Wanted(records=True)),
        ("report.json", "json", Wanted()),
        ("report.md", "md", Wanted()),
    ],
)
def test_a_run(run: Run, name: str, form: str, wanted: Wanted) -> None:
    check(name, write([run], form, wanted).decode())


def test_a_page(page_text: str) -> None:
    check("report.html", page_text)


@pytest.mark.parametrize("form", ["csv", "json", "md", "html"])
def test_two_runs(two_runs: list[Run], form: str) -> None:
    check(f"comparison.{form}", write(two_runs, form, Wanted()).decode())


@pytest.mark.parametrize(("name", "take"), [("report.txt", slice(1)), ("comparison.txt", slice(2))])
def test_tables(two_runs: list[Run], name: str, take: slice) -> None:
    check(name, as_text(two_runs[take]))


@pytest.mark.parametrize("form", ["csv", "parquet", "json", "md"])
def test_what_is_written_depends_on_the_run_alone(save_run: Callable[..., Path], form: str) -> None:
    paths = [save_run("mine")]
    first, second = (write(read_runs(paths, 0.02, 0.05), form, Wanted()) for _ in range(2))
    assert first == second
