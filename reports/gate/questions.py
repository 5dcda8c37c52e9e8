"""Which requirements a run has to meet, each with what the run shows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

from reports.gate import evidence, evidence_since
from reports.gate.baseline import Baseline
from reports.gate.evidence import Evidence, Scene
from reports.gate.policy import Policy, baseline_limits, default_limits
from reports.gate.question import Question
from reports.gate.requirements import REQUIREMENTS, Limits
from reports.run.manifest import Manifest, RunnerDescription
from reports.run.measurements import Measurements
from reports.statistics.pairing import Paired
from reports.summary.row import Row
from workloads.errors import UsageError

GATHERERS: Mapping[str, Callable[[Scene], Evidence]] = {
    "margin": evidence.accuracy,
    "min_speedup": evidence.speedup,
    "max_ttft_p99_ratio": evidence.p99_ratio,
    "max_flip_rate": evidence.flips,
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


def ask(
    run: Measurements, rows: Sequence[Row], policy: Policy, baseline: Baseline | None, margin: float
) -> list[Question]:
    """Every requirement, by workload and runner as the manifest has them; see ``judge.judge`` for the arguments.

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
    scenes = _Scenes(run, rows, baseline)
    found = [
        question
        for workload in run.manifest.workloads
        for runner in runners
        if policy.judges(workload, runner.label)
        for question in _questions(workload, runner, scenes, policy, margin)
    ]
    if not found:
        raise UsageError(
            "there is nothing to judge: the run needs a runner beside the reference, and the policy a rule about it"
        )
    return found


class _Scenes:
    """What there is to see of each workload and runner."""

    def __init__(self, run: Measurements, rows: Sequence[Row], baseline: Baseline | None) -> None:
        self._manifest, self._frame, self._baseline = run.manifest, run.frame, baseline
        self._rows = {(row.workload, row.runner): row for row in rows}
        self._fallbacks: dict[tuple[str, str], list[str]] = {}
        for record in run.records:
            if record.cache is not None:
                self._fallbacks.setdefault((record.workload, record.runner), []).extend(record.cache.fallbacks)
        self._noise = next(iter(run.manifest.noise_arms), None)
        self._paired: dict[str, tuple[pd.DataFrame, Paired, Paired | None]] = {}

    def then(self, workload: str, runner: str) -> Row | None:
        """The baseline's line."""
        return None if self._baseline is None else self._baseline.rows.get((workload, runner))

    def compared(self) -> bool:
        """Whether there is a baseline."""
        return self._baseline is not None

    def of(self, workload: str, runner: str) -> Scene | None:
        """None where nothing was recorded."""
        row = self._rows.get((workload, runner))
        if row is None:
            return None
        if workload not in self._paired:
            self._paired[workload] = self._pair(workload)
        asked, paired, then_paired = self._paired[workload]
        return Scene(
            runner,
            asked,
            paired,
            row,
            self._fallbacks.get((workload, runner), ()),
            self._noise if self._noise in set(asked["runner"]) else None,
            self.then(workload, runner),
            then_paired if then_paired is not None and runner in then_paired.score else None,
        )

    def _pair(self, workload: str) -> tuple[pd.DataFrame, Paired, Paired | None]:
        asked, reference = self._frame[self._frame["workload"] == workload], self._manifest.reference
        paired = Paired.of(asked, reference, [])
        baseline = self._baseline
        if baseline is None or baseline.frame is None or not baseline.same_requests(workload, self._manifest):
            return asked, paired, None
        before = baseline.frame[baseline.frame["workload"] == workload]
        return asked, paired, Paired.of(before, baseline.manifest.reference, [])


def _judged(manifest: Manifest) -> list[RunnerDescription]:
    beside = {manifest.reference, *manifest.noise_arms, *manifest.analysis_only}
    return [runner for runner in manifest.runners if runner.label not in beside]


def _questions(
    workload: str, runner: RunnerDescription, scenes: _Scenes, policy: Policy, margin: float
) -> Iterator[Question]:
    label = runner.label
    scene = scenes.of(workload, label)
    limits: Limits = {}
    if policy.origin is not None or not scenes.compared():
        limits |= default_limits(runner, margin)
    if scenes.then(workload, label) is not None:
        limits |= baseline_limits(margin)
    required = policy.limits(workload, label, limits)
    for key, requirement in REQUIREMENTS.items():
        if key in required:
            found = UNFINISHED if scene is None else GATHERERS[key](scene)
            requests = 0 if scene is None else scene.row.requests
            yield Question(workload, label, requirement, required[key], found, requests)
