"""Every number of a file equals the one in the summary or in the frame."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.compare import COMPARED
from reports.forms.flat import RUN, record_frame, summary_frame, summary_lines, to_csv
from reports.forms.form import ReportOptions
from reports.report_file import write
from reports.run.frame import FRAME_COLUMNS, to_frame
from reports.runs import Run, read_runs
from reports.summary.row import COLUMNS, TABLE_COLUMNS
from reports.tables.cells import cell
from reports.tables.markdown import plain

NAMES = [column.name for column in COLUMNS]


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def parsed(text: str, like: Any) -> Any:
    """A cell as the type of the value it was written for."""
    if text == "":
        return None
    return text == "True" if isinstance(like, bool) else text if isinstance(like, str) else float(text)


def test_the_summary_as_csv(run: Run) -> None:
    lines = read_csv(write([run], "csv", ReportOptions()).decode())
    assert [list(line) for line in lines] == [[RUN, *NAMES]] * len(run.rows)
    for line, row in zip(lines, run.rows, strict=True):
        assert {name: parsed(line[name], getattr(row, name)) for name in NAMES} == row.to_json()


def test_the_comparison_as_csv(two_runs: list[Run]) -> None:
    lines = read_csv(write(two_runs, "csv", ReportOptions()).decode())
    known = [(run.label, row) for run in two_runs for row in run.rows]
    first = {(row.workload, row.runner): row for row in two_runs[0].rows}
    changes = [f"{name}_less_first" for name in COMPARED]
    assert [list(line) for line in lines] == [[RUN, *NAMES, *changes]] * len(known)
    for line, (label, row) in zip(lines, known, strict=True):
        assert line[RUN] == label
        assert {name: parsed(line[name], getattr(row, name)) for name in NAMES} == row.to_json()
        for name, change in zip(COMPARED, changes, strict=True):
            less = getattr(row, name) - getattr(first[row.workload, row.runner], name)
            assert parsed(line[change], less) == (None if label == "first" else less)


def test_the_records_as_csv_are_those_that_were_saved(run: Run) -> None:
    lines = read_csv(write([run], "csv", ReportOptions(records=True)).decode())
    assert list(lines[0]) == [RUN, *FRAME_COLUMNS]
    for line, record in zip(lines, run.records, strict=True):
        shown = (line["workload"], line["request"], line["runner"], line["warmth"], line["status"])
        assert shown == (record.workload, record.request, record.runner, record.warmth.value, record.status.value)
        assert parsed(line["ttft_ms"], 0.0) == (record.timing.ttft_ms if record.timing else None)
        assert parsed(line["vision_tokens"], 0.0) == (record.cache.vision_tokens if record.cache else None)


def test_the_summary_as_parquet(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "summary.parquet"
    file.write_bytes(write([run], "parquet", ReportOptions()))
    found = pd.read_parquet(file)
    for (_, line), row in zip(found.iterrows(), run.rows, strict=True):
        assert {name: None if pd.isna(line[name]) else line[name] for name in NAMES} == row.to_json()


def test_the_summary_as_json(run: Run) -> None:
    document = json.loads(write([run], "json", ReportOptions()))
    assert document["summary"] == [row.to_json() for row in run.rows]
    assert document["manifest"] == run.manifest.document
    assert [flips["correct->wrong"] for flips in document["flips"]] == [2, 1]


def test_the_summary_as_markdown(run: Run) -> None:
    lines = [line for line in write([run], "md", ReportOptions()).decode().splitlines() if line.startswith("|")]
    for row in run.rows:
        shown = [plain(cell(column, row)) for column in TABLE_COLUMNS[1:]]
        assert any(line.endswith(f"| {' | '.join(shown)} |") for line in lines)


def test_the_records_as_csv_and_parquet(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "records.parquet"
    file.write_bytes(write([run], "parquet", ReportOptions(records=True)))
    expected = to_frame(run.records)
    pd.testing.assert_frame_equal(pd.read_parquet(file)[list(FRAME_COLUMNS)], expected, check_dtype=False)
    lines = read_csv(write([run], "csv", ReportOptions(records=True)).decode())
    assert len(lines) == len(expected)
    for line, (_, row) in zip(lines, expected.iterrows(), strict=True):
        for name in FRAME_COLUMNS:
            known = row[name]
            undefined = isinstance(known, float) and math.isnan(known)
            assert parsed(line[name], known if undefined is False else None) == (None if undefined else known), name


def test_several_runs_are_labelled_and_compared_with_the_first(save_run: Any) -> None:
    def slower(record: Any) -> Any:
        if record.runner != "vlcache@ratio=0" or record.timing is None:
            return record
        told = record.to_json()
        told["timing"]["ttft_ms"] *= 2
        return type(record).from_json(told)

    runs = read_runs([save_run("a"), save_run("b", each=slower)], 0.02, 0.05)
    lines = summary_lines(runs)
    assert [line[RUN] for line in lines] == ["a"] * 8 + ["b"] * 8
    first, second = (line for line in lines if (line["workload"], line["runner"]) == ("binding", "vlcache@ratio=0"))
    assert (first["ttft_speedup"], first["ttft_speedup_less_first"]) == (8.0, None)
    assert (second["ttft_speedup"], second["ttft_speedup_less_first"]) == (4.0, -4.0)
    assert second["accuracy_less_first"] == 0.0
    assert len(record_frame(runs)) == sum(len(run.records) for run in runs)
    assert summary_frame(runs)["accuracy_less_first"].dtype == "float64"


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+1", "-1", "\tx"])
def test_no_spreadsheet_takes_a_text_for_a_formula(text: str) -> None:
    (line,) = read_csv(to_csv(pd.DataFrame({"runner": [text], "value": [-1.5]})))
    assert line == {"runner": f"'{text}", "value": "-1.5"}
