"""A model with random weights is timed like any other, and nothing is said of its answers."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from reports.forms.table import WIDTH, render
from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.summary.row import COLUMNS
from reports.summary.row_notices import row_notices
from reports.summary.summarise import summarise
from reports.sweep.pareto import find_points
from reports.sweep.recommend import recommend
from runners.records import Record, Status

JUDGING = [
    column.name
    for column in COLUMNS
    if column.name.startswith(("accuracy", "agreement", "official", "kl", "verdict", "parse_failed", "compared_worth"))
]


@pytest.fixture
def records(make_record: Callable[..., Record]) -> list[Record]:
    """Eight requests, one of which failed; judged, as if nobody had known."""
    return [
        make_record(request=f"r{number}", runner=runner, ttft_ms=ttft, status=Status.OK if number else Status.ERROR)
        for number in range(8)
        for runner, ttft in (("full", 100.0), ("vlcache", 50.0))
    ]


@pytest.fixture
def random(manifest: dict[str, Any]) -> dict[str, Any]:
    return {**manifest, "model": {**manifest["model"], "random_weights": True}}


def test_what_a_record_says_of_its_answer_can_be_left_out(make_record: Callable[..., Record]) -> None:
    record = make_record()
    bare = record.unjudged()
    changed = {name for name, value in record.to_json().items() if bare.to_json()[name] != value}
    assert changed == {"score", "kl", "agrees"}
    assert (bare.score, bare.kl, bare.agrees) == (None, None, None)
    assert bare.unjudged() == bare


def test_no_column_tells_what_answers_are_worth(records: list[Record], random: dict[str, Any]) -> None:
    assert len(JUDGING) > 10
    for row in summarise(
        Measurements(Manifest.check(random, "here"), [record.unjudged() for record in records]), 0.02, 0.05
    ):
        assert {name: getattr(row, name) for name in JUDGING} == dict.fromkeys(JUDGING)
        assert (row.weights, row.failed, row.scored, row.compared) == ("random", 1, 0, 0)


def test_times_are_those_of_any_model(records: list[Record], random: dict[str, Any], manifest: dict[str, Any]) -> None:
    bare = summarise(
        Measurements(Manifest.check(random, "here"), [record.unjudged() for record in records]), 0.02, 0.05
    )
    judged = summarise(Measurements(Manifest.check(manifest, "here"), records), 0.02, 0.05)
    timed = [column.name for column in COLUMNS if column.name.startswith(("ttft", "cold", "store", "recompute", "kv_"))]
    told, known = ([[getattr(row, name) for name in timed] for row in rows] for rows in (bare, judged))
    assert told == known
    assert {row.weights for row in judged} == {"loaded"}


def test_the_table_says_why_in_one_line(records: list[Record], random: dict[str, Any]) -> None:
    rows = summarise(
        Measurements(Manifest.check(random, "here"), [record.unjudged() for record in records]), 0.02, 0.05
    )
    console = Console(file=io.StringIO(), width=WIDTH)
    console.print(render(rows, "full", [*row_notices(rows)]))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    why = "random weights: answers mean nothing; accuracy, agreement, KL and verdict are left out"
    assert lines.count(why) == 1
    assert not any(line.startswith(("no gold answers", "undecided")) for line in lines)


def test_nothing_is_recommended(records: list[Record], random: dict[str, Any]) -> None:
    rows = summarise(
        Measurements(Manifest.check(random, "here"), [record.unjudged() for record in records]), 0.02, 0.05
    )
    choice = recommend(find_points(rows, Manifest.check(random, "here")), 0.02)
    assert (choice.runner, choice.reason) == (None, "no answer on binding was judged")
