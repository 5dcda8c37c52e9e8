"""A runner that promises a risk, in every form of a report: kept on one workload, broken on the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.answers.answer import Word, find_answers
from reports.answers.of_run import answers_of, overall_of
from reports.forms.form import ReportOptions
from reports.html.calibration import calibration
from reports.report_file import write
from reports.run.frame import to_frame
from reports.run.store import RunFolder
from reports.runs import Run, read_runs
from reports.summary.calibration_curve import calibration_curve
from reports.summary.notice import NoticeKind
from reports.sweep.recommend import Recommendation, recommend
from runners.records import Record, Repair, Warmth

RISKY = "vlcache@ratio=0"
COPIES = 40
ALPHA = 0.05

SaveRun = Callable[..., Path]


def promise(told: dict[str, Any], calibrated: bool = True) -> None:
    """Of 2 %, by the fastest runner."""
    (risky,) = (runner for runner in told["runners"] if runner["label"] == RISKY)
    risky["promised_risk"] = 0.02
    if calibrated:
        told["model"]["profile"] = {"risk": {"families": ["quote"], "requests": 290}}


def read(folder: Path) -> Run:
    (run,) = read_runs([folder], 0.02, ALPHA)
    return run


@pytest.fixture(scope="module")
def promising(save_for_all: SaveRun) -> Callable[..., Run]:
    """Every request many times over, each with media of its own; of ``binding``, some answers of the runner change.

    ``changed``: of each eight answers. ``only``: the runners that are left.
    """

    @cache
    def make(changed: int, only: tuple[str, ...] = ()) -> Run:
        folder = save_for_all(change=promise)
        grown = [_copy(record, copy, changed) for copy in range(COPIES) for record in _first(folder)]
        kept = [record for record in grown if not only or record.runner in only]
        lines = [f"{json.dumps(record.to_json())}\n" for record in kept]
        (folder / "records.jsonl").write_text("".join(lines))
        return read(folder)

    return make


def _first(folder: Path) -> list[Record]:
    return [record for record in RunFolder(folder).read().records.values() if record.timing is not None]


def _copy(record: Record, copy: int, changed: int) -> Record:
    request = f"{record.request}-{copy}"
    record = replace(
        record,
        request=request,
        key=f"{record.workload}/{request}/{record.runner}",
        cluster_id=f"{record.workload}/{request}",
        score=1.0,
        agrees=True,
    )
    if record.runner != RISKY or record.warmth is not Warmth.WARM:
        return record
    lost = record.workload == "binding" and copy % 8 < changed
    repair = Repair(1.0, 0.0) if copy % 4 == 3 else Repair(0.05 if copy % 4 else 0.0, 0.001 * (1 + copy % 20))
    return replace(record, repair=repair, agrees=not lost)


class Reader(HTMLParser):
    """Collects the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def visible(page: str) -> str:
    reader = Reader()
    reader.feed(page)
    return " ".join(" ".join(reader.parts).split())


def test_a_broken_promise_is_said_first_and_another_runner_is_named(promising: Callable[..., Run]) -> None:
    run = promising(1)
    found, kept = answers_of(run)
    assert found.reuse is not None
    assert (found.word, found.reuse.runner) == (Word.YES, "vlcache@ratio=0.5")
    told, _, rest = found.sentence.partition(" at most. ")
    assert told.startswith(f"{RISKY} broke its promise: it changed 12.5 % of the answers [")
    assert told.endswith("], promised were 2 %")
    assert rest.startswith("vlcache@ratio=0.5 is 4.0 times as fast as full")
    assert kept.reuse is not None
    assert (kept.word, kept.reuse.runner) == (Word.YES, "vlcache@ratio=0.5"), "who breaks it elsewhere is not named"
    assert "promise" not in kept.sentence
    total = overall_of(run)
    assert total is not None
    assert total.gain is not None
    assert (total.word, total.gain.runner) == (Word.YES, "vlcache@ratio=0.5")
    assert [(notice.workload, notice.runner) for notice in run.notices if notice.kind is NoticeKind.BROKEN_PROMISE] == [
        ("binding", RISKY)
    ]


def test_where_nothing_else_was_measured_the_answer_is_no(promising: Callable[..., Run]) -> None:
    run = promising(1, only=("full", RISKY))
    found = answers_of(run)[0]
    assert (found.word, found.named) == (Word.NO, None)
    assert found.sentence.endswith("loses some, here or on another workload of this run.")
    choice = run.trade_off.recommended["binding"]
    assert (choice.runner, choice.reason) == (None, f"{RISKY} changed more answers than promised")
    total = overall_of(run)
    assert total is not None
    assert (total.word, total.gain) == (Word.NO, None)


def test_where_nothing_else_will_do_the_reason_tells_of_both(promising: Callable[..., Run]) -> None:
    points = promising(1).trade_off.of("binding")
    worse = [point if point.runner == RISKY else replace(point, verdict="inferior") for point in points]
    told = f"{RISKY} changed more answers than promised; of the others: every runner is inferior on binding"
    assert recommend(worse, 0.02) == Recommendation(None, None, told)


def test_others_that_lose_are_told_apart_from_the_broken_promise(promising: Callable[..., Run]) -> None:
    run = promising(1)
    rows = [
        row if "@" not in row.runner or row.runner == RISKY else replace(row, verdict="inferior", loss_at_least=0.1)
        for row in run.rows
    ]
    found = find_answers(rows, run.manifest)[0]
    assert found.word is Word.NO
    assert [loss.runner for loss in found.unsafe] == ["vlcache@ratio=0.5"]
    assert f"{RISKY} broke its promise" in found.sentence


def test_a_promise_that_is_kept_changes_no_answer(promising: Callable[..., Run]) -> None:
    run = promising(0)
    found = answers_of(run)[0]
    assert found.reuse is not None
    assert (found.word, found.reuse.runner) == (Word.YES, RISKY)
    assert "promise" not in found.sentence
    assert not any(point.promise_broken for point in run.trade_off.points)


def test_tables_show_what_was_promised_and_found(promising: Callable[..., Run]) -> None:
    run = promising(1)
    text, markdown = (write([run], form, ReportOptions()).decode() for form in ("table", "md"))
    assert text.count("repair and its risk") == 1
    line = next(line for line in text.partition("repair and its risk")[2].splitlines() if line.startswith("binding"))
    assert line.split()[1:11] == [RISKY, "25", "50", "25", "0", "0", "0", "0.0", "0.0", "2.0"]
    (heading,) = (line for line in markdown.splitlines() if "epair and" in line)
    assert heading == "## Repair and its risk"
    lines = markdown.partition(heading)[2].partition("##")[0].strip().splitlines()
    assert lines[0].startswith("| workload | runner | kept % | repaired % |")
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| binding", "| video"]
    assert "12.5 \\[" in lines[2]
    assert "- promised %: share of answers that the runner may change" in markdown


def test_the_page_shows_the_curve_and_its_numbers(promising: Callable[..., Run]) -> None:
    run = promising(1)
    groups = calibration(run, run.frame, "r0")
    assert [(group.title, len(group.charts)) for group in groups] == [("binding", 1), ("video", 1)]
    page = write([run], "html", ReportOptions()).decode()
    assert page.count('id="r0-repair"') == 1
    assert '<a href="#r0-repair">Promises</a>' in page
    text = visible(page)
    assert "Are promises kept?" in text
    for group in groups:
        for line in group.numbers.rows:
            _, estimates, mean, requests, changed, found, bounds, promised = line
            assert promised == "2"
            assert f"{changed} of {requests} changed, {found} % {bounds}, predicted {mean} %" in text
            assert " ".join([estimates, mean, requests, changed, found, bounds, promised]) in text


def test_a_page_without_a_promise_has_no_such_section(run: Run, page_text: str) -> None:
    assert calibration(run, run.frame, "r0") == []
    assert "r0-repair" not in page_text
    assert "Promises" not in page_text


def test_a_runner_that_computes_everything_has_a_table_and_no_drawing(save_run: SaveRun) -> None:
    def computed(record: Record) -> Record:
        return replace(record, repair=Repair(1.0, 0.0)) if record.runner == RISKY and record.cache else record

    run = read(save_run(change=lambda told: promise(told, calibrated=False), each=computed))
    assert calibration(run, run.frame, "r0") == []
    page = write([run], "html", ReportOptions()).decode()
    assert page.count('id="r0-repair"') == 1
    assert "Numbers: binding, calibration" not in visible(page)
    assert "uncalibrated" in visible(page)


@pytest.fixture
def frame(promising: Callable[..., Run]) -> pd.DataFrame:
    found = promising(1).frame
    return found[(found["workload"] == "binding") & (found["runner"] == RISKY)]


def test_bins_hold_all_reused_requests_by_rising_estimate(frame: pd.DataFrame) -> None:
    bins = calibration_curve(frame, ALPHA)
    reused = frame[(frame["repair_share"] < 1) & frame["repair_share"].notna()]
    assert sum(given.requests for given in bins) == len(reused) == COPIES * 6 * 3 // 4
    assert sum(given.changed for given in bins) == int((reused["agrees"] == 0).sum())
    assert len(bins) == 5
    assert all(left.most < right.least for left, right in pairwise(bins))
    assert max(given.requests for given in bins) <= 2 * min(given.requests for given in bins)
    for given in bins:
        assert given.least <= given.predicted <= given.most
        assert given.ends.low <= given.found <= given.ends.high
    mean = sum(given.predicted * given.requests for given in bins) / len(reused)
    assert mean == pytest.approx(reused["repair_risk"].mean())


def test_equal_estimates_share_a_bin(frame: pd.DataFrame) -> None:
    (only,) = calibration_curve(frame.assign(repair_risk=0.01), ALPHA)
    assert (only.least, only.most, only.predicted) == pytest.approx((0.01, 0.01, 0.01))
    assert only.requests == COPIES * 6 * 3 // 4


def test_few_requests_are_one_bin_and_none_are_none(frame: pd.DataFrame) -> None:
    reused = frame[frame["repair_share"] < 1]
    (few,) = calibration_curve(reused.head(30), ALPHA)
    assert few.requests == 30
    assert calibration_curve(frame[frame["repair_share"] == 1], ALPHA) == []
    assert calibration_curve(reused.assign(repair_risk=float("nan")), ALPHA) == []
    assert calibration_curve(to_frame([]), ALPHA) == []


def test_requests_of_one_cluster_count_once(frame: pd.DataFrame) -> None:
    reused = frame[frame["repair_share"] < 1]
    (one,) = calibration_curve(reused.assign(cluster_id="album"), ALPHA)
    assert one.requests == 1
