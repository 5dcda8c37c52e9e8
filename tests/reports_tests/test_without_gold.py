"""Where nobody knows the right answers, agreement with the reference is the measure, and tables say so."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from reports.forms import sweep_table as sweep_tables
from reports.forms.table import WIDTH, render
from reports.pictures.sweep_files import picture
from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.summary.notices import find_notices
from reports.summary.summarise import summarise
from reports.sweep import trade_off as sweep
from runners.records import Record, Status

MakeRecord = Callable[..., Record]
MARGIN, ALPHA = 0.02, 0.05


def told(renderable: Any) -> str:
    console = Console(file=io.StringIO(), width=WIDTH, highlight=False)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def records(make_record: MakeRecord) -> list[Record]:
    """Ten requests without gold answers: vlcache says the same eight times and fails once."""
    return [
        make_record(
            f"q{number}",
            runner,
            score=None,
            ttft_ms=ttft + number,
            agrees=runner != "vlcache" or number > 1,
            status=Status.ERROR if runner == "vlcache" and number == 0 else Status.OK,
        )
        for number in range(10)
        for runner, ttft in (("full", 100.0), ("vlcache", 50.0), ("prefix-cache", 80.0))
    ]


def test_a_record_without_gold_has_no_score_failed_or_not(records: list[Record]) -> None:
    assert {record.score for record in records} == {None}
    assert [Record.from_json(json.loads(json.dumps(record.to_json()))) for record in records] == records


def test_accuracy_and_verdict_are_undefined_and_agreement_counts(
    records: list[Record], manifest: dict[str, Any]
) -> None:
    rows = {
        row.runner: row for row in summarise(Measurements(Manifest.check(manifest, "here"), records), MARGIN, ALPHA)
    }
    row = rows["vlcache"]
    undefined = [name for name in row.to_json() if name.startswith(("accuracy", "verdict", "parse_failed", "official"))]
    assert len(undefined) == 9
    assert {getattr(row, name) for name in undefined} == {None}
    assert (row.requests, row.failed, row.scored, row.compared) == (10, 1, 0, 0)
    assert (row.agreement, rows["full"].agreement) == (0.8, 1)
    assert row.ttft_speedup == pytest.approx(104 / 54, rel=0.1)


def test_the_table_says_what_counts(records: list[Record], manifest: dict[str, Any], make_record: MakeRecord) -> None:
    rows = summarise(Measurements(Manifest.check(manifest, "here"), records), MARGIN, ALPHA)
    table = told(render(rows, "full", find_notices(Measurements(Manifest.check(manifest, "here"), records), rows)))
    assert "no gold answers: accuracy and verdict are undefined; same % (agreement) is what counts" in table
    assert "undecided" not in table.split("runner: what answered")[0]
    some = [*records, *(make_record("q10", runner) for runner in ("full", "vlcache", "prefix-cache"))]
    mixed = summarise(Measurements(Manifest.check(manifest, "here"), some), MARGIN, ALPHA)
    assert [(row.scored, row.accuracy) for row in mixed] == [(1, 1)] * 3
    assert "10 of 11 requests have no gold answer; only same % is about them" in told(
        render(mixed, "full", find_notices(Measurements(Manifest.check(manifest, "here"), some), mixed))
    )


def test_a_sweep_ranks_by_agreement_and_recommends_only_what_is_exact(
    records: list[Record], manifest: dict[str, Any]
) -> None:
    manifest["model"]["dtype"] = "bfloat16"
    found = sweep.analyse(
        summarise(Measurements(Manifest.check(manifest, "here"), records), MARGIN, ALPHA),
        Measurements(Manifest.check(manifest, "here"), records),
        MARGIN,
        ALPHA,
    )
    assert {point.runner: point.optimal for point in found.points} == {
        "full": False,
        "vlcache": True,  # faster
        "prefix-cache": True,  # answers like the reference, and faster
    }
    assert found.recommended_overall.runner == "prefix-cache"
    table = told(
        sweep_tables.render(found, find_notices(Measurements(Manifest.check(manifest, "here"), records), found.rows))
    )
    assert "same % (agreement) is what counts" in table
    assert "recommended for binding: prefix-cache, " in table
    panel, _ = picture(found, "binding").axes
    assert panel.get_ylabel() == "answers that equal the reference's, %"


def test_unread_answers_are_counted_apart_and_official_scores_stand_beside(
    make_record: MakeRecord, manifest: dict[str, Any]
) -> None:
    def official(number: int, runner: str) -> Record:
        unread = runner == "vlcache" and number < 2
        failed = runner == "vlcache" and number == 3
        status = Status.ERROR if failed else Status.OK
        record = make_record(f"q{number}", runner, score=0.0 if unread else 1.0, status=status)
        guess = None if failed else 1.0 if number != 1 else 0.0
        return replace(record, parse_failed=unread, official_score=guess)

    records = [official(number, runner) for number in range(4) for runner in ("full", "vlcache")]
    reference, row = summarise(Measurements(Manifest.check(manifest, "here"), records), MARGIN, ALPHA)
    assert (reference.parse_failed, reference.official_accuracy) == (0, 0.75)
    assert (row.parse_failed, row.accuracy, row.official_accuracy) == (2, 0.25, 0.5)
    table = told(
        render(
            [reference, row],
            "full",
            find_notices(Measurements(Manifest.check(manifest, "here"), records), [reference, row]),
        )
    )
    assert "answers that could not be read, counted as wrong: vlcache 2 of 4" in table
    assert "by the official scorer: full 75.0 %, vlcache 50.0 %; its guesses are included" in table


def test_records_of_earlier_runs_are_still_read(make_record: MakeRecord) -> None:
    old = make_record().to_json()
    del old["parse_failed"], old["official_score"]
    record = Record.from_json(old)
    assert (record, record.parse_failed, record.official_score) == (make_record(), False, None)
