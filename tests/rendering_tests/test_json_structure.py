"""The JSON documents of a report: their keys, and their values against manifest, rows, notices and changed answers."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from reports.compare import COMPARED
from reports.forms.form import ReportOptions
from reports.report_file import write
from reports.runs import Run
from reports.summary.row import COLUMNS

PARTS = ["schema", "manifest", "summary", "notices", "answers", "flips", "sweep"]
FLIPS = {
    "correct->wrong": 0,
    "wrong->correct": 0,
    "wrong->other wrong": 0,
    "other words, same score": 0,
    "other words, no gold answer": 0,
}


def document(runs: list[Run]) -> dict[str, Any]:
    found = json.loads(write(runs, "json", ReportOptions()))
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def told(run: Run) -> dict[str, Any]:
    return document([run])


@pytest.fixture
def both(two_runs: list[Run]) -> dict[str, Any]:
    return document(two_runs)


def test_the_parts_of_a_document_stand_in_their_order(told: dict[str, Any]) -> None:
    assert list(told) == PARTS
    assert told["schema"] == 1
    assert list(told["sweep"]) == ["points", "knees", "recommended", "cautions"]
    assert list(told["sweep"]["recommended"]) == ["workloads", "all"]


def test_the_manifest_is_the_saved_one(run: Run, told: dict[str, Any]) -> None:
    assert told["manifest"] == json.loads((run.path / "manifest.json").read_text())


def test_the_summary_has_every_column_of_every_row(told: dict[str, Any]) -> None:
    assert [list(row) for row in told["summary"]] == [[column.name for column in COLUMNS]] * 8
    assert [(row["workload"], row["runner"]) for row in told["summary"]] == [
        (workload, runner)
        for workload in ("binding", "video")
        for runner in ("full", "prefix-cache", "vlcache@ratio=0", "vlcache@ratio=0.5")
    ]


def test_the_summary_follows_from_the_records(told: dict[str, Any]) -> None:
    """Six of eight requests are warm; a request's time is 64 ms and 4 more for each before it."""
    full, prefix, none, half = told["summary"][:4]
    assert [row["ttft_ms_p50"] for row in (full, prefix, none, half)] == [78.0, 43.0, 10.75, 21.5]
    assert [row["ttft_speedup"] for row in (full, prefix, none, half)] == [1.0, 2.0, 8.0, 4.0]
    assert [row["ttft_speedup_vs_lossless"] for row in (full, prefix, none, half)] == [0.5, 1.0, 4.0, 2.0]
    assert [row["accuracy"] for row in (full, prefix, none, half)] == [1.0, 1.0, 0.75, 1.0]
    assert [row["recompute_ratio"] for row in (full, prefix, none, half)] == [1.0, 1.0, 0.0, 0.5]
    assert [row["kv_hit_rate"] for row in (full, prefix, none, half)] == [0.0, 0.0, 0.75, 0.75]
    assert [row["encoder_hit_rate_recurring"] for row in (full, prefix, none, half)] == [0.0, 1.0, 1.0, 1.0]
    assert none["accuracy_delta"] == pytest.approx(-2 / 6, abs=1e-12)
    assert (none["agreement"], none["flip_rate"], none["kl_mean"]) == (0.75, 0.25, 0.0625)
    assert (none["verdict"], full["verdict"]) == ("undecided", None)
    assert [row["failed"] for row in told["summary"]] == [0, 0, 0, 0, 0, 1, 0, 0]
    assert told["summary"][5]["accuracy"] == 0.875
    assert none["kv_bytes_per_token"] == 256.0
    assert full["kv_bytes_per_token"] is None


def test_notices_and_changed_answers_are_told(run: Run, told: dict[str, Any]) -> None:
    assert told["notices"] == [json.loads(json.dumps(asdict(notice))) for notice in run.notices]
    assert [(notice["kind"], notice["workload"]) for notice in told["notices"]] == [
        ("few-samples", "binding"),
        ("failed-requests", "video"),
        ("few-samples", "video"),
    ]
    assert told["flips"] == [
        {"workload": "binding", "runner": "vlcache@ratio=0"} | FLIPS | {"correct->wrong": 2},
        {"workload": "video", "runner": "vlcache@ratio=0.5"} | FLIPS | {"correct->wrong": 1},
    ]


def test_the_points_of_a_sweep_repeat_the_summary(told: dict[str, Any]) -> None:
    assert len(told["sweep"]["points"]) == len(told["summary"])
    for point, row in zip(told["sweep"]["points"], told["summary"], strict=True):
        shared = set(point) & set(row)
        assert {"runner", "workload", "accuracy", "accuracy_ci_low", "verdict", "ttft_speedup", "agreement"} <= shared
        assert {name: point[name] for name in shared} == {name: row[name] for name in shared}
    assert [point["family"] for point in told["sweep"]["points"][:4]] == ["full", "prefix-cache", "vlcache", "vlcache"]
    assert [point["ratio"] for point in told["sweep"]["points"][:4]] == [None, None, 0.0, 0.5]
    optimal = [(point["workload"], point["runner"]) for point in told["sweep"]["points"] if point["optimal"]]
    expected = [("binding", "vlcache@ratio=0"), ("binding", "vlcache@ratio=0.5"), ("video", "vlcache@ratio=0")]
    assert optimal == expected
    chosen = told["sweep"]["recommended"]
    assert list(chosen["workloads"]) == ["binding", "video"]
    assert {choice["runner"] for choice in [*chosen["workloads"].values(), chosen["all"]]} == {None}


def test_two_runs_are_told_one_by_one_and_compared(two_runs: list[Run], both: dict[str, Any]) -> None:
    assert list(both) == ["schema", "runs", "comparison"]
    assert [run["run"] for run in both["runs"]] == ["first", "second"]
    for entry, run in zip(both["runs"], two_runs, strict=True):
        alone = document([run])
        assert list(entry) == ["run", *PARTS[1:]]
        assert {name: entry[name] for name in PARTS[1:]} == {name: alone[name] for name in PARTS[1:]}


def test_the_comparison_subtracts_the_first_run(both: dict[str, Any]) -> None:
    comparison = both["comparison"]
    assert list(comparison) == ["runs", "changes", "mismatches"]
    assert comparison["runs"] == ["first", "second"]
    summaries = {
        (entry["run"], row["workload"], row["runner"]): row for entry in both["runs"] for row in entry["summary"]
    }
    assert [(change["run"], change["workload"], change["runner"]) for change in comparison["changes"]] == [
        (run, workload, runner)
        for workload in ("binding", "video")
        for runner in ("full", "prefix-cache", "vlcache@ratio=0", "vlcache@ratio=0.5")
        for run in ("first", "second")
        if (run, runner) != ("second", "prefix-cache")
    ]
    for change in comparison["changes"]:
        row = summaries[change["run"], change["workload"], change["runner"]]
        first = summaries["first", change["workload"], change["runner"]]
        assert change["values"] == {name: row[name] for name in COMPARED}
        less = {name: None if change["run"] == "first" else row[name] - first[name] for name in COMPARED}
        assert change["changes"] == less
    better = comparison["changes"][4]
    assert (better["runner"], better["changes"]["accuracy"]) == ("vlcache@ratio=0", 0.125)
    assert [(found["run"], found["kind"]) for found in comparison["mismatches"]] == [
        ("second", "model"),
        ("second", "libraries"),
    ]
