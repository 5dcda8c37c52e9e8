"""What a run shows beside an earlier one: changes since the baseline.

Where the baseline has its records, and was asked the same, runs are paired request by request, so that nothing but
changes counts. Of a summary alone the intervals of both runs are combined (``bounds.difference_bounds``): sound, but
wider. Times are never compared across runs, only speed-ups, each over the reference of its own run.
"""

from __future__ import annotations

from math import exp, inf, log

from reports.gate.evidence import MEDIAN, Evidence, Subject, of_changes, of_count, of_median
from reports.statistics.bounds import difference_bounds, quantile_bounds
from reports.statistics.clusters import Sample
from reports.statistics.intervals import Interval, critical_value
from reports.summary.row import Row
from runners.records import Warmth

NO_RUNNER = Evidence(None, why="the baseline has no such runner on this workload")


def accuracy_since(subject: Subject) -> Evidence:
    """Accuracy now less then, where a medium was sent before."""
    row = subject.then
    if row is None:
        return NO_RUNNER
    delta, paired = subject.paired.score_delta(subject.runner), subject.paired
    if subject.then_paired is not None:
        scores = (
            (paired.score[subject.runner] - subject.then_paired.score[subject.runner]).reindex(delta.index).dropna()
        )
        return of_changes(scores, subject, "no request with a gold answer and a recurring medium is in both runs")
    then = row.accuracy_delta
    if delta.empty or then is None:
        return Evidence(None, why="one of the two runs has no change of accuracy to compare")
    changes, saved = paired.changes(delta, subject.runner), _ends(row, "accuracy_delta")

    def bounds(alpha: float) -> Interval:
        return difference_bounds(changes.mean, changes.bounds(alpha), then, _at(alpha, then, saved, row))

    return Evidence(
        changes.mean - then, bounds, Sample.of(delta, paired.clusters(delta)).fewest, grows=paired.grows(delta)
    )


def speedup_since(subject: Subject) -> Evidence:
    """Warm speed-up now / then."""
    row = subject.then
    if row is None:
        return NO_RUNNER
    now = subject.paired.ratios(subject.paired.reference, subject.runner, Warmth.WARM)
    if subject.then_paired is not None:
        then = subject.then_paired.ratios(subject.then_paired.reference, subject.runner, Warmth.WARM)
        return of_median((now / then).dropna(), subject.paired, "no warm request was timed in both runs")
    before, saved = row.ttft_speedup, _ends(row, "ttft_speedup")
    if now.empty or before is None or before <= 0:
        return Evidence(None, why="one of the two runs has no warm speed-up to compare")
    clusters, logarithms = subject.paired.clusters(now), now.map(log)
    logged = Interval(log(saved.low) if saved.low > 0 else -inf, log(saved.high) if saved.high > 0 else inf)

    def bounds(alpha: float) -> Interval:
        ends = quantile_bounds(logarithms, clusters, MEDIAN, alpha)
        then = _at(alpha, log(before), logged, row)
        ratio = difference_bounds(float(logarithms.median()), ends, log(before), then)
        return Interval(exp(ratio.low), exp(ratio.high))

    return Evidence(
        float(now.median() / before), bounds, Sample.of(now, clusters).fewest, grows=subject.paired.grows(now)
    )


def media_hits_since(subject: Subject) -> Evidence:
    """Hit rate of recurring media, now less then."""
    return _difference(subject, "media_hit_rate_recurring")


def recomputed_since(subject: Subject) -> Evidence:
    """Share of vision token-layers computed, now less then."""
    return _difference(subject, "recompute_ratio")


def _difference(subject: Subject, name: str) -> Evidence:
    if subject.then is None:
        return NO_RUNNER
    now, then = getattr(subject.row, name), getattr(subject.then, name)
    return of_count(None if now is None or then is None else now - then)


def _ends(row: Row, name: str) -> Interval:
    low, high = getattr(row, f"{name}_ci_low"), getattr(row, f"{name}_ci_high")
    return Interval(-inf if low is None else low, inf if high is None else high)


def _at(alpha: float, value: float, saved: Interval, row: Row) -> Interval:
    """Saved ends, which belong to a two-sided interval at the row's own alpha, moved as a normal estimate's would."""
    times = critical_value(2 * alpha) / critical_value(row.alpha)
    return Interval(value - (value - saved.low) * times, value + (saved.high - value) * times)
