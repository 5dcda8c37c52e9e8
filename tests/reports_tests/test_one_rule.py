"""One run through table, sweep, page and gate: one verdict, and one number of requests that would decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reports.gate.claim import Outcome
from reports.gate.judge import judge_run
from reports.gate.policy import Policy
from reports.html.verdicts import verdicts
from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.runs import Run
from reports.summary.notice import NoticeKind
from reports.summary.notices import find_notices
from reports.summary.row import Row
from reports.summary.summarise import summarise
from reports.sweep.trade_off import analyse
from runners.records import Record

MakeRun = Callable[..., list[Record]]

MARGIN, ALPHA = 0.02, 0.05


@pytest.fixture
def report(manifest: dict[str, Any]) -> Callable[[list[Record]], Run]:
    """Everything that is said of some records."""

    def run(records: list[Record], **about: Any) -> Run:
        measured = Measurements(Manifest.check(manifest | about, "here"), records)
        rows = summarise(measured, MARGIN, ALPHA)
        trade_off = analyse(rows, measured, MARGIN, ALPHA)
        return Run("run", Path("run"), measured, rows, trade_off, [], find_notices(measured, rows), {})

    return run


def row_of(run: Run, runner: str) -> Row:
    return next(row for row in run.rows if row.runner == runner)


@pytest.mark.parametrize(("requests", "verdict"), [(148, "undecided"), (149, "non-inferior"), (180, "non-inferior")])
def test_without_a_flip_all_say_the_same(
    make_run: MakeRun, report: Callable[..., Run], requests: int, verdict: str
) -> None:
    run = report(make_run(requests))
    row, (point,) = row_of(run, "vlcache"), [point for point in run.trade_off.points if point.runner == "vlcache"]
    claim = judge_run(run.measured, run.rows, Policy(), None, MARGIN, ALPHA).claims[0]
    said = [str(notice) for notice in run.notices if notice.kind is NoticeKind.FEW_SAMPLES]
    assert row.verdict == point.verdict == verdict
    assert verdict in str(verdicts(run, "page")[0].charts[0].svg)
    assert claim.low == pytest.approx(-(row.loss_at_most or 0))
    number = "149 requests like these (149 sharing no media)"
    if verdict == "undecided":
        assert (claim.outcome, row.needed_separate, row.needed_requests) == (Outcome.UNDECIDED, 149, 149)
        assert claim.needed is not None
        assert claim.needed.count == number
        assert said == [f"undecided: 1 of 1 runners; {number} would decide on vlcache"]
    else:
        assert (claim.outcome, row.needed_separate, said) == (Outcome.PASS, None, [])
        assert run.trade_off.recommended["binding"].runner == "vlcache"


def test_a_stream_that_brings_no_new_media_is_told_so(make_run: MakeRun, report: Callable[..., Run]) -> None:
    """Eight albums that come back over and over: as many requests again are worth nothing more."""
    records = [
        replace(record, cluster_id=f"album {min(number, number % 8)}")
        for record in make_run(80)
        for number in [int(record.request[1:])]
    ]
    row = row_of(report(records), "vlcache")
    assert (row.verdict, row.needed_separate, row.needed_requests) == ("undecided", 149, None)


def test_a_lossless_runner_is_exact_or_broken_and_never_undecided(
    make_run: MakeRun, report: Callable[..., Run], manifest: dict[str, Any]
) -> None:
    records = make_run(10)
    exact = row_of(report(records), "prefix-cache")
    assert (exact.verdict, exact.loss_at_most, exact.differences, exact.first_difference) == ("exact", 0, 0, None)
    broken = [
        replace(record, agrees=record.request != "q7", kl=0.005) if record.runner == "prefix-cache" else record
        for record in records
    ]
    run = report(broken)
    row = row_of(run, "prefix-cache")
    assert (row.verdict, row.differences, row.first_difference) == ("broken", 1, "q7")
    told = [notice for notice in run.notices if notice.kind is NoticeKind.BROKEN]
    assert "q7" in told[0].text
    gate = judge_run(run.measured, run.rows, Policy(), None, MARGIN, ALPHA)
    (claim,) = [claim for claim in gate.claims if claim.requirement == "max_differences"]
    assert (gate.outcome, claim.outcome) == (Outcome.FAIL, Outcome.FAIL)
    assert "the first is q7" in claim.reason

    narrow = row_of(report(broken, model=manifest["model"] | {"dtype": "bfloat16"}), "prefix-cache")
    assert narrow.verdict == "exact", "so small a divergence is what rounding to 8 bits makes"
    noise = [replace(record, runner="noise", key=record.key + "-noise") for record in broken if record.runner == "full"]
    noise = [replace(record, agrees=record.request != "q7") for record in noise]
    runners = [*manifest["runners"], {"label": "noise", "method": "full", "lossless": True}]
    assert row_of(report([*broken, *noise], runners=runners), "prefix-cache").verdict == "exact"
    assert row_of(report([*broken, *noise], runners=runners), "noise").verdict is None


def test_against_a_lossy_reference_no_runner_is_held_exact(
    make_run: MakeRun, report: Callable[..., Run], manifest: dict[str, Any]
) -> None:
    run = report(make_run(10), config=manifest["config"] | {"reference": "vlcache"})
    assert row_of(run, "prefix-cache").verdict == "undecided"


def test_the_speed_up_is_split_into_encoder_and_keys_and_values(
    make_run: MakeRun, report: Callable[..., Run], manifest: dict[str, Any]
) -> None:
    records = make_run(20)
    assert (row_of(report(records), "vlcache").encoder_gain, row_of(report(records), "vlcache").kv_gain) == (None, None)
    manifest["runners"][2] |= {"label": "prefix-cache", "method": "encoder-cache"}
    run = report(records)
    found = {row.runner: (row.encoder_gain, row.kv_gain) for row in run.rows}
    assert found["full"] == (None, None)
    assert list(found["prefix-cache"]) == pytest.approx([2, 1])
    assert list(found["vlcache"]) == pytest.approx([2, 1.5])
