"""The loss over all workloads of a run together: as one workload with the clusters of all would have it."""

from __future__ import annotations

import pandas as pd
import pytest

from reports.statistics.changes import Changes
from reports.statistics.pairing import Paired
from reports.summary.proof import pooled_loss

ALPHA = 0.05


def paired(scores: list[float], sequential: bool = False) -> Paired:
    """Warm requests of separate cases, all answered right by the reference."""
    lines = [
        {
            "request": f"q{place}",
            "runner": runner,
            "cluster_id": f"case-{place}",
            "warmth": "warm",
            "ttft_ms": 1.0,
            "score": 1.0 if runner == "full" else score,
            "ok": True,
            "node": None,
        }
        for place, score in enumerate(scores)
        for runner in ("full", "some")
    ]
    return Paired.of(pd.DataFrame(lines), "full", [], sequential)


def test_workloads_without_a_loss_bound_it_like_one_of_as_many_cases() -> None:
    found = pooled_loss([paired([1.0] * 20), paired([1.0] * 40)], "some", ALPHA)
    assert found == pytest.approx(1 - ALPHA ** (1 / 60))
    assert found is not None
    alone = pooled_loss([paired([1.0] * 20)], "some", ALPHA)
    assert alone == pytest.approx(1 - ALPHA ** (1 / 20))


def test_clusters_of_equal_names_in_two_workloads_are_two() -> None:
    scores = [0.0, *[1.0] * 19]
    found = pooled_loss([paired(scores), paired(scores)], "some", ALPHA)
    values = [score - 1 for score in scores * 2]
    bounds = Changes.of(values, [str(place) for place in range(40)]).bounds(ALPHA)
    assert found == pytest.approx(-bounds.low)


def test_nothing_is_pooled_where_workloads_stopped_by_what_they_saw() -> None:
    assert pooled_loss([paired([1.0] * 20, sequential=True)], "some", ALPHA) is None
