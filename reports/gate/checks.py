"""The checks of a run: each requirement of each runner on each workload, with the evidence for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import pandas as pd

from reports.gate import evidence, evidence_since
from reports.gate.baseline import Baseline
from reports.gate.evidence import Evidence, Subject
from reports.gate.policy import Policy, baseline_limits, default_limits
from reports.gate.requirements import REQUIREMENTS, Limits, Requirement
from reports.run.descriptions import RunnerDescription
from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.statistics.intervals import Interval
from reports.statistics.pairing import Paired
from reports.summary.load import client_bound
from reports.summary.row import Row
from workloads.errors import UsageError

GATHERERS: Mapping[str, Callable[[Subject], Evidence]] = {
    "margin": evidence.accuracy,
    "min_speedup": evidence.speedup,
    "max_ttft_p99_ratio": evidence.p99_ratio,
    "max_flip_rate": evidence.flips,
    "max_differences": evidence.differences,
    "min_hit_rate": evidence.media_hits,
    "min_kv_hit_rate": evidence.kv_hits,
    "max_recompute_ratio": evidence.recomputed,
    "max_flops_ratio": evidence.executed_flops,
    "max_accuracy_drop": evidence_since.accuracy_since,
    "max_slowdown": evidence_since.speedup_since,
    "max_hit_rate_drop": evidence_since.media_hits_since,
    "max_recompute_rise": evidence_since.recomputed_since,
}
UNFINISHED = Evidence(None, why="the run has no record of it yet: finish it with --resume")


@dataclass(frozen=True)
class Check:
    """One requirement of one runner on one workload.

    Attributes:
        limit: as the policy has it.
        requests: turns of the workload that the runner was asked.
    """

    workload: str
    runner: str
    requirement: Requirement
    limit: float
    evidence: Evidence
    requests: int

    @property
    def bound(self) -> float:
        """What the value must be at least or at most."""
        return self.requirement.bound(self.limit)

    @property
    def tested(self) -> bool:
        """Whether there is an estimate to test, and no plain count."""
        return self.evidence.bounds is not None

    def ends(self, alpha: float) -> Interval:
        """Bounds of the truth, each wrong with a probability of at most ``alpha``; of a count its value."""
        if self.evidence.bounds is not None:
            return self.evidence.bounds(alpha)
        value = self.evidence.value
        return Interval(-inf, inf) if value is None else Interval(value, value)

    def worth(self, alpha: float) -> float | None:
        """How many separate requests the value rests on."""
        changes = self.evidence.changes
        return self.evidence.worth if changes is None else changes.worth(alpha)

    def per_separate(self, alpha: float) -> float | None:
        """Turns for each separate request that they are worth; None where more of them bring hardly any."""
        worth = self.worth(alpha)
        return self.requests / worth if worth and self.evidence.grows else None

    def violated(self, alpha: float) -> bool:
        """Whether the truth is shown to lie on the wrong side of the bound."""
        ends = self.ends(alpha)
        return ends.high < self.bound if self.requirement.side == "least" else ends.low > self.bound

    def holds(self, alpha: float) -> bool:
        """Whether the truth is shown to lie on the right side."""
        ends = self.ends(alpha)
        return ends.low >= self.bound if self.requirement.side == "least" else ends.high <= self.bound


def find_checks(
    run: Measurements, rows: Sequence[Row], policy: Policy, baseline: Baseline | None, margin: float
) -> list[Check]:
    """Every requirement, by workload and runner as the manifest has them; see ``judge.judge_run`` for the arguments.

    The reference, runners for analysis only and the noise floor are compared with, and not judged.

    Raises:
        UsageError: there is nothing to judge, or the policy names what the run does not have.
    """
    runners = _judged(run.manifest)
    policy.require_known(run.manifest.workloads, [runner.label for runner in runners])
    if baseline is None and policy.wants_baseline is not None:
        raise UsageError(
            f"{policy.origin}: {policy.wants_baseline} compares with an earlier run: add --baseline, or drop that line"
        )
    subjects = _Subjects(run, rows, baseline)
    checks = [
        check
        for workload in run.manifest.workloads
        for runner in runners
        if policy.judges(workload, runner.label)
        for check in _checks(workload, runner, subjects, policy, margin)
    ]
    if not checks:
        raise UsageError(
            "there is nothing to judge: the run needs a runner beside the reference, and the policy a rule about it"
        )
    return checks


class _Subjects:
    """What there is to see of each workload and runner."""

    def __init__(self, run: Measurements, rows: Sequence[Row], baseline: Baseline | None) -> None:
        self._manifest, self._frame, self._baseline = run.manifest, run.frame, baseline
        self._rows = {(row.workload, row.runner): row for row in rows}
        self._fallbacks: dict[tuple[str, str], list[str]] = {}
        for record in run.records:
            if record.cache is not None:
                self._fallbacks.setdefault((record.workload, record.runner), []).extend(record.cache.fallbacks)
        self._bound = client_bound(run)
        self._noise = next(iter(run.manifest.noise_arms), None)
        self._paired: dict[str, tuple[pd.DataFrame, Paired, Paired | None]] = {}

    def unmeasured(self, workload: str, runner: str) -> str | None:
        """Why nothing was measured of a runner: the client was the bottleneck; None where it was not."""
        return self._bound.get((workload, runner))

    def then(self, workload: str, runner: str) -> Row | None:
        """The baseline's line."""
        return None if self._baseline is None else self._baseline.rows.get((workload, runner))

    def compared(self) -> bool:
        """Whether there is a baseline."""
        return self._baseline is not None

    def of(self, workload: str, runner: str) -> Subject | None:
        """None where nothing was recorded."""
        row = self._rows.get((workload, runner))
        if row is None:
            return None
        if workload not in self._paired:
            self._paired[workload] = self._pair(workload)
        records, paired, then_paired = self._paired[workload]
        return Subject(
            runner=runner,
            records=records,
            paired=paired,
            row=row,
            fallbacks=self._fallbacks.get((workload, runner), ()),
            noise=self._noise if self._noise in set(records["runner"]) else None,
            then=self.then(workload, runner),
            then_paired=then_paired if then_paired is not None and runner in then_paired.score else None,
        )

    def _pair(self, workload: str) -> tuple[pd.DataFrame, Paired, Paired | None]:
        records, reference = self._frame[self._frame["workload"] == workload], self._manifest.reference
        manifest = self._manifest
        paired = Paired.of(records, reference, [], manifest.sequential, manifest.alpha_shares(workload))
        baseline = self._baseline
        if baseline is None or baseline.frame is None or not baseline.same_requests(workload, self._manifest):
            return records, paired, None
        before = baseline.frame[baseline.frame["workload"] == workload]
        return records, paired, Paired.of(before, baseline.manifest.reference, [])


def _judged(manifest: Manifest) -> list[RunnerDescription]:
    beside = {manifest.reference, *manifest.noise_arms, *manifest.analysis_only}
    return [runner for runner in manifest.runners if runner.label not in beside]


def _checks(
    workload: str, runner: RunnerDescription, subjects: _Subjects, policy: Policy, margin: float
) -> Iterator[Check]:
    label = runner.label
    subject = subjects.of(workload, label)
    limits: Limits = {}
    if policy.origin is not None or not subjects.compared():
        limits |= default_limits(runner, margin)
    if subjects.then(workload, label) is not None:
        limits |= baseline_limits(margin)
    required = policy.limits(workload, label, limits)
    for key, requirement in REQUIREMENTS.items():
        if key in required:
            gathered = UNFINISHED if subject is None else GATHERERS[key](subject)
            if (reason := subjects.unmeasured(workload, label)) is not None:
                gathered = Evidence(None, why=reason)
            requests = 0 if subject is None else subject.row.requests
            yield Check(workload, label, requirement, required[key], gathered, requests)
