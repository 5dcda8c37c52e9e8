from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from itertools import groupby
from operator import attrgetter
from typing import Any

import pytest
from rich.console import Console

from reports.forms.sweep_table import render
from reports.forms.table import WIDTH
from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.summary.notice import NoticeKind
from reports.summary.row_notices import row_notices
from reports.summary.summarise import summarise
from reports.sweep.trade_off import TradeOff, analyse
from runners.records import Record

MakeRecord = Callable[..., Record]
Found = Callable[..., TradeOff]

REQUESTS, RATIOS = 24, (0.0, 0.1, 1.0)


@pytest.fixture
def found(make_record: MakeRecord) -> Found:
    """What a sweep of ``full``, ``a`` and ``b`` found, whose accuracy at each ratio is given in requests right."""

    def analysed(
        a: tuple[int, ...] = (12, 24, 24),
        b: tuple[int, ...] = (24, 24, 24),
        workloads: tuple[str, ...] = ("binding",),
        margin: float = 0.3,
        dtype: str = "float32",
        agrees_at_1: bool = True,
    ) -> TradeOff:
        families: list[tuple[str, str, float | None, int, float, int]]
        families = [("full", "full", None, REQUESTS, 100.0, 500)]
        for family, right, ttft_ms in (("a", a, 20.0), ("b@score=k", b, 40.0)):
            for ratio, count in zip(RATIOS, right, strict=True):
                label = f"{family}{',' if '@' in family else '@'}ratio={ratio:g}"
                families.append((label, family, ratio, count, ttft_ms, round(500 * ratio)))
        records = [
            make_record(
                f"q{number}",
                label,
                workload=workload,
                score=float(number < right),
                agrees=number < right and (agrees_at_1 or ratio != 1),
                ttft_ms=ttft_ms,
                computed_token_layers=layers,
                fallbacks=("evicted",) if label == "a@ratio=1" and number == 0 else (),
            )
            for workload in workloads
            for number in range(REQUESTS)
            for label, _, ratio, right, ttft_ms, layers in families
        ]
        manifest: dict[str, Any] = {
            "config": {"reference": "full", "seed": 0},
            "workloads": dict.fromkeys(workloads, "abc"),
            "model": {"name": "builtin", "device": "cpu", "dtype": dtype},
            "runners": [
                {
                    "label": label,
                    "method": family,
                    "lossless": label == "full",
                    "options": {} if ratio is None else {"ratio": ratio},
                }
                for label, family, ratio, *_ in families
            ],
            "sweep": {"runners": {label: {"family": family, "ratio": ratio} for label, family, ratio, *_ in families}},
        }
        return analyse(
            summarise(Measurements(Manifest.check(manifest, "here"), records), margin, 0.05),
            Measurements(Manifest.check(manifest, "here"), records),
            margin,
            0.05,
        )

    return analysed


def draw(found: TradeOff) -> str:
    console = Console(file=StringIO(), width=WIDTH, highlight=False)
    console.print(
        render(
            found,
            [notice for _, rows in groupby(found.rows, attrgetter("workload")) for notice in row_notices([*rows])],
        )
    )
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def line_of(text: str, *starts: str) -> str:
    (line,) = [line for line in text.splitlines() if line.split()[: len(starts)] == list(starts)]
    return line


def test_the_table_marks_what_is_optimal_what_is_recommended_and_the_reference(found: Found) -> None:
    text = draw(found())
    assert line_of(text, "full", "*")
    assert line_of(text, "PR", "a", "0.1").endswith(" 5.00 [5.00,5.00]")
    assert line_of(text, "a", "0").split()[2] == "0.0"
    assert line_of(text, "b@score=k", "0.1").split()[2] == "10.0"


def test_below_the_table_stand_knees_choice_and_problems(found: Found) -> None:
    text = draw(found())
    assert "knees: a 0.1 (10.0% computed, 100.0% accurate), b@score=k none\n" in text
    assert "recommended for binding: a@ratio=0.1, 5.00 times as fast; fastest of 5 non-inferior on binding\n" in text
    assert "computed although reusable: a@ratio=1 1; the records say why" in text
    assert "recommended for all workloads" not in text


def test_several_workloads_end_in_one_recommendation(found: Found) -> None:
    text = draw(found(workloads=("binding", "video")))
    assert text.count("recommended for ") == 3
    assert "recommended for all workloads: a@ratio=0.1, 5.00 times as fast; fastest of 5 " in text


def test_where_nothing_is_recommended_the_table_says_so(found: Found) -> None:
    text = draw(found(margin=0.001))
    assert "recommended for binding: none; undecided: " in text
    assert " sharing no media) would decide on " in text.replace("\n", " ")
    assert "R " not in text.splitlines()[8]


def test_every_line_fits(found: Found) -> None:
    assert all(len(line) <= WIDTH for line in draw(found()).splitlines())


def test_a_family_that_gets_worse_is_a_caution(found: Found) -> None:
    (caution,) = found(a=(24, 12, 24)).cautions
    assert (caution.kind, caution.workload, caution.runner) == (NoticeKind.FALLING, "binding", "a")
    assert caution.text.startswith("accuracy of a falls by 50.0 points from ratio 0 to 0.1 (p = ")
    assert "accuracy of a falls by 50.0 points" in draw(found(a=(24, 12, 24)))


def test_the_more_curves_are_judged_the_clearer_a_fall_must_be(found: Found) -> None:
    """Of 24 clusters 7 get worse: a chance of 1/128, of three pairs 0.023; one of two curves has half of alpha 0.05."""
    assert len(found(a=(24, 17, 17), dtype="bfloat16").cautions) == 1
    assert found(a=(24, 17, 17), dtype="bfloat16", workloads=("binding", "video")).cautions == []


def test_computing_everything_should_agree_with_the_reference_in_float32(found: Found) -> None:
    cautions = found(agrees_at_1=False).cautions
    assert [caution.runner for caution in cautions] == ["a@ratio=1", "b@score=k,ratio=1"]
    assert "in 0.0% of the requests although its ratio is 1" in cautions[0].text
    assert found(agrees_at_1=False, dtype="bfloat16").cautions == []
    assert found().cautions == []


def test_the_document_tells_points_knees_recommendations_and_cautions(found: Found) -> None:
    document = json.loads(json.dumps(found(a=(12, 24, 24), agrees_at_1=False).to_json(), allow_nan=False))
    assert list(document) == ["points", "knees", "recommended", "cautions"]
    assert [point["runner"] for point in document["points"]][:2] == ["full", "a@ratio=0"]
    assert document["points"][2]["optimal"] is True
    assert document["knees"]["binding"]["a"]["ratio"] == 0.1
    assert document["knees"]["binding"]["b@score=k"] is None
    assert document["recommended"]["workloads"]["binding"] == document["recommended"]["all"]
    assert document["recommended"]["all"]["runner"] == "a@ratio=0.1"
    assert len(document["cautions"]) == 2


def test_a_run_without_records_has_nothing_to_show(make_record: MakeRecord) -> None:
    model = {"name": "builtin", "device": "cpu", "dtype": "float32"}
    runners = [{"label": "full", "method": "full", "lossless": True}]
    manifest = {"config": {"reference": "full"}, "workloads": {}, "model": model, "runners": runners}
    empty = analyse([], Measurements(Manifest.check(manifest, "here"), []), 0.02, 0.05)
    assert (empty.points, empty.recommended) == ([], {})
    assert empty.recommended_overall.runner is None
    assert "recommended:" in draw(empty)
