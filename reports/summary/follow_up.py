"""Choose, after the first requests of a run, the runner that is asked on: one whose loss more can still bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

import pandas as pd

from reports.run.measurements import Measurements
from reports.statistics.levels import BOUNDED, LAST_LOOK
from reports.statistics.pairing import Paired
from reports.statistics.verdict import verdict_on
from runners.records import Warmth

TIMES = 2


def choose_followed(run: Measurements, separate: Mapping[str, int], margin: float, alpha: float) -> dict[str, str]:
    """Label of the runner to be asked on, by workload; those are left out on which no runner is.

    Of the runners whose loss can be bounded if nothing more changes, it is the one that executed the fewest FLOPs on
    warm requests of the run. The bound is ``BOUNDED``, or the margin if that is larger. A runner is asked on nowhere if
    it is inferior on some workload, or if not even ``TIMES`` as many requests could bound its loss there: who switches
    it on does not choose which requests come. Lossless runners are no statistical question. Any such choice leaves the
    bounds valid, as the two looks at a run share alpha; this one depends on no time, so a run that is repeated chooses
    alike.

    Args:
        run: its first requests, of all workloads.
        separate: clusters of requests that are still to come, by workload.
    """
    manifest, frame, bound = run.manifest, run.frame, max(margin, BOUNDED)
    paired = {
        workload: Paired.of(
            frame[frame["workload"] == workload], manifest.reference, (), shares=manifest.alpha_shares(workload)
        )
        for workload in manifest.workloads
    }

    def may_be_safe(label: str) -> bool:
        return not any(_is_inferior(pairs, label, margin, alpha) for pairs in paired.values()) and all(
            _can_be_bounded(paired[workload], label, TIMES * to_come, bound, alpha)
            for workload, to_come in separate.items()
        )

    labels = sorted(filter(may_be_safe, manifest.judged), key=lambda label: _executed(frame, label))
    first = {
        workload: next(
            (label for label in labels if _can_be_bounded(paired[workload], label, to_come, bound, alpha)), None
        )
        for workload, to_come in separate.items()
    }
    return {workload: label for workload, label in first.items() if label is not None}


def _executed(frame: pd.DataFrame, label: str) -> float:
    """FLOPs executed / of full recomputation on warm requests; infinite where they are not known."""
    warm = frame[(frame["runner"] == label) & (frame["warmth"] == Warmth.WARM.value)]
    whole = float(warm["full_flops"].sum())
    return float(warm["flops"].sum()) / whole if whole else inf


def _is_inferior(paired: Paired, label: str, margin: float, alpha: float) -> bool:
    return verdict_on(paired.changes(paired.score_delta(label), label), margin, alpha) == "inferior"


def _can_be_bounded(paired: Paired, label: str, to_come: int, bound: float, alpha: float) -> bool:
    seen = paired.changes(paired.score_delta(label), label)
    if not seen.clusters:
        return False
    at_best = replace(seen.joined_by_unchanged(to_come), shares=LAST_LOOK)
    return at_best.bounds(alpha).low > -bound
