"""A saved run before the gate: read, checked, compared with a baseline if there is one, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reports.gate.baseline import read_baseline, require_comparable
from reports.gate.claim import GateResult
from reports.gate.policy import LARGEST_ALPHA, Policy
from reports.gate.policy_file import read_policy
from reports.run.manifest import Manifest
from reports.run.store import RunFolder
from reports.statistics.levels import DEFAULT_ALPHA, DEFAULT_MARGIN
from reports.summary.row import Row
from workloads.errors import UsageError


@dataclass(frozen=True)
class JudgedRun:
    """A run and what the gate says of it."""

    manifest: Manifest
    rows: Sequence[Row]
    result: GateResult


def judge_folder(run: Path, policy_file: Path | None, baseline_path: Path | None, allowed: Sequence[str]) -> JudgedRun:
    """Judge the run in a folder.

    Args:
        run: the folder.
        policy_file: requirements; None for the built-in ones.
        baseline_path: an earlier run, see ``baseline.read_baseline``.
        allowed: in what it may differ, of ``differences.KINDS``.

    Raises:
        UsageError: something cannot be read or compared, or there is nothing to judge.
    """
    policy = Policy() if policy_file is None else read_policy(policy_file)
    if allowed and baseline_path is None:
        raise UsageError("--allow-different is about a baseline: add --baseline, or drop it")
    measured = RunFolder(run).read().measurements
    manifest = measured.manifest
    margin, alpha = manifest.verdict.margin or DEFAULT_MARGIN, manifest.verdict.alpha or DEFAULT_ALPHA
    if policy.alpha is None and alpha > LARGEST_ALPHA:
        raise UsageError(f"{run} was made with --alpha {alpha:g}: name one of at most {LARGEST_ALPHA:g} in a policy")
    baseline, differing = None, []
    if baseline_path is not None:
        baseline = read_baseline(baseline_path, margin, alpha)
        differing = [str(difference) for difference in require_comparable(manifest, baseline, allowed)]
    from reports.gate.judge import judge_run
    from reports.summary.summarise import summarise

    rows = summarise(measured, margin, alpha)
    if not rows:
        raise UsageError(f"{run} holds no records yet: let the run go on with --resume, or name another")
    result = judge_run(measured, rows, policy, baseline, margin, alpha)
    return JudgedRun(manifest, rows, replace(result, allowed=differing))
