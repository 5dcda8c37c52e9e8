from __future__ import annotations

from dataclasses import replace
from io import StringIO
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from reports.forms.table import WIDTH, legend, render
from reports.summary.row import COLUMNS, TABLE_COLUMNS, Row
from reports.summary.row_notices import row_notices
from reports.tables.cells import cell
from reports.tables.repair import REPAIR_COLUMNS, repair_table

GOLDEN = Path(__file__).parent / "golden_table.txt"


def row(runner: str, workload: str = "binding", **values: Any) -> Row:
    known: dict[str, Any] = {"model": "builtin", "device": "cpu", "dtype": "float32", "margin": 0.02, "alpha": 0.05}
    known |= {
        "requests": 16,
        "compared": 12,
        "compared_worth": 8.0,
        "failed": 0,
        "scored": 16,
        "parse_failed": 0,
        "fallbacks": 0,
        "runner": runner,
        "workload": workload,
    }
    return Row(**known | values)


FULL = row(
    "full",
    accuracy=1.0,
    accuracy_ci_low=0.81,
    accuracy_ci_high=1.0,
    accuracy_delta=0.0,
    agreement=1.0,
    kl_mean=0.0,
    ttft_ms_p50=84.25,
    ttft_speedup=1.0,
    ttft_speedup_vs_lossless=0.5,
    recompute_ratio=1.0,
    executed_flops_ratio=1.0,
    kv_hit_rate=0.0,
)
BLEND = row(
    "cacheblend@score=k,ratio=0.15",
    failed=2,
    fallbacks=3,
    accuracy=0.9375,
    accuracy_ci_low=0.8,
    accuracy_ci_high=1.0,
    accuracy_delta=-0.0625,
    accuracy_delta_ci_low=-0.2,
    accuracy_delta_ci_high=0.0,
    agreement=0.875,
    verdict="undecided",
    kl_mean=0.0123,
    ttft_ms_p50=1040.5,
    ttft_speedup=2.031,
    ttft_speedup_ci_low=1.9,
    ttft_speedup_ci_high=12.104,
    ttft_host_speedup=1.874,
    ttft_speedup_vs_lossless=1.37,
    recompute_ratio=0.4,
    executed_flops_ratio=0.405,
    kv_hit_rate=0.67,
)


def draw(rows: list[Row], width: int = WIDTH) -> str:
    console = Console(file=StringIO(), width=width, highlight=False)
    notices = [notice for _, told in groupby(rows, attrgetter("workload")) for notice in row_notices([*told])]
    console.print(render(rows, "full", notices))
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def test_the_table_looks_like_this() -> None:
    assert draw([FULL, BLEND, row("vlcache", "video")]) == GOLDEN.read_text(encoding="utf-8")


def test_every_shown_column_has_a_line_in_the_legend_that_fits() -> None:
    lines = legend(0.02, 0.05).plain.strip().splitlines()
    assert len(lines) == len(TABLE_COLUMNS) + 3
    for column in TABLE_COLUMNS:
        assert sum(column.meaning in line for line in lines) == 1
    assert max(map(len, lines)) <= WIDTH


@pytest.mark.parametrize(
    ("margin", "alpha", "told"),
    [(0.02, 0.05, ("2 points", "95 %")), (0.01, 0.1, ("1 point", "90 %")), (0.005, 0.001, ("0.5 points", "99.9 %"))],
)
def test_the_legend_tells_margin_and_confidence(margin: float, alpha: float, told: tuple[str, str]) -> None:
    points, confidence = told
    lines = legend(margin, alpha).plain.splitlines()
    assert f"ok = non-inferior, worse = inferior, open = undecided; the margin is {points}" in lines
    assert any(line.startswith(f"[low,high]: {confidence} interval") for line in lines)


@pytest.mark.parametrize(
    ("verdict", "word"), [("non-inferior", "ok"), ("inferior", "worse"), ("undecided", "open"), (None, "-")]
)
def test_verdicts_are_shown_as_short_words(verdict: str | None, word: str) -> None:
    (column,) = (column for column in COLUMNS if column.name == "verdict")
    assert cell(column, row("vlcache", verdict=verdict)) == word


def test_undecided_runners_are_counted_and_what_would_decide_is_told() -> None:
    rows = [FULL, BLEND, row("vlcache", verdict="non-inferior"), row("leading-k", verdict="undecided")]
    never = "undecided: 2 of 3 runners; no number of requests would decide, if what was seen is the truth"
    assert never in draw(rows).splitlines()
    rows[1:2] = [replace(BLEND, needed_separate=900, needed_requests=1800)]
    rows[3:] = [replace(rows[3], needed_separate=149, needed_requests=298)]
    more = "undecided: 2 of 3 runners; 298 requests like these (149 sharing no media) would decide on leading-k"
    assert more in draw(rows).splitlines()
    rows[3:] = [replace(rows[3], needed_requests=None)]
    rare = "149 sharing no media (few more would come) would decide on leading-k"
    assert f"undecided: 2 of 3 runners; {rare}" in draw(rows).splitlines()
    assert "undecided:" not in draw([FULL, row("vlcache", verdict="inferior")])


def test_of_no_rows_there_is_nothing_to_show() -> None:
    assert draw([]).strip() == ""


def test_labels_are_not_read_as_markup() -> None:
    assert "[red]x" in draw([row("[red]x")])


def test_full_marks_the_reference_only() -> None:
    text = draw([FULL, BLEND])
    assert "full *" in text
    assert text.count(" *") == 2


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.name))
def test_every_column_says_what_it_is(column: Any) -> None:
    assert column.meaning
    assert column.unit or column.better is None
    assert column.title or not column.in_table


def test_names_of_columns_are_unique() -> None:
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)


PROMISED = replace(
    BLEND,
    runner="vlcache",
    kept_share=0.75,
    repaired_share=0.125,
    recomputed_share=0.125,
    unlike_share=0.0625,
    skipped_share=0.0,
    doubt_share=0.0375,
    recompute_ratio=0.21,
    recompute_ratio_p90=1.0,
    risk_promised=0.02,
    risk_predicted=0.0064,
    risk_found=0.125,
    risk_found_ci_low=0.0155,
    risk_found_ci_high=0.383,
    calibration="290 requests of quote, prose",
)
NAKED = row("vlcache@risk=0.05", "video", kept_share=0.0, recomputed_share=1.0, risk_promised=0.05, risk_predicted=0.0)


def test_runners_that_promise_a_risk_have_a_table_of_their_own() -> None:
    table = repair_table([FULL, PROMISED, row("full", "video"), NAKED])
    titles = "workload|runner|kept %|repaired %|recomputed %|unlike %|skipped %|in doubt %|computed %|computed p90, %"
    more = ("promised %", "predicted %", "found %", "calibrated on")
    assert [column.title for column in table.columns] == [*titles.split("|"), *more]
    assert table.rows == [
        [
            *("binding", "vlcache", "75", "12", "12", "6", "0", "4", "21.0", "100.0", "2.0", "0.6", "12.5 [1.6,38.3]"),
            "290 requests of quote, prose",
        ],
        ["video", "vlcache@risk=0.05", "0", "-", "100", "-", "-", "-", "-", "-", "5.0", "0.0", "-", "uncalibrated"],
    ]


def test_the_table_of_repair_stands_once_below_the_workloads_and_is_explained() -> None:
    lines = draw([FULL, PROMISED, row("full", "video"), NAKED]).splitlines()
    place = lines.index("repair and its risk")
    assert max(lines.index(line) for line in lines if line.startswith(("binding: ", "video: "))) < place
    assert "12.5 [1.6,38.3]" in next(line for line in lines[place:] if line.startswith("binding"))
    assert max(map(len, lines)) <= WIDTH
    legend_at = next(number for number, line in enumerate(lines) if line.startswith("runner: what answered"))
    assert place < legend_at
    for column in REPAIR_COLUMNS:
        assert sum(column.meaning in line for line in lines[legend_at:]) == 1


def test_without_a_promise_there_is_no_table_of_repair() -> None:
    silent = replace(PROMISED, risk_promised=None)
    assert repair_table([FULL, silent]).rows == []
    assert "repair" not in draw([FULL, silent])
