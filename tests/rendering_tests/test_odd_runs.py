"""Whatever is left of a run is shown; what nobody could show is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reports.answers.of_run import answers_of
from reports.forms.form import ReportOptions
from reports.forms.registry import FORMS
from reports.forms.report_table import as_text
from reports.report_file import write
from reports.runs import read_runs
from runners.records import Record, Status, Timing, Warmth
from workloads.errors import UsageError

SaveRun = Callable[..., Path]


def failed(record: Record) -> Record:
    nothing: dict[str, Any] = {"answer": None, "token_ids": (), "kl": None, "agrees": None, "timing": None}
    return replace(record, status=Status.ERROR, error="x", score=0.0, cache=None, computed=(), **nothing)


def timeless(record: Record) -> Record:
    return replace(record, timing=record.timing and Timing(*[0.0] * 10))


ODD: dict[str, Callable[[Record], Record | None]] = {
    "all failed": failed,
    "one request": lambda record: record if record.key.startswith("binding/q3/") else None,
    "cold requests alone": lambda record: record if record.warmth is Warmth.COLD else None,
    "the reference alone": lambda record: record if record.runner == "full" else None,
    "all but the reference": lambda record: record if record.runner != "full" else None,
    "no time at all": timeless,
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_runs_are_shown_in_every_form(save_run: SaveRun, odd: str) -> None:
    folder = save_run(each=lambda record: ODD[odd](record) if record.workload == "binding" else None)
    runs = read_runs([folder], 0.02, 0.05)
    for form in FORMS:
        told = as_text(runs).encode() if form == "table" else write(runs, form, ReportOptions())
        assert len(told) > 100, form
    sentence = answers_of(runs[0])[0].sentence
    assert "nan" not in sentence
    assert "inf" not in sentence


def test_a_bench_is_shown_without_what_an_early_version_did_not_tell(save_run: SaveRun) -> None:
    def change(told: dict[str, Any]) -> None:
        for name in ("sweep", "created", "seed", "environment"):
            del told[name]
        del told["model"]["device_name"]

    folder = save_run(change=change, each=lambda record: record if record.workload == "video" else None)
    (folder / "asked.jsonl").unlink()
    page = write(read_runs([folder], 0.02, 0.05), "html", ReportOptions()).decode()
    assert "Of some requests the run folder tells no question" in page


def set_to(*keys: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(told: Any) -> None:
        for key in keys[:-1]:
            told = told[key]
        told[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (set_to("model", value=None), r"mine: model must map names to values, not None$"),
        (set_to("model", "dtype", value=3), r"the manifest of .*mine: model\.dtype must be a text, not 3$"),
        (set_to("config", value={}), r"config\.reference is missing"),
        (set_to("runners", 0, value={"label": "full"}), r"runners\[0\]\.method is missing"),
        (set_to("runners", 0, "options", value=3), r"runners\[0\]\.options must map names to values, not 3"),
        (set_to("environment", value=[]), r"environment must map names to values, not \[\]"),
        (set_to("sweep", value={"runners": {"full": 3}}), r"sweep\.runners\.full must map names to values, not 3"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(save_run: SaveRun, change: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_runs([save_run(change=change)], 0.02, 0.05)
