"""What a run shows of each requirement: a number, and between which bounds the truth lies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from reports.statistics.bounds import quantile_bounds, quantile_ratio_bounds, requests_to_bound_quantile
from reports.statistics.changes import Changes
from reports.statistics.clusters import Sample
from reports.statistics.intervals import Interval
from reports.statistics.pairing import Paired
from reports.statistics.permutation import sign_flip_test
from reports.summary.exactness import EXACT
from reports.summary.row import Row
from runners.records import Warmth

MEDIAN, P99 = 0.5, 0.99
LONGEST_REASON = 100
RANDOM = "the weights are random: answers mean nothing"

Bounds = Callable[[float], Interval]
"""From alpha to both ends; each is wrong with that probability at most. An end nothing is known of is infinite."""


@dataclass(frozen=True)
class Subject:
    """One runner on one workload, and what it can be compared with.

    Attributes:
        records: of the workload (``frame.FRAME_COLUMNS``), all runners.
        paired: the same, request by request.
        row: its line of the summary.
        fallbacks: why it computed what could have been reused, in the order of the records.
        noise: the runner whose answers flip by rounding alone; None without one.
        then: its line of the baseline's summary; None where there is none.
        then_paired: the baseline's records of the same requests; None where it has none.
    """

    runner: str
    records: pd.DataFrame
    paired: Paired
    row: Row
    fallbacks: Sequence[str] = ()
    noise: str | None = None
    then: Row | None = None
    then_paired: Paired | None = None


@dataclass(frozen=True)
class Evidence:
    """What is known of one requirement.

    Attributes:
        value: as measured; None where nothing was, and then ``why`` says so.
        bounds: of the truth; None where the value is a count that follows from the requests.
        worth: how many separate requests it rests on at least; of changes, ``changes`` says so.
        why: what else there is to say.
        chance: the probability of a change as large where nothing changed, by ``permutation.sign_flip_test``.
        changes: of scores, where the value is their mean.
        grows: whether more requests of the stream bring new clusters, see ``Paired.grows``.
        fewest: from alpha to the fewest separate requests with which both bounds are finite.
    """

    value: float | None
    bounds: Bounds | None = None
    worth: float | None = None
    why: str = ""
    chance: float | None = None
    changes: Changes | None = None
    grows: bool = True
    fewest: Callable[[float], int] = lambda alpha: 2


def accuracy(subject: Subject) -> Evidence:
    """Accuracy less the reference's, where a medium was sent before; no estimate where every answer is the same."""
    if subject.row.weights == "random":
        return Evidence(None, why=RANDOM)
    if subject.row.verdict == EXACT and not subject.row.failed:
        return Evidence(0.0, why="exact: every answer is the reference's")
    if not subject.row.scored:
        return Evidence(None, why="no request has a gold answer: bound max_flip_rate instead, and set margin to null")
    delta = subject.paired.score_delta(subject.runner)
    return of_changes(delta, subject, "no request with a gold answer has a medium that was sent before")


def differences(subject: Subject) -> Evidence:
    """Answers of a lossless runner that differ from the reference's and that rounding does not explain."""
    found, first = subject.row.differences, subject.row.first_difference
    if subject.row.weights == "random":
        return Evidence(None, why=RANDOM)
    if found is None:
        return Evidence(None, why="no answer of a lossless runner could be compared with the reference's")
    return Evidence(float(found), why="" if first is None else f"the first is {first}")


def flips(subject: Subject) -> Evidence:
    """Share of answers that differ from the reference's, beyond the noise floor where there is one."""
    agrees = subject.records.pivot(index="request", columns="runner", values="agrees")
    flipped = 1 - agrees[subject.runner]
    if subject.noise is None:
        return of_changes(flipped.dropna(), subject, "no answer could be compared with the reference's")
    beyond = (flipped - (1 - agrees[subject.noise])).dropna()
    return of_changes(beyond, subject, f"no answer could be compared with {subject.noise}'s")


def speedup(subject: Subject) -> Evidence:
    """Median of per-request TTFT reference / runner, warm requests."""
    ratios = subject.paired.ratios(subject.paired.reference, subject.runner, Warmth.WARM)
    return of_median(ratios, subject.paired, "no request all of whose media were sent before was timed")


def p99_ratio(subject: Subject) -> Evidence:
    """Ratio of the 99th percentiles of TTFT, runner / reference, requests that both answered."""
    labels = [subject.runner, subject.paired.reference]
    pairs = subject.paired.ttft.reindex(columns=labels).dropna()
    if pairs.empty:
        return Evidence(None, why="no request was timed")
    mine, theirs, clusters = pairs[labels[0]], pairs[labels[1]], subject.paired.clusters(pairs[labels[0]])
    return Evidence(
        float(mine.quantile(P99) / theirs.quantile(P99)),
        lambda alpha: quantile_ratio_bounds(mine, theirs, clusters, P99, alpha),
        Sample.of(mine, clusters).fewest,
        fewest=lambda alpha: requests_to_bound_quantile(P99, alpha),
        grows=subject.paired.grows(mine),
    )


def media_hits(subject: Subject) -> Evidence:
    """Recurring media served from a store / recurring media."""
    return of_count(subject.row.media_hit_rate_recurring, _fallbacks(subject.fallbacks))


def kv_hits(subject: Subject) -> Evidence:
    """Recurring media whose K, V were reused / recurring media."""
    return of_count(subject.row.kv_hit_rate_recurring, _fallbacks(subject.fallbacks))


def recomputed(subject: Subject) -> Evidence:
    """Vision token-layers computed / all, warm requests."""
    return of_count(subject.row.recompute_ratio)


def executed_flops(subject: Subject) -> Evidence:
    """FLOPs executed / of full recomputation, warm requests."""
    return of_count(subject.row.executed_flops_ratio)


def of_changes(values: pd.Series[float], subject: Subject, nothing: str) -> Evidence:
    """The mean of per-request differences, -1 to 1; ``nothing`` says why there are none."""
    if values.empty:
        return Evidence(None, why=nothing)
    paired = subject.paired
    changes = paired.changes(values, subject.runner)
    return Evidence(
        float(values.mean()),
        changes.bounds,
        chance=sign_flip_test(values, paired.clusters(values)),
        changes=changes,
        grows=paired.grows(values),
    )


def of_median(values: pd.Series[float], paired: Paired, nothing: str) -> Evidence:
    """The median of per-request ratios; ``nothing`` says why there are none."""
    if values.empty:
        return Evidence(None, why=nothing)
    clusters = paired.clusters(values)
    return Evidence(
        float(values.median()),
        lambda alpha: quantile_bounds(values, clusters, MEDIAN, alpha),
        Sample.of(values, clusters).fewest,
        fewest=lambda alpha: requests_to_bound_quantile(MEDIAN, alpha),
        grows=paired.grows(values),
    )


def of_count(value: float | None, why: str = "") -> Evidence:
    """What follows from the requests and is no estimate."""
    return Evidence(value, why=why if value is not None else "no request recurred, or nothing was counted")


def _fallbacks(reasons: Sequence[str]) -> str:
    """How often something was computed that could have been reused, and the most frequent reason."""
    if not reasons:
        return ""
    (reason, _), *_ = Counter(reasons).most_common(1)
    return f"computed although reusable {len(reasons)} times, most often: {reason[:LONGEST_REASON]}"
