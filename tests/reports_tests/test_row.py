"""A column is declared once, as a field of ``Row``, and measured once, in ``summarise``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.summary import summarise as summaries
from reports.summary.column import column, columns_of, end
from reports.summary.row import COLUMNS, TABLE_COLUMNS, Row
from runners.records import Record
from workloads.errors import UsageError
from workloads.reading import check

MakeRecord = Callable[..., Record]


@dataclass(frozen=True, kw_only=True)
class Longer(Row):
    """A summary of a version to come."""

    patience: float | None = column("how long a user waits", "s", title="wait", interval_spec=".1f", in_table=True)
    patience_ci_low: float | None = end()
    patience_ci_high: float | None = end()


@pytest.fixture
def run(make_record: MakeRecord, manifest: dict[str, Any]) -> Measurements:
    return Measurements(Manifest.check(manifest, "here"), [make_record("q0", "full"), make_record("q0", "vlcache")])


def test_a_field_of_the_row_is_a_column_and_both_ends_of_an_interval_are_there() -> None:
    names = [known.name for known in COLUMNS]
    assert len(set(names)) == len(names) > 50
    for known in COLUMNS:
        assert known.meaning
        if known.interval_spec is not None:
            place = names.index(known.name)
            assert names[place + 1 : place + 3] == [f"{known.name}_ci_low", f"{known.name}_ci_high"]
        if known.in_table:
            assert known.title
    assert set(TABLE_COLUMNS) <= set(COLUMNS)


def test_an_added_field_is_an_added_column() -> None:
    *before, patience, low, high = columns_of(Longer)
    assert tuple(before) == COLUMNS
    assert (patience.name, patience.unit, patience.title, patience.in_table) == ("patience", "s", "wait", True)
    assert (low.name, low.unit, low.meaning) == ("patience_ci_low", "s", "low end of the interval of patience")
    assert high.name == "patience_ci_high"


def test_what_is_declared_and_not_measured_is_named(run: Measurements, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "Row", Longer)
    with pytest.raises(TypeError, match="not both: patience, patience_ci_high, patience_ci_low"):
        summaries.summarise(run, 0.02, 0.05)


def test_what_is_measured_and_not_declared_is_named(run: Measurements, monkeypatch: pytest.MonkeyPatch) -> None:
    reuse = summaries._reuse
    monkeypatch.setattr(summaries, "_reuse", lambda mine: {**reuse(mine), "patience": 1.0})
    with pytest.raises(TypeError, match=r"not both: patience$"):
        summaries.summarise(run, 0.02, 0.05)


def test_a_column_that_is_declared_and_measured_is_in_the_row(
    run: Measurements, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = {"patience": 1.0, "patience_ci_low": None, "patience_ci_high": None}
    reuse = summaries._reuse
    monkeypatch.setattr(summaries, "Row", Longer)
    monkeypatch.setattr(summaries, "_reuse", lambda mine: {**reuse(mine), **added})
    row = summaries.summarise(run, 0.02, 0.05)[1]
    assert list(row.to_json())[-3:] == list(added)
    assert getattr(row, "patience") == 1.0  # noqa: B009 (no field of the declared type)


def test_a_summary_of_another_version_is_read(run: Measurements) -> None:
    _, row = summaries.summarise(run, 0.02, 0.05)
    assert check(row.to_json(), Row) == row
    older = {name: value for name, value in row.to_json().items() if name not in ("warmup_ms", "weights")}
    read = check({**older, "patience": 1.0}, Row)
    assert (read.warmup_ms, read.weights, read.accuracy) == (None, None, row.accuracy)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"runner": None}, "^runner must be a text, not None"),
        ({"requests": "9"}, "^requests must be a whole number, not '9'"),
        ({"accuracy": True}, "^accuracy must be a number, not True"),
        ({"verdict": 3}, "^verdict must be a text, not 3"),
        ({"kl_mean": float("nan")}, "^kl_mean must be a number, not nan"),
    ],
)
def test_a_row_with_a_value_that_cannot_be_is_refused(run: Measurements, wrong: dict[str, Any], named: str) -> None:
    row = summaries.summarise(run, 0.02, 0.05)[1].to_json() | wrong
    with pytest.raises(UsageError, match=named):
        check(row, Row)


def test_a_frame_is_built_once_and_left_as_it_is(run: Measurements, manifest: dict[str, Any]) -> None:
    manifest["runners"][0]["analysis_only"] = True
    upper_bound = Measurements(Manifest.check(manifest, "here"), run.records)
    before = upper_bound.frame.copy()
    (_, row) = summaries.summarise(upper_bound, 0.02, 0.05)
    assert row.ttft_ms_p50 is None
    assert upper_bound.frame.equals(before)
