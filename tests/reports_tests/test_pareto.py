from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.run.manifest import Manifest
from reports.summary.row import Row
from reports.sweep.knees import find_knee, find_knees
from reports.sweep.pareto import Point, find_points
from reports.sweep.recommend import recommend, separate_to_prove

MARGIN, ALPHA = 0.02, 0.05
VERDICTS = ("non-inferior", "inferior", "undecided")


def row(runner: str, workload: str = "binding", **values: Any) -> Row:
    known: dict[str, Any] = {
        "model": "builtin",
        "device": "cpu",
        "dtype": "float32",
        "requests": 32,
        "failed": 0,
        "fallbacks": 0,
    }
    return Row(runner=runner, workload=workload, margin=MARGIN, alpha=ALPHA, **known | values)


def manifest_of(*runners: tuple[str, str, float | None], **other: Any) -> dict[str, Any]:
    """Of a sweep with runners of (label, family, ratio); the first is the reference."""
    told = {label: {"family": family, "ratio": ratio} for label, family, ratio in runners}
    return {
        "config": {"reference": runners[0][0]},
        "workloads": {},
        "model": {"name": "builtin", "device": "cpu", "dtype": "float32"},
        "runners": [
            {
                "label": label,
                "method": family,
                "lossless": family == "full",
                "options": {"ratio": ratio} if ratio is not None else {},
            }
            for label, family, ratio in runners
        ],
        "sweep": {"ratios": sorted({ratio for _, _, ratio in runners if ratio is not None}), "runners": told},
    } | other


MANIFEST = manifest_of(("full", "full", None), ("a@ratio=0", "a", 0.0), ("a@ratio=1", "a", 1.0), ("X@0.5", "X", 0.5))


def find(rows: Sequence[Row], manifest: dict[str, Any]) -> list[Point]:
    return find_points(rows, Manifest.check(manifest, "here"))


def points_of(*rows: Row, **change: Any) -> list[Point]:
    return find(rows, MANIFEST | change)


def candidate(
    label: str, verdict: str | None, speedup: float | None, workload: str = "binding", **values: Any
) -> Point:
    told: dict[str, Any] = {"accuracy": 1.0, "accuracy_delta": 0.0, "accuracy_delta_ci_low": -0.1, "agreement": 0.9}
    told |= {"needed_separate": 200, "needed_requests": 800} if verdict == "undecided" else {}
    told |= values
    told.setdefault("ttft_speedup_ci_low", speedup)
    line = row(label, workload, verdict=verdict, ttft_speedup=speedup, **told)
    other = [(label, label, None)] if label != "full" else []
    (point,) = find([line], manifest_of(("full", "full", None), *other))
    return point


def curve_of(*pairs: tuple[float | None, float | None]) -> list[Point]:
    """A family's points from (executed ratio, accuracy)."""
    labels = [f"a@{place}" for place in range(len(pairs))]
    manifest = manifest_of(("full", "full", None), *((label, "a", place / 10) for place, label in enumerate(labels)))
    rows = [row(label, recompute_ratio=x, accuracy=y) for label, (x, y) in zip(labels, pairs, strict=True)]
    return find(rows, manifest)


def test_points_know_their_family_and_stand_in_the_order_of_ratios_the_reference_first() -> None:
    points = points_of(row("a@ratio=1"), row("X@0.5"), row("a@ratio=0"), row("full"))
    assert [(point.runner, point.family, point.ratio, point.is_reference) for point in points] == [
        ("full", "full", None, True),
        ("a@ratio=0", "a", 0.0, False),
        ("a@ratio=1", "a", 1.0, False),
        ("X@0.5", "X", 0.5, False),
    ]


def test_a_run_of_bench_has_points_too() -> None:
    manifest = {key: value for key, value in MANIFEST.items() if key != "sweep"}
    (point,) = find([row("X@0.5")], manifest)
    assert (point.family, point.ratio, point.analysis_only) == ("X@0.5", 0.5, False)


def test_undefined_values_stay_undefined() -> None:
    (point,) = points_of(row("X@0.5"))
    assert (point.accuracy, point.ttft_speedup, point.recompute_ratio, point.verdict) == (None,) * 4
    assert not point.optimal


measured = st.tuples(st.sampled_from([None, 0.0, 0.5, 0.75, 1.0]), st.sampled_from([None, 0.5, 1.0, 2.0, 4.0]))


@given(st.lists(st.tuples(measured, st.booleans()), min_size=1, max_size=12))
def test_optimal_is_exactly_what_no_usable_point_dominates(values: list[tuple[tuple[Any, Any], bool]]) -> None:
    labels = [f"r{place}" for place in range(len(values))]
    rows = [
        row(label, accuracy=accuracy, ttft_speedup=speedup)
        for label, ((accuracy, speedup), _) in zip(labels, values, strict=True)
    ]
    manifest = manifest_of(*((label, label, None) for label in labels))
    for runner, (_, bound) in zip(manifest["runners"], values, strict=True):
        runner["analysis_only"] = bound
    points = find(rows, manifest)
    places = {
        point.runner: (point.accuracy, point.ttft_speedup)
        for point in points
        if point.accuracy is not None and point.ttft_speedup is not None and not point.analysis_only
    }
    undominated = {
        runner
        for runner, (accuracy, speedup) in places.items()
        if not any(
            other >= accuracy and faster >= speedup and (other > accuracy or faster > speedup)
            for other, faster in places.values()
        )
    }
    assert {point.runner for point in points if point.optimal} == undominated
    assert bool(undominated) == bool(places)


def test_workloads_do_not_dominate_each_other() -> None:
    slow, fast = row("X@0.5", accuracy=0.5, ttft_speedup=1.0), row("a@ratio=0", "video", accuracy=1.0, ttft_speedup=9.0)
    assert [point.optimal for point in points_of(slow, fast)] == [True, True]


def test_the_knee_stands_highest_above_the_chord() -> None:
    knee = find_knee(curve_of((0, 0.3), (0.02, 0.9), (0.1, 0.95), (0.5, 0.97), (1, 1)))
    assert knee is not None
    assert (knee.runner, knee.ratio, knee.recompute_ratio, knee.accuracy) == ("a@1", 0.1, 0.02, 0.9)


def test_the_knee_goes_by_what_was_executed_not_by_what_was_set() -> None:
    knee = find_knee(curve_of((1, 1), (0.1, 0.9), (0, 0)))
    assert knee is not None
    assert knee.runner == "a@1"


@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=8, unique=True),
    st.floats(0.1, 0.9),
    st.sampled_from([0.25, 0.5]),
    st.sampled_from([0.0, 0.125]),
)
def test_the_knee_of_a_concave_curve_does_not_depend_on_its_scale(
    ratios: list[float], power: float, scale: float, shift: float
) -> None:
    found = find_knee(curve_of(*((ratio, ratio**power) for ratio in ratios)))
    scaled = find_knee(curve_of(*((ratio * scale, ratio**power * scale + shift) for ratio in ratios)))
    assert (found and found.runner) == (scaled and scaled.runner)
    if found is not None:
        assert min(ratios) < found.recompute_ratio < max(ratios)


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([(0, 0.5), (1, 1)], id="two points"),
        pytest.param([(0, 1), (0.5, 1), (1, 1)], id="flat"),
        pytest.param([(0, 0), (0.5, 0.5), (1, 1)], id="straight"),
        pytest.param([(0, 0), (0.5, 0.1), (1, 1)], id="convex"),
        pytest.param([(0, 1), (0.5, 0.9), (1, 0.5)], id="falling"),
        pytest.param([(0.3, 0), (0.3, 0.9), (0.3, 1)], id="nothing more executed"),
        pytest.param([(0, 0.5), (0.1, None), (None, 0.9), (1, 1)], id="undefined values"),
    ],
)
def test_where_there_is_no_knee(pairs: list[tuple[float | None, float | None]]) -> None:
    assert find_knee(curve_of(*pairs)) is None


def test_families_that_ran_at_several_ratios_have_a_knee_or_none() -> None:
    points = points_of(row("full"), row("a@ratio=0"), row("a@ratio=1"), row("X@0.5"), row("full", "video"))
    assert find_knees(points) == {"binding": {"a": None}, "video": {}}


def test_the_fastest_non_inferior_runner_is_recommended() -> None:
    points = [
        candidate("full", None, 1.0),
        candidate("slow", "non-inferior", 2.0),
        candidate("fast", "non-inferior", 3.0),
        candidate("careless", "inferior", 9.0),
        candidate("maybe", "undecided", 8.0),
    ]
    found = recommend(points, MARGIN)
    assert (found.runner, found.ttft_speedup) == ("fast", 3.0)
    assert found.reason == "fastest of 2 non-inferior on binding"


def test_neither_the_reference_nor_an_upper_bound_is_recommended() -> None:
    lines = [
        row(label, verdict="non-inferior", ttft_speedup=speed) for label, speed in (("full", 7.0), ("oracle", 9.0))
    ]
    manifest = manifest_of(("full", "full", None), ("oracle", "oracle", None))
    manifest["runners"][1]["analysis_only"] = True
    found = recommend(find(lines, manifest), MARGIN)
    assert (found.runner, found.reason) == (None, "nothing was timed and judged on binding: too few requests")


def test_over_all_workloads_the_lowest_speed_up_counts() -> None:
    points = [
        candidate("uneven", "non-inferior", 2.0),
        candidate("even", "non-inferior", 3.0),
        candidate("elsewhere", "non-inferior", 9.0),
        candidate("uneven", "non-inferior", 9.0, "video"),
        candidate("even", "non-inferior", 3.0, "video"),
        candidate("elsewhere", "inferior", 9.0, "video"),
    ]
    found = recommend(points, MARGIN)
    assert (found.runner, found.ttft_speedup) == ("even", 3.0)
    assert found.reason == "fastest of 2 non-inferior on all 2 workloads"


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([("a", "inferior", 3.0), ("b", "inferior", 2.0)], "every runner is inferior on binding"),
        ([("a", None, 3.0)], "nothing was timed and judged on binding: too few requests"),
        ([("a", "non-inferior", None)], "nothing was timed and judged on binding: too few requests"),
        ([("a", "non-inferior", 0.9)], "what is non-inferior on binding is not faster than the reference"),
        (
            [("a", "undecided", 2.0), ("b", "undecided", 3.0)],
            "undecided: 800 requests like these (200 sharing no media) would decide on b",
        ),
    ],
)
def test_where_nothing_is_recommended_the_reason_is_told(points: list[Any], reason: str) -> None:
    found = recommend([candidate(*point) for point in points], MARGIN)
    assert (found.runner, found.ttft_speedup, found.reason) == (None, None, reason)


def test_a_change_beyond_the_margin_cannot_be_proven_away() -> None:
    point = candidate("a", "undecided", 2.0, accuracy_delta=-0.03)
    assert separate_to_prove(point, MARGIN) == inf
    assert recommend([point], MARGIN).reason == "undecided on binding, and every change seen is beyond the margin"


def test_the_runner_that_needs_the_fewest_is_named_with_what_the_stream_can_give() -> None:
    points = [
        candidate("a", "undecided", 2.0, needed_separate=149, needed_requests=None),
        candidate("b", "undecided", 3.0, needed_separate=150),
    ]
    assert recommend(points, MARGIN).reason == (
        "undecided: 149 sharing no media (few more would come) would decide on a"
    )


def test_an_exact_runner_is_proven_and_a_broken_one_is_not() -> None:
    points = [candidate("exact", "exact", 2.0), candidate("broken", "broken", 9.0)]
    assert recommend(points, MARGIN).runner == "exact"
    assert recommend(points[1:], MARGIN).reason == "every runner is inferior on binding"


choices = st.tuples(st.sampled_from(VERDICTS), st.sampled_from([0.5, 1.0, 2.0, 4.0]), st.sampled_from([0.5, 1.0]))


@given(st.lists(choices, min_size=1, max_size=8))
def test_no_proven_runner_dominates_the_recommended_one(values: list[tuple[str, float, float]]) -> None:
    points = [
        candidate(f"r{place}", verdict, speedup, accuracy=accuracy)
        for place, (verdict, speedup, accuracy) in enumerate(values)
    ]
    found = recommend(points, MARGIN)
    proven = [(point.ttft_speedup, point.accuracy) for point in points if point.verdict == "non-inferior"]
    if found.runner is None:
        assert all(speedup is not None and speedup <= 1 for speedup, _ in proven)
        return
    (chosen,) = [point for point in points if point.runner == found.runner]
    assert max(proven, key=lambda pair: (pair[0] or 0, pair[1] or 0)) == (chosen.ttft_speedup, chosen.accuracy)
