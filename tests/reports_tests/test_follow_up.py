"""Runs that follow up: who is asked on after the first requests, and bounds that two looks share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.statistics.changes import Changes
from reports.statistics.levels import (
    BOUNDED,
    DEFAULT_ALPHA,
    DEFAULT_MARGIN,
    FIRST_LOOK,
    LAST_LOOK,
)
from reports.summary.follow_up import choose_followed
from reports.summary.row import Row
from reports.summary.summarise import summarise
from runners.records import Record

FIRST, SEPARATE = 10, 49
MakeRecord = Callable[..., Record]


def of_losses(lost: int, kept: int) -> Changes:
    names = [str(place) for place in range(lost + kept)]
    return Changes.of([-1.0] * lost + [0.0] * kept, names)


@pytest.fixture
def make_manifest(manifest: dict[str, Any]) -> Callable[..., Manifest]:
    """Of two workloads, both followed up unless said otherwise; ``chosen``: who was asked on."""

    def make(chosen: dict[str, str] | None = None, **follow_up: Any) -> Manifest:
        requests = {"binding": SEPARATE, "video": SEPARATE}
        document = {
            **manifest,
            "workloads": {"binding": "abc", "video": "def"},
            "runners": [*manifest["runners"], {"label": "blind", "method": "full-reuse", "lossless": False}],
            "follow_up": {"requests": requests, "chosen": chosen, **follow_up},
        }
        return Manifest.check(document, "here")

    return make


def answers(
    make_record: MakeRecord, count: int, start: int = 0, flops: dict[str, float] | None = None, **lost: dict[str, int]
) -> list[Record]:
    """``count`` warm requests of each workload; ``lost``: by runner, how many of the first ones on a workload."""
    return [
        make_record(
            f"{workload}-{number}",
            runner,
            workload=workload,
            score=float(number - start >= lost.get(runner, {}).get(workload, 0)),
            flops=(flops or {}).get(runner, 1e9),
        )
        for workload in ("binding", "video")
        for number in range(start, start + count)
        for runner in ("full", "prefix-cache", "vlcache", "blind")
    ]


def chosen(manifest: Manifest, records: list[Record], **to_come: int) -> dict[str, str]:
    separate = to_come or {"binding": SEPARATE, "video": SEPARATE}
    return choose_followed(Measurements(manifest, records), separate, DEFAULT_MARGIN, DEFAULT_ALPHA)


def test_of_those_who_lost_nothing_the_one_that_computes_least_is_asked_on(
    make_manifest: Any, make_record: MakeRecord
) -> None:
    records = answers(make_record, FIRST, flops={"vlcache": 3e8, "blind": 1e8, "prefix-cache": 1e7})
    assert chosen(make_manifest(), records) == {"binding": "blind", "video": "blind"}
    records = answers(make_record, FIRST, flops={"vlcache": 1e8, "blind": 3e8})
    assert chosen(make_manifest(), records) == {"binding": "vlcache", "video": "vlcache"}


def test_who_surely_loses_on_one_workload_is_asked_on_nowhere(make_manifest: Any, make_record: MakeRecord) -> None:
    records = answers(make_record, FIRST, blind={"binding": 8}, flops={"blind": 1e7})
    assert chosen(make_manifest(), records) == {"binding": "vlcache", "video": "vlcache"}


def test_what_cannot_be_bounded_any_more_is_not_asked_on_there(make_manifest: Any, make_record: MakeRecord) -> None:
    records = answers(make_record, FIRST, vlcache={"binding": 1}, blind={"binding": 8}, flops={"blind": 1e7})
    assert chosen(make_manifest(), records) == {"video": "vlcache"}
    assert chosen(make_manifest(), records, binding=120)["binding"] == "vlcache", "more could still bound it"
    assert chosen(make_manifest(), records, binding=SEPARATE - 1, video=SEPARATE - 1) == {}
    assert chosen(make_manifest(), [], binding=SEPARATE, video=SEPARATE) == {}


def test_another_one_is_asked_on_where_the_first_lost_an_answer(make_manifest: Any, make_record: MakeRecord) -> None:
    records = answers(make_record, FIRST, vlcache={"binding": 1}, flops={"vlcache": 1e7})
    assert chosen(make_manifest(), records) == {"binding": "blind", "video": "vlcache"}


def test_who_lost_more_than_one_answer_on_one_workload_is_asked_on_nowhere(
    make_manifest: Any, make_record: MakeRecord
) -> None:
    records = answers(make_record, FIRST, vlcache={"binding": 2}, blind={"video": 1}, flops={"vlcache": 1e7})
    assert chosen(make_manifest(), records) == {"binding": "blind"}


def test_nobody_is_asked_on_where_no_answer_is_judged(make_manifest: Any, make_record: MakeRecord) -> None:
    records = [replace(record, score=None) for record in answers(make_record, FIRST)]
    assert chosen(make_manifest(), records) == {}


def test_two_looks_share_alpha_and_a_run_with_one_has_all_of_it(make_manifest: Any, make_record: MakeRecord) -> None:
    whole = make_manifest({"binding": "vlcache"})
    records = answers(make_record, FIRST) + [
        record for record in answers(make_record, SEPARATE, FIRST) if record.runner in ("full", "vlcache")
    ]
    records = [record for record in records if record.workload == "binding" or int(record.request[6:]) < FIRST]

    def losses(manifest: Manifest) -> dict[tuple[str, str], float | None]:
        rows: list[Row] = summarise(Measurements(manifest, records), DEFAULT_MARGIN, DEFAULT_ALPHA)
        return {(row.workload, row.runner): row.loss_at_most for row in rows}

    end, look = DEFAULT_ALPHA * LAST_LOOK.low, DEFAULT_ALPHA * FIRST_LOOK.low
    found = losses(whole)
    assert found["binding", "vlcache"] == pytest.approx(1 - end ** (1 / (FIRST + SEPARATE)))
    assert found["binding", "blind"] == found["video", "vlcache"] == pytest.approx(1 - look ** (1 / FIRST))
    assert (found["binding", "vlcache"] or 1) < BOUNDED
    alone = losses(make_manifest(None, requests={}))
    assert alone["binding", "vlcache"] == pytest.approx(1 - DEFAULT_ALPHA ** (1 / (FIRST + SEPARATE)))


def test_what_mixes_cold_and_warm_requests_is_of_the_first_ones(make_manifest: Any, make_record: MakeRecord) -> None:
    records = answers(make_record, FIRST)
    more = [
        replace(
            record, request=f"1.{record.request}", key=f"1.{record.key}", timing=replace(record.timing, ttft_ms=1e3)
        )
        for record in answers(make_record, SEPARATE, FIRST)
        if record.timing is not None and record.runner in ("full", "vlcache")
    ]
    manifest = make_manifest({"binding": "vlcache", "video": "vlcache"}, begins="1.")

    def rows(records: list[Record]) -> dict[tuple[str, str], Row]:
        found: list[Row] = summarise(Measurements(manifest, records), DEFAULT_MARGIN, DEFAULT_ALPHA)
        return {(row.workload, row.runner): row for row in found}

    first, whole = rows(records), rows(records + more)
    for key, row in whole.items():
        assert (row.ttft_ms_p50, row.ttft_ms_p99) == (first[key].ttft_ms_p50, first[key].ttft_ms_p99)
        assert (row.ttft_speedup_all, row.kv_hit_rate) == (first[key].ttft_speedup_all, first[key].kv_hit_rate)
    assert (whole["binding", "vlcache"].loss_at_most or 1) < (first["binding", "vlcache"].loss_at_most or 0)


def test_nothing_is_pooled_of_who_was_asked_on_here_alone(make_manifest: Any, make_record: MakeRecord) -> None:
    records = answers(make_record, FIRST)

    def pooled(choice: dict[str, str]) -> float | None:
        rows = summarise(Measurements(make_manifest(choice), records), DEFAULT_MARGIN, DEFAULT_ALPHA)
        return next(row.pooled_loss_at_most for row in rows if row.runner == "vlcache")

    assert pooled({"binding": "vlcache"}) is None
    end = DEFAULT_ALPHA * LAST_LOOK.low
    assert pooled({"binding": "vlcache", "video": "vlcache"}) == pytest.approx(1 - end ** (1 / (2 * FIRST)))


@pytest.mark.parametrize(("lost", "kept", "more"), [(0, 10, 49), (2, 8, 30), (3, 1, 1)])
def test_unchanged_clusters_join_as_if_they_had_been_seen(lost: int, kept: int, more: int) -> None:
    joined, seen = of_losses(lost, kept).joined_by_unchanged(more), of_losses(lost, kept + more)
    assert (joined.requests, joined.clusters) == (seen.requests, seen.clusters)
    assert joined.gained == seen.gained == 0
    assert joined.lost == pytest.approx(seen.lost)
    assert astuple(joined.bounds(0.05)) == pytest.approx(astuple(seen.bounds(0.05)))


@pytest.mark.parametrize(
    ("gained", "lost"), [(0.0, 0.01), (0.0, 0.0499), (0.0, 0.1), (0.0, 0.3), (0.0, 0.5), (0.02, 0.0499)]
)
def test_both_looks_together_err_no_more_often_than_alpha(
    gained: float, lost: float, script_of: Callable[[str], ModuleType]
) -> None:
    """All outcomes summed, nothing drawn."""
    two_looks = script_of("proof_error_rates").two_looks
    for more in (49, 86):
        too_small, too_large, asked_on = two_looks(gained, lost, DEFAULT_ALPHA, more=more)
        assert max(too_small, too_large) <= DEFAULT_ALPHA
        chance = (1 - lost) ** 10 + (0 if more == 49 else 10 * lost * (1 - lost) ** 9)
        assert asked_on == pytest.approx(chance, abs=0.01), "after a lost answer 86 more could bound it, and no 49"


def test_the_enumerated_chances_are_those_that_the_bounds_invert(script_of: Callable[[str], ModuleType]) -> None:
    script = script_of("proof_error_rates")
    bounds = of_losses(3, 17).bounds(DEFAULT_ALPHA)
    for side, end in enumerate((bounds.low, bounds.high)):
        found = script.excluded(np.array([0.0]), np.array([3.0]), 20, end)[side]
        assert found[0] == pytest.approx(DEFAULT_ALPHA, rel=1e-6)
